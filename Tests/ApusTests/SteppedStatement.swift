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

/// A text whose preparing and running goes on by single waits, to its first row or its end.
final class SteppedText {
  private let connection: Connection
  private let sql: String
  private var statement: PreparedStatement?
  /// Where it has stopped; what it waits for comes with the next call.
  private var wait: Wait?
  private(set) var isOver = false
  /// The first column of the row; nil where there is none.
  private(set) var value: String?

  init(_ connection: Connection, _ sql: String) {
    self.connection = connection
    self.sql = sql
  }

  func goOn(_ waits: Int) throws {
    var left = waits
    while left > 0, !isOver {
      left -= 1
      if let wait { connection.wait(for: wait) }
      wait = nil
      do throws(Fault) {
        if statement == nil { statement = try connection.prepare(sql) }
      } catch {
        guard case .wait(let wait) = error else { throw error }
        self.wait = wait
        continue
      }
      guard let statement else { return }
      switch try statement.step() {
      case .pending(let wait): self.wait = wait
      case .row:
        if case .integer(let number) = ColumnReader(statement.column(0)).value { value = "\(number)" }
        end()
      case .done: end()
      }
    }
  }

  private func end() {
    isOver = true
    statement?.finalize()
  }
}
