// A copy of the database while others work on it: a connection's online backup into a file, as one long statement.

import Apus
import ApusBase
import ApusIO

/// Where a copy goes, and how it is made.
struct CopyPlan {
  var path: String
  /// Of each step; the source is free between two of them. Negative: all.
  var pagesPerStep: Int
  /// Copies that others' commits may spoil before one keeps its snapshot.
  var restartCountMax: Int
}

/// The backup of one `CopyPlan`, with what is left of it when it is dropped.
final class RunningCopy {
  private let backup: ConnectionBackup
  private let plan: CopyPlan
  private var isDone = false

  init(_ plan: CopyPlan, of connection: Connection) throws(EngineError) {
    self.plan = plan
    backup = try connection.makeBackup(toFile: plan.path)
    backup.restartCountMax = plan.restartCountMax
  }

  /// - Throws: `.wait`, between two steps too.
  func goOn() throws(Fault) {
    if !isDone {
      isDone = try backup.step(pages: plan.pagesPerStep)
      if !isDone { throw .wait(.nothing) }
    }
    try backup.finish()
  }

  /// Nobody goes on with it.
  func end() throws(Fault) { try backup.finish() }
}
