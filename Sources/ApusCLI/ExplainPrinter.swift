// EXPLAIN as a listing with fixed widths, EXPLAIN QUERY PLAN as a tree.

enum ExplainPrinter {
  enum Kind { case program, plan }

  /// What a statement explains; nil for one that does not begin with EXPLAIN.
  static func kind(of sql: ArraySlice<UInt8>) -> Kind? {
    // A cheap look first: every statement passes here.
    let text = sql.drop { $0 <= 0x20 }
    guard let first = text.first, first | 0x20 == UInt8(ascii: "e") else { return nil }
    let words = String(decoding: text.prefix(80), as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard words.first?.lowercased() == "explain" else { return nil }
    return words.count > 2 && words[1].lowercased() == "query" && words[2].lowercased() == "plan" ? .plan : .program
  }
}

struct ProgramPrinter {
  private let output: ShellOutput
  private var rowCount = 0
  private static let widths = [4, 13, 4, 4, 4, 13, 2, 13]

  init(_ output: ShellOutput) { self.output = output }

  mutating func row(_ statement: SessionStatement, names: [String]) {
    if rowCount == 0 {
      line(names.map { Array($0.utf8) })
      line(names.indices.map { [UInt8](repeating: UInt8(ascii: "-"), count: width($0)) })
    }
    rowCount += 1
    line(names.indices.map { statement.text($0) })
  }

  private func width(_ column: Int) -> Int {
    column < ProgramPrinter.widths.count ? ProgramPrinter.widths[column] : 13
  }

  private func line(_ cells: [[UInt8]]) {
    for (column, cell) in cells.enumerated() {
      output.write(cell)
      if column == cells.count - 1 {
        output.write(byte: 0x20, count: width(column) - TextWidth.columns(of: cell))
        output.write("\n")
      } else {
        output.write(byte: 0x20, count: width(column) - TextWidth.columns(of: cell) + 2)
      }
    }
  }
}

struct PlanPrinter {
  private var rows: [(id: Int64, parent: Int64, detail: [UInt8])] = []

  /// A row of EXPLAIN QUERY PLAN is (id, parent, notused, detail).
  mutating func row(_ statement: SessionStatement) {
    guard statement.columnCount >= 4 else { return }
    rows.append((statement.integer(0), statement.integer(1), statement.text(3)))
  }

  func finish(_ output: ShellOutput) {
    guard !rows.isEmpty else { return }
    output.write("QUERY PLAN\n")
    level(0, indent: "", output, depth: 0)
  }

  private func level(_ parent: Int64, indent: String, _ output: ShellOutput, depth: Int) {
    guard depth < 100 else { return }
    let children = rows.filter { $0.parent == parent && $0.id != parent }
    for (index, child) in children.enumerated() {
      let isLast = index == children.count - 1
      output.write(indent + (isLast ? "`--" : "|--"))
      output.write(child.detail)
      output.write("\n")
      level(child.id, indent: indent + (isLast ? "   " : "|  "), output, depth: depth + 1)
    }
  }
}
