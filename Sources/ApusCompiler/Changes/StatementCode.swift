// Statements other than SELECT: which file's code they are, and those that are refused by name.

import ApusBase
import ApusSQL
import ApusVM

extension Generator {
  /// Generates the program of a statement that is no SELECT.
  func statement(_ parsed: ParsedStatement, text: ByteView) throws(EngineError) {
    switch parsed.statement {
    case .select: throw EngineError(.internal, "a SELECT is compiled elsewhere")
    case .insert(let insert): try self.insert(insert)
    case .update(let update): try self.update(update)
    case .delete(let delete): try self.delete(delete)
    case .createTable(let create): try createTable(create, text: text)
    case .createIndex(let create): try createIndex(create, text: text)
    case .createView(let create): try createView(create, text: text, parameterCount: parsed.parameterCount)
    case .drop(let drop): try self.drop(drop)
    case .pragma(let pragma): try self.pragma(pragma)
    case .begin(let mode): try begin(mode)
    case .commit: commit()
    case .rollback: rollback()
    case .savepoint(let name): savepoint(name, .open)
    case .release(let name): savepoint(name, .release)
    case .rollbackTo(let name): savepoint(name, .rollBack)
    case .createTrigger: throw unsupported("CREATE TRIGGER")
    case .createVirtualTable: throw unsupported("CREATE VIRTUAL TABLE")
    case .alterTable: throw unsupported("ALTER TABLE")
    case .attach(let database, let name, let key): try attach(database, name, key)
    case .detach(let name): try detach(name)
    case .vacuum(let schema, let target): try vacuum(schema, into: target)
    case .analyze: throw unsupported("ANALYZE")
    case .reindex: throw unsupported("REINDEX")
    }
  }

  private func vacuum(_ schema: Name?, into target: Expression?) throws(EngineError) {
    let database = try schema.map { name throws(EngineError) in try number(of: name, SourceOffset.none) } ?? 0
    // As in SQLite, the temporary one is left alone.
    if database == 1 { return }
    builder.isReadOnly = false
    var path: Int32 = 0
    if let target {
      path = register()
      try argument(target, into: path)
    }
    builder.emit(.vacuum, Int32(database), path)
  }
}
