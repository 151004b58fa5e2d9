// The shell: takes lines, runs statements, reports errors as sqlite3 does (and says where and what to do besides).

final class Shell {
  /// How a failure is introduced: sqlite3 words it differently for its arguments and for its input.
  enum Source {
    case argument
    case input(line: Int, isInteractive: Bool)
  }

  var settings = ShellSettings()
  let output = ShellOutput()
  private(set) var session: Session
  private(set) var path: String
  let isReadOnly: Bool
  /// Set by `.exit`: the process ends with it.
  var exitCode: Int?
  /// Set by `.quit`: reading stops.
  var isDone = false
  private var readDepth = 0
  /// `.read` of a file that reads itself would not end otherwise.
  private static let readDepthMax = 25

  init(path: String, readOnly: Bool) throws(ShellFailure) {
    self.path = path
    isReadOnly = readOnly
    session = try Session(path: path, readOnly: readOnly)
  }

  func reopen(_ newPath: String) throws(ShellFailure) {
    let opened = try Session(path: newPath, readOnly: isReadOnly)
    session.close()
    session = opened
    path = newPath
  }

  // MARK: - Statements

  /// Runs all statements of `sql`, and stops at the first that fails.
  /// - Returns: SQLite's primary result code of the failure; zero where there is none.
  @discardableResult
  func run(_ sql: [UInt8], from source: Source) -> Int {
    let clock = settings.showsTime ? StatementClock() : nil
    defer {
      if let clock { output.write(clock.report()) }
      output.commandDidEnd()
    }
    var start = 0
    while start < sql.count {
      if StatementText.isSpace(sql[start]) {
        start += 1
        continue
      }
      let prepared: (statement: SessionStatement?, end: Int)
      do {
        prepared = try session.prepare(sql, from: start)
      } catch {
        report(error, sql: sql[start...], phase: "in prepare", from: source)
        return error.code
      }
      defer { start = max(prepared.end, start + 1) }
      guard let statement = prepared.statement else { continue }
      for warning in session.warnings { output.error("Warning: \(warning)") }
      defer { statement.finish() }
      do {
        try show(statement, sql: sql[start..<prepared.end])
      } catch {
        report(error, sql: sql[start..<prepared.end], phase: "stepping", from: source)
        return error.code
      }
    }
    if settings.showsChanges {
      output.write("changes: \(session.changes)   total_changes: \(session.totalChanges)\n")
    }
    return 0
  }

  private func show(_ statement: SessionStatement, sql: ArraySlice<UInt8>) throws(ShellFailure) {
    let names = (0..<statement.columnCount).map { statement.columnName($0) }
    switch ExplainPrinter.kind(of: sql) {
    case .plan?:
      var printer = PlanPrinter()
      while try statement.step() { printer.row(statement) }
      printer.finish(output)
      return
    case .program?:
      var printer = ProgramPrinter(output)
      while try statement.step() { printer.row(statement, names: names) }
      return
    case nil: break
    }
    switch settings.mode {
    case .box, .column, .markdown, .table:
      var printer = TablePrinter(settings, output, names: names)
      do {
        while try statement.step() { printer.row(statement) }
      } catch {
        printer.finish()
        throw error
      }
      printer.finish()
    case .csv, .insert, .json, .line, .list, .quote, .tabs:
      var printer = RowPrinter(settings, output, names: names)
      do {
        while try statement.step() { printer.row(statement) }
      } catch {
        printer.finish()
        throw error
      }
      printer.finish()
    }
  }

  // MARK: - Errors

  private func report(_ failure: ShellFailure, sql: ArraySlice<UInt8>, phase: String, from source: Source) {
    let code = failure.code > 1 ? " (\(failure.code))" : ""
    let context = ErrorContext.lines(sql: sql, offset: failure.offset)
    var lines: String
    switch source {
    case .argument: lines = "Error: \(phase), "
    case .input(let line, let isInteractive):
      let kind = phase == "in prepare" ? "Parse error" : "Runtime error"
      lines = isInteractive ? "\(kind): " : "\(kind) near line \(line): "
    }
    lines += failure.message + code + context
    if let cause = failure.cause { lines += "\n  cause: \(cause)" }
    if let hint = failure.hint { lines += "\n  hint: \(hint)" }
    output.error(lines)
  }

