// How the connections of a database are opened, and what they are told first.

import ApusBase
import ApusIO

struct ConnectionSetup: Sendable {
  let path: String
  let options: Connection.Options
  let environment: any Environment
  let busyTimeoutMilliseconds: Int
  /// Several connections can be open on it: it is a file.
  let isShared: Bool
  private let forkCount: Int
  /// One for all databases of the process: two that are open on one file share its cache, its commit queue and what they know of
  /// each other's transactions. With an environment of its own each would pass for another process.
  private static let system = SystemEnvironment()

  init(_ path: String, _ configuration: Configuration) throws(ApusError) {
    self.path = path
    var options = Connection.Options()
    options.isReadOnly = configuration.isReadOnly
    options.mayCreate = configuration.mayCreate && !configuration.isReadOnly
    options.interpretsURI = true
    options.pager.readsDirectly = configuration.readsDirectly
    self.options = options
    environment = configuration.environment ?? Self.system
    forkCount = environment.forkCount
    busyTimeoutMilliseconds = Int(clamping: configuration.busyTimeout.clampedCount(perSecond: 1000))
    do {
      if case .file = try DatabaseLocation(path, interpretsURI: true).place { isShared = true } else { isShared = false }
    } catch {
      throw ApusError(error)
    }
  }
}

extension ConnectionSetup {
  /// - Throws: SQLITE_MISUSE in a fork of the process that opened the database: its threads are the parent's.
  func checkProcess() throws(ApusError) {
    if environment.forkCount == forkCount { return }
    throw ApusError(
      .misuse, "bad parameter or other API misuse", cause: "the database was opened before fork, by the parent process",
      hint: "open it in the child process")
  }
}

/// The opening of one connection; called again after each wait.
final class ConnectionOpening: @unchecked Sendable {
  private let setup: ConnectionSetup
  private var connection: Connection?
  private var statements: [String] = []
  private var run: StatementRun?

  init(_ setup: ConnectionSetup) { self.setup = setup }

  func open(_ handle: ConnectionHandle) throws(Fault) {
    if connection == nil {
      let opened: Connection
      do {
        opened = try Connection(setup.path, setup.options, environment: setup.environment)
      } catch {
        throw Fault.failure(error)
      }
      opened.busyTimeoutMilliseconds = setup.busyTimeoutMilliseconds
      connection = opened
      handle.adopt(opened)
      if setup.isShared, handle.role == .write, !opened.isReadOnly { statements.append("PRAGMA journal_mode = wal") }
    }
    while let statement = statements.first {
      let current = run ?? StatementRun(SQL.own(statement))
      run = current
      _ = try current.execute(handle)
      run = nil
      statements.removeFirst()
    }
  }
}
