import ApusBase
import ApusStorage
import ApusVM

@testable import Apus

/// A statement that is stepped by hand: each call goes on to the next wait.
struct Stepped {
  let statement: PreparedStatement

  init(_ connection: Connection, _ sql: String) throws {
    statement = try connection.prepareBlocking(sql)
  }

  /// Goes on over the waits that `waits` says yes to.
  func goOn(through waits: (Wait) -> Bool) throws -> StepResult {
    while true {
      let result = try statement.step()
      guard case .pending(let wait) = result else { return result }
      if !waits(wait) { return result }
      statement.connection.wait(for: wait)
    }
  }
}
