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
    case .vacuum: throw unsupported("VACUUM")
    case .analyze: throw unsupported("ANALYZE")
    case .reindex: throw unsupported("REINDEX")
    }
  }
}
