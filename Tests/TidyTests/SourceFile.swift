// A Swift file as the house rules see it: its text, and the same text with comments and string literals blanked out.

import Foundation

struct SourceFile {
  /// Path from the package's root: "Sources/ApusBase/Bytes/ByteView.swift".
  let path: String
  let text: String
  /// The text with every comment and string literal replaced by spaces; line numbers stay.
  let code: String

  init(path: String, text: String) {
    self.path = path
    self.text = text
    code = SourceFile.blank(text)
  }

  var name: String { String(path.split(separator: "/").last ?? "") }
  var folders: [String] { path.split(separator: "/").dropLast().map(String.init) }
  var isSource: Bool { path.hasPrefix("Sources/") }
  /// The target that the file belongs to; nil for the manifest.
  var target: String? { folders.count >= 2 ? folders[1] : nil }

  /// The numbers of the lines of code (no comments, no strings) in which `pattern` matches.
  func linesOfCode(matching pattern: String) -> [Int] {
    SourceFile.lines(of: code, matching: pattern)
  }

  func lines(matching pattern: String) -> [Int] {
    SourceFile.lines(of: text, matching: pattern)
  }

  private static func lines(of text: String, matching pattern: String) -> [Int] {
    guard let expression = try? NSRegularExpression(pattern: pattern) else { return [] }
    var numbers: [Int] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let line = String(line)
      if expression.firstMatch(in: line, range: NSRange(line.startIndex..., in: line)) != nil {
        numbers.append(index + 1)
      }
    }
    return numbers
  }

  /// Interpolations are blanked with their literal: what stands in them is not checked.
  private static func blank(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var result = bytes
    var index = 0
    let newline = UInt8(ascii: "\n"), space = UInt8(ascii: " "), quote = UInt8(ascii: "\"")
    let slash = UInt8(ascii: "/"), star = UInt8(ascii: "*"), backslash = UInt8(ascii: "\\"), hash = UInt8(ascii: "#")
    func at(_ i: Int) -> UInt8 { i < bytes.count ? bytes[i] : 0 }
    func erase(_ range: Range<Int>) {
      for i in range where i < result.count && result[i] != newline { result[i] = space }
    }
    while index < bytes.count {
      let start = index
      if at(index) == slash, at(index + 1) == slash {
        while index < bytes.count, bytes[index] != newline { index += 1 }
        erase(start..<index)
      } else if at(index) == slash, at(index + 1) == star {
        var depth = 1
        index += 2
        while index < bytes.count, depth > 0 {
          if at(index) == slash, at(index + 1) == star { depth += 1; index += 1 }
          if at(index) == star, at(index + 1) == slash { depth -= 1; index += 1 }
          index += 1
        }
        erase(start..<index)
      } else if at(index) == quote || (at(index) == hash && (at(index + 1) == quote || at(index + 1) == hash)) {
        var hashes = 0
        while at(index) == hash { hashes += 1; index += 1 }
        guard at(index) == quote else { continue }
        let isMultiline = at(index + 1) == quote && at(index + 2) == quote
        index += isMultiline ? 3 : 1
        var parentheses = 0
        while index < bytes.count {
          if hashes == 0, at(index) == backslash {
            if at(index + 1) == UInt8(ascii: "(") { parentheses += 1 }
            index += 2
            continue
          }
          if parentheses > 0 {
            if at(index) == UInt8(ascii: "(") { parentheses += 1 }
            if at(index) == UInt8(ascii: ")") { parentheses -= 1 }
            index += 1
            continue
          }
          if !isMultiline, at(index) == newline { break }
          let isQuote = at(index) == quote
          let closes = isQuote && (!isMultiline || (at(index + 1) == quote && at(index + 2) == quote))
          if closes {
            let end = index + (isMultiline ? 3 : 1)
            if (0..<hashes).allSatisfy({ at(end + $0) == hash }) {
              index = end + hashes
              break
            }
          }
          index += 1
        }
        erase(start..<index)
      } else {
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}

/// The files of this checkout.
enum Checkout {
  static let root: URL = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static let swiftFiles: [SourceFile] = files(under: ["Package.swift", "Sources", "Tests", "Fuzz"], suffixes: [".swift"])
  static let documents: [SourceFile] = files(
    under: ["README.md", "SPEC.md", "docs", "Makefile", ".ci", "Sources", "Tests", "Fuzz", "Package.swift"],
    suffixes: [".md", ".swift", "Makefile", ".c", ".h", ".sql", ".py", ".ci/run", ".ci/setup", ".ci/check"])

  private static func files(under places: [String], suffixes: [String]) -> [SourceFile] {
    var found: [SourceFile] = []
    for place in places {
      let base = root.appendingPathComponent(place)
      guard FileManager.default.fileExists(atPath: base.path) else { continue }
      var paths = [place]
      if (try? FileManager.default.contentsOfDirectory(atPath: base.path)) != nil {
        let names = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
        paths = names.filter { !$0.hasPrefix(".build") && !$0.contains("/.build") }.map { "\(place)/\($0)" }
      }
      for path in paths.sorted() where suffixes.contains(where: { path.hasSuffix($0) }) {
        guard let text = try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8) else { continue }
        found.append(SourceFile(path: path, text: text))
      }
    }
    return found
  }
}
