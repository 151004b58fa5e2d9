// A journal mode that was asked for and not taken would leave a proof of another mode than it says.

import Apus
import ApusHarness

extension HarnessConnection {
  /// Switches the journal mode.
  /// - Throws: `ProofFailure` where the answer is another mode, or none; the engine's error.
  func takeJournalMode(_ mode: String) throws {
    let answer = try rows("PRAGMA journal_mode = \(mode)").rows
    if answer != [[.text(mode)]] { throw ProofFailure("journal_mode = \(mode) answers \(answer)") }
  }
}

extension Connection {
  /// The first column of the first row of a statement that gives one, as text.
  func firstText(_ sql: String) throws -> String {
    let statement = try prepareBlocking(sql)
    defer { statement.finalize() }
    guard try statement.stepBlocking() else { throw ProofFailure("no row: \(sql)") }
    let value = statement.column(0)
    return value.kind == .integer ? "\(value.integerValue)" : value.bytes.string
  }

  func takeJournalMode(_ mode: String) throws {
    let answer = try firstText("PRAGMA journal_mode = \(mode)")
    if answer != mode { throw ProofFailure("journal_mode = \(mode) answers \(answer)") }
  }
}
