// The conflict report of concurrent transactions, for both doors.

import ApusBase
import ApusStorage

/// Why concurrent transactions of a file were lost, and how many commits its syncs have served: see `Database.concurrentConflicts`.
public typealias ConcurrentConflicts = ApusStorage.ConcurrentConflicts

extension Connection {
  /// What messages about the log call this connection: its number among those that this process has opened the main database's
  /// file with, from 1; 0 for a database without a file.
  public var number: Int { state.databases[0]?.pager.connectionNumber ?? 0 }

  /// What this process has seen of the concurrent transactions of a database's file since the first of its connections opened it;
  /// nil for a database in memory, a temporary one, and a name that no database has. Touches no file.
  /// - Parameter database: "main", or the name that it is attached as.
  public func concurrentConflicts(of database: String = "main") -> ConcurrentConflicts? {
    state.databaseNumber(database).flatMap { state.databases[$0]?.pager.concurrentConflicts }
  }
}
