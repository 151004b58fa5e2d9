// The door: a parsed statement and a catalog in, a program out.

import ApusBase
import ApusSQL
import ApusVM

public enum Compiler {
  /// Compiles one statement.
  /// - Parameter sql: the text that the statement was parsed from; its spans name result columns.
  /// - Throws: SQLite's error where the statement cannot be, "not supported: ..." where it is not built yet.
  public static func compile(
    _ statement: ParsedStatement, sql: ByteView, context: CompilerContext
  ) throws(EngineError) -> Program {
    let text = sql.array
    let span = statement.span
    let start = max(0, min(Int(span.start), text.count)), end = max(start, min(Int(span.end), text.count))
    let explainMode =
      switch statement.explain {
      case .none: 0
      case .program: 1
      case .queryPlan: 2
      }
    let generator = Generator(
      context, sql: String(decoding: text[start..<end], as: UTF8.self), text: text, explainMode: explainMode)
    defer { generator.binder.unlink() }
    let builder = generator.builder
    var parameterNames = statement.parameterNames
    while parameterNames.count < statement.parameterCount { parameterNames.append(nil) }
    builder.parameterNames = parameterNames
    switch statement.statement {
    case .select(let select):
      try generator.compile(select)
      return try generator.finish()
    default:
      try generator.statement(statement, text: sql)
      return try generator.finish()
    }
  }
}

extension Generator {
  func compile(_ select: Select) throws(EngineError) {
    let bound = try binder.bind(select, parent: nil)
    builder.resultColumns = resultColumns(bound)
    try code(bound, to: .output)
  }

  /// Names, types and origins of a select's columns.
  func resultColumns(_ select: BoundSelect) -> [ApusVM.ResultColumn] {
    select.columns.map { column in
      var result = ApusVM.ResultColumn(name: column.name, declaredType: binder.declaredType(column.expression))
      var expression = column.expression
      while case .column(let source, let number) = expression.kind {
        if let table = source.table {
          result.databaseName = context.schemas.databases[table.database].name.text
          result.tableName = table.name.text
          result.originName = source.columnName(number).text
          break
        }
        guard let select = source.select, number >= 0 else { break }
        expression = select.columns[number].expression
      }
      return result
    }
  }
}
