// BEGIN, COMMIT, ROLLBACK and savepoints.

import ApusBase
import ApusSQL
import ApusVM

extension Generator {
  func begin(_ mode: TransactionMode) throws(EngineError) {
    switch mode {
    case .concurrent, .deferred: break
    case .immediate, .exclusive:
      // As SQLite does, every database takes part: a write lock now cannot fail with BUSY later. The temporary one has no
      // lock to take.
      for database in context.schemas.databases.indices where database != 1 {
        builder.emit(.transaction, Int32(database), mode == .exclusive ? 2 : 1, p5: 2)
      }
    }
    builder.emit(.autoCommit, 0, 0, mode == .concurrent ? 1 : 0)
  }

  func commit() { builder.emit(.autoCommit, 1, 0) }

  func rollback() { builder.emit(.autoCommit, 1, 1) }

  func savepoint(_ name: Name, _ operation: SavepointOperation) {
    builder.emit(.savepoint, operation.rawValue, p4: builder.messageIndex(name.text))
  }
}

/// p1 of `savepoint`.
enum SavepointOperation: Int32 { case open = 0, release = 1, rollBack = 2 }
