// How a database is opened.

import ApusIO

public struct Configuration: Sendable {
  /// Connections that may read at the same time. A database in memory has one connection for all.
  public var readers = 4
  /// How long a transaction waits for another's lock before it fails with `busy`.
  public var busyTimeout: Duration = .seconds(5)
  /// Prepared statements that each connection keeps for reuse.
  public var cachedStatements = 256
  public var isReadOnly = false
  /// False: opening a file that does not exist fails.
  public var mayCreate = true
  /// Pages that the engine's own caches lack come past the system's cache: for databases larger than memory. What the system's
  /// cache would have held gets slower. Where the file system refuses, `PRAGMA io_backend` says why. As `PRAGMA direct_reads`.
  public var readsDirectly = false
  /// Where files, clocks and chance come from. By default the system, with io_uring where the kernel grants it.
  public var environment: (any Environment)?

  public init() {}
}

/// How a write transaction takes its lock.
public struct WriteMode: Sendable, Hashable {
  let statement: String
  /// Waits for other writers before its first statement.
  public static let immediate = WriteMode(statement: "BEGIN IMMEDIATE")
}
