// Folders of inputs, and the process's environment. `unsafe` lives here: opendir(3), setenv(3).

import Glibc

enum Folders {
  static func isFolder(_ path: String) -> Bool {
    guard let folder = unsafe opendir(path) else { return false }
    unsafe closedir(folder)
    return true
  }

  /// The names in a folder, sorted; hidden ones are not among them.
  static func names(in path: String) -> [String] {
    guard let folder = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  /// The files of a folder, or the file itself.
  static func files(_ path: String) -> [String] { isFolder(path) ? names(in: path).map { "\(path)/\($0)" } : [path] }

  static func make(_ path: String) {
    var made = ""
    for part in path.split(separator: "/", omittingEmptySubsequences: false) {
      made += part + "/"
      _ = unsafe mkdir(made, 0o755)
    }
  }
}

/// What child processes inherit.
enum ProcessEnvironment {
  static func set(_ name: String, _ value: String) { _ = unsafe setenv(name, value, 1) }
}
