// The tables under Recorded/: what SQLite 3.54.1 answered, one case a line; lines that begin with # say what a table is.

import Foundation

enum RecordedNumbers {
  static func lines(_ name: String) throws -> [Substring] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Recorded")
    let text = try String(contentsOf: folder.appendingPathComponent(name + ".txt"), encoding: .utf8)
    let lines = text.split(separator: "\n").filter { !$0.hasPrefix("# ") }
    precondition(!lines.isEmpty)
    return lines
  }
}