  // MARK: - Input

  /// Reads statements and dot commands to the end of the input.
  /// - Returns: the number of failures.
  @discardableResult
  func read(_ reader: LineReader, isInteractive: Bool) -> Int {
    var failures = 0
    var pending: [UInt8] = []
    var firstLine = 0
    while !isDone, exitCode == nil {
      if isInteractive {
        output.write(pending.isEmpty ? settings.mainPrompt : settings.continuePrompt)
        output.flush()
      }
      guard let line = reader.next() else { break }
      if pending.isEmpty {
        let isComment = line.first == UInt8(ascii: "#")
        if isComment || StatementText.isBlank(line) {
          if settings.echoes, !isComment { output.write(line + [0x0a]) }
          continue
        }
        if line.first == UInt8(ascii: ".") {
          if settings.echoes { output.write(line + [0x0a]) }
          let succeeded = DotCommand.run(String(decoding: line, as: UTF8.self), in: self)
          if isInteractive { output.flush() }
          if !succeeded {
            failures += 1
            if settings.bails, !isInteractive { break }
          }
          continue
        }
        firstLine = reader.lineNumber
      } else {
        pending.append(0x0a)
      }
      pending += line
      // A quick look first: most lines of a long statement hold no semicolon.
      guard line.contains(UInt8(ascii: ";")), StatementText.isComplete(pending) else { continue }
      failures += runInput(&pending, line: firstLine, isInteractive: isInteractive)
      if failures > 0, settings.bails, !isInteractive { break }
    }
    if !pending.isEmpty, !isDone, exitCode == nil, !(failures > 0 && settings.bails && !isInteractive) {
      if !StatementText.isBlank(pending, allowingSemicolons: true) {
        failures += runInput(&pending, line: firstLine, isInteractive: isInteractive)
      }
    }
    if isInteractive { output.write("\n") }
    output.flush()
    return failures
  }

  private func runInput(_ pending: inout [UInt8], line: Int, isInteractive: Bool) -> Int {
    if settings.echoes { output.write(pending + [0x0a]) }
    let code = run(pending, from: .input(line: line, isInteractive: isInteractive))
    pending = []
    if isInteractive { output.flush() }
    return code == 0 ? 0 : 1
  }

  /// Runs a file of statements and dot commands, as `.read` and `-init` do.
  func readFile(_ path: String) -> Bool {
    guard readDepth < Shell.readDepthMax else {
      output.error("Error: .read is nested more than \(Shell.readDepthMax) deep")
      return false
    }
    guard let reader = LineReader(path: path) else {
      output.error("Error: cannot open \"\(path)\"")
      return false
    }
    readDepth += 1
    defer { readDepth -= 1 }
    return read(reader, isInteractive: false) == 0
  }
}

/// The line below an error that points at the offending word.
enum ErrorContext {
  static func lines(sql: ArraySlice<UInt8>, offset: Int?) -> String {
    guard var offset, offset >= 0, offset < sql.count else { return "" }
    var start = sql.startIndex
    while offset > 50 {
      start += 1
      offset -= 1
      while start < sql.endIndex, sql[start] & 0xc0 == 0x80 {
        start += 1
        offset -= 1
      }
    }
    var text = Array(sql[start...].prefix(78))
    while let last = text.last, text.count == 78, last & 0xc0 == 0x80 { text.removeLast() }
    text = text.map { $0 < 0x20 || $0 == 0x7f ? 0x20 : $0 }
    let line = "\n  \(String(decoding: text, as: UTF8.self))\n  "
    if offset < 25 { return line + String(repeating: " ", count: offset) + "^--- error here" }
    return line + String(repeating: " ", count: offset - 14) + "error here ---^"
  }
}
