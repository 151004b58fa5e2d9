// Prints the rows of a statement in one of the modes that need no look ahead: list, csv, tabs, line, quote, insert, json.

struct RowPrinter {
  let settings: ShellSettings
  let output: ShellOutput
  private let names: [String]
  private let separator: [UInt8]
  private let rowEnd: [UInt8]
  private let null: [UInt8]
  private var rowCount = 0

  init(_ settings: ShellSettings, _ output: ShellOutput, names: [String]) {
    self.settings = settings
    self.output = output
    self.names = names
    separator = Array(settings.columnSeparator.utf8)
    rowEnd = Array(settings.rowSeparator.utf8)
    null = Array(settings.nullText.utf8)
  }

  mutating func row(_ statement: SessionStatement) {
    if rowCount == 0 { header() }
    rowCount += 1
    switch settings.mode {
    case .csv: delimited(statement) { Quoting.csv($0, separator: settings.columnSeparator) }
    case .quote: quoted(statement)
    case .insert: insert(statement)
    case .json: json(statement)
    case .line: lines(statement)
    case .list, .tabs, .box, .column, .markdown, .table: list(statement)
    }
  }

  mutating func finish() {
    if settings.mode == .json, rowCount > 0 { output.write("]\n") }
  }

  private func header() {
    guard settings.showsHeader else { return }
    switch settings.mode {
    case .list, .tabs, .box, .column, .markdown, .table:
      for (index, name) in names.enumerated() { output.write((index == 0 ? "" : settings.columnSeparator) + name) }
    case .csv:
      for (index, name) in names.enumerated() {
        if index > 0 { output.write(separator) }
        output.write(Quoting.csv(Array(name.utf8), separator: settings.columnSeparator))
      }
    case .quote:
      for (index, name) in names.enumerated() {
        if index > 0 { output.write(separator) }
        output.write(Quoting.string(Array(name.utf8)))
      }
    case .insert, .json, .line: return
    }
    output.write(rowEnd)
  }

  private func list(_ statement: SessionStatement) {
    for column in names.indices {
      if column > 0 { output.write(separator) }
      if statement.kind(column) == .null { output.write(null) } else { output.write(statement.view(column)) }
    }
    output.write(rowEnd)
  }

  private func delimited(_ statement: SessionStatement, _ quote: ([UInt8]) -> [UInt8]) {
    for column in names.indices {
      if column > 0 { output.write(separator) }
      output.write(statement.kind(column) == .null ? null : quote(statement.text(column)))
    }
    output.write(rowEnd)
  }

  private func quoted(_ statement: SessionStatement) {
    for column in names.indices {
      if column > 0 { output.write(separator) }
      output.write(literal(statement, column, isInsert: false))
    }
    output.write(rowEnd)
  }

  private func insert(_ statement: SessionStatement) {
    output.write("INSERT INTO \(Quoting.name(settings.insertTable))")
    if settings.showsHeader { output.write("(\(names.map(Quoting.name).joined(separator: ",")))") }
    output.write(" VALUES(")
    for column in names.indices {
      if column > 0 { output.write(",") }
      output.write(literal(statement, column, isInsert: true))
    }
    output.write(");\n")
  }

  private func literal(_ statement: SessionStatement, _ column: Int, isInsert: Bool) -> [UInt8] {
    switch statement.kind(column) {
    case .null: Array("NULL".utf8)
    case .integer: statement.text(column)
    case .real:
      Array((isInsert ? RealText.forInsert : RealText.exact)(statement.real(column)).utf8)
    case .text:
      (isInsert && settings.escapesNewlines ? Quoting.oneLineString : Quoting.string)(statement.text(column))
    case .blob: Quoting.blob(statement.text(column))
    }
  }

  private func json(_ statement: SessionStatement) {
    output.write(rowCount == 1 ? "[{" : ",\n{")
    for (column, name) in names.enumerated() {
      if column > 0 { output.write(",") }
      output.write(Quoting.json(Array(name.utf8)))
      output.write(":")
      switch statement.kind(column) {
      case .null: output.write("null")
      case .integer: output.write(statement.text(column))
      case .real: output.write(statement.real(column).isFinite ? statement.text(column) : infinity(statement, column))
      case .text, .blob: output.write(Quoting.json(statement.text(column)))
      }
    }
    output.write("}")
  }

  private func infinity(_ statement: SessionStatement, _ column: Int) -> [UInt8] {
    Array((statement.real(column) < 0 ? "-1e999" : "1e999").utf8)
  }

  private func lines(_ statement: SessionStatement) {
    let width = max(5, names.map(\.unicodeScalars.count).max() ?? 0)
    if rowCount > 1 { output.write(rowEnd) }
    for (column, name) in names.enumerated() {
      output.write(byte: 0x20, count: width - name.unicodeScalars.count)
      output.write("\(name) = ")
      output.write(statement.kind(column) == .null ? null : statement.text(column))
      output.write(rowEnd)
    }
  }
}
