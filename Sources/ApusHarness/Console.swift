// Output of the tools: lines to standard output and standard error, unbuffered enough to be followed live.
// `unsafe` lives here: write(2), setenv(3).

import Glibc

public enum Console {
  public static func line(_ text: String = "") { write(text + "\n", to: 1) }
  public static func error(_ text: String) { write(text + "\n", to: 2) }

  public static func write(_ text: String, to descriptor: Int32 = 1) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let written = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + start }, buffer.count - start)
      }
      if written < 0, errno == EINTR { continue }
      if written <= 0 { return }
      start += written
    }
  }

  /// Nanoseconds of the monotonic clock.
  public static func nanoseconds() -> UInt64 {
    var moment = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &moment)
    return UInt64(moment.tv_sec) * 1_000_000_000 + UInt64(moment.tv_nsec)
  }

  /// All bytes of a file; nil where it cannot be read.
  public static func contents(of path: String) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return readAll(descriptor)
  }

  /// Writes a file anew.
  /// - Returns: false where that cannot be.
  public static func put(_ bytes: [UInt8], to path: String) -> Bool {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var start = 0
    while start < bytes.count {
      let written = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + start }, buffer.count - start)
      }
      if written < 0, errno == EINTR { continue }
      if written <= 0 { return false }
      start += written
    }
    return true
  }

  public static func mayWrite(to path: String) -> Bool { unsafe access(path, W_OK) == 0 }

  public static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// Gives a variable of the environment a value where it has none; children have it too.
  public static func keepVariable(_ name: String, or value: String) { _ = unsafe setenv(name, value, 0) }

  /// Removes a file; one that is not there is fine.
  public static func remove(_ path: String) { _ = unsafe unlink(path) }

  public static func readAll(_ descriptor: Int32) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = unsafe chunk.withUnsafeMutableBytes { buffer in
        unsafe read(descriptor, buffer.baseAddress, buffer.count)
      }
      if count < 0, errno == EINTR { continue }
      if count < 0 { return nil }
      if count == 0 { return bytes }
      bytes += chunk[0..<count]
    }
  }
}
