// What the name of a database means: a file, memory, a temporary file, or a URI.
// Source: https://sqlite.org/uri.html

import ApusBase

struct DatabaseLocation: Equatable {
  enum Place: Equatable {
    case file(String)
    case memory
    /// A file without a name that vanishes when it is closed.
    case temporary
  }

  var place: Place
  /// What the URI asks for; nil where it says nothing.
  var isReadOnly: Bool?
  var mayCreate: Bool?
  var ignoresLocks = false
  var isImmutable = false
  /// `vfs=unix-excl`: locks stay, and the log's index lies in memory.
  var locksExclusively = false
  private var wantsSharedCache = false

  /// - Parameter interpretsURI: a name that begins with "file:" is a URI.
  init(_ name: String, interpretsURI: Bool) throws(EngineError) {
    guard interpretsURI, name.utf8.starts(with: "file:".utf8) else {
      switch name {
      case ":memory:": place = .memory
      case "": place = .temporary
      default: place = .file(name)
      }
      return
    }
    var rest = Array(name.utf8.dropFirst(5))
    if rest.starts(with: "//".utf8) {
      let end = rest.dropFirst(2).firstIndex(of: UInt8(ascii: "/")) ?? rest.count
      let authority = String(decoding: rest[2..<end], as: UTF8.self)
      if authority != "", authority != "localhost" {
        throw EngineError(.error, "invalid uri authority: \(authority)")
      }
      rest.removeSubrange(..<end)
    }
    if let fragment = rest.firstIndex(of: UInt8(ascii: "#")) { rest.removeSubrange(fragment...) }
    var query: ArraySlice<UInt8> = []
    if let mark = rest.firstIndex(of: UInt8(ascii: "?")) {
      query = rest[(mark + 1)...]
      rest.removeSubrange(mark...)
    }
    let path = try Self.decoded(rest[...])
    place = path == ":memory:" ? .memory : path.isEmpty ? .temporary : .file(path)
    // The slice above is of the whole text: the query outlives the cut.
    for pair in query.split(separator: UInt8(ascii: "&")) {
      let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
      let key = try Self.decoded(pair[..<equals])
      let value = equals == pair.endIndex ? "" : try Self.decoded(pair[(equals + 1)...])
      try apply(key, value)
    }
    if wantsSharedCache, place == .memory {
      throw EngineError(
        .error, "not supported: cache=shared", object: name, cause: "connections do not share a database in memory",
        hint: "use one connection, or a file in /dev/shm")
    }
  }

  private mutating func apply(_ key: String, _ value: String) throws(EngineError) {
    switch key {
    case "mode":
      switch value {
      case "ro": (isReadOnly, mayCreate) = (true, false)
      case "rw": (isReadOnly, mayCreate) = (false, false)
      case "rwc": (isReadOnly, mayCreate) = (false, true)
      case "memory": place = .memory
      default: throw EngineError(.error, "no such access mode: \(value)")
      }
    case "cache":
      switch value {
      case "private": break
      // Connections of one process share the page cache of a file anyway, each with locks of its own.
      case "shared": wantsSharedCache = true
      default: throw EngineError(.error, "no such cache mode: \(value)")
      }
    case "nolock": ignoresLocks = ignoresLocks || Self.isTrue(value)
    case "immutable": isImmutable = Self.isTrue(value)
    case "vfs":
      switch value {
      case "unix": break
      case "unix-none": ignoresLocks = true
      case "unix-excl": locksExclusively = true
      default: throw EngineError(.error, "no such vfs: \(value)")
      }
    default: break  // psow, and what SQLite does not know either, has no effect.
    }
  }

  /// As SQLite reads a boolean: anything else is false.
  private static func isTrue(_ value: String) -> Bool {
    if let number = Int(value) { return number != 0 }
    return ["yes", "true", "on"].contains(value.lowercased())
  }

  /// `%HH` becomes the byte; a NUL byte ends the text.
  /// - Throws: SQLITE_CANTOPEN where the bytes are not UTF-8: a repaired name is another file's.
  private static func decoded(_ bytes: ArraySlice<UInt8>) throws(EngineError) -> String {
    func digit(_ byte: UInt8) -> UInt8? {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
      default: nil
      }
    }
    var result: [UInt8] = []
    var index = bytes.startIndex
    while index < bytes.endIndex {
      let byte = bytes[index]
      if byte == UInt8(ascii: "%"), index + 2 < bytes.endIndex, let high = digit(bytes[index + 1]),
        let low = digit(bytes[index + 2])
      {
        let value = high << 4 | low
        if value == 0 { break }
        result.append(value)
        index += 3
      } else {
        result.append(byte)
        index += 1
      }
    }
    guard let text = String(validating: result, as: UTF8.self) else {
      throw EngineError(.cannotOpen, cause: "the name is not UTF-8")
    }
    return text
  }
}
