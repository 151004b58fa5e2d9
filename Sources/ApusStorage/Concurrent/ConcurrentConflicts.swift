// The conflict report: what became of the concurrent transactions of a file, and how its commits were synced (SPEC, "The
// conflict"). Counted where a mutex is held anyway: once for each transaction that is lost or commits, once for each sync.

import ApusBase

/// What this process has seen of the concurrent transactions of one file, since the first of its connections opened the file.
///
/// A copy: it does not change. Counts of other processes are not in it.
public struct ConcurrentConflicts: Sendable, Hashable {
  /// Why a transaction was lost. The raw value is what `PRAGMA concurrent_conflicts` says.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// A row that it changed, or that one of its constraints rests on; or a neighbour of one, where it has read that.
    case key
    /// A row that it has only read, or a place in the table where it has found none.
    case range
    /// The same two for an entry of an index.
    case indexKey = "index key"
    case indexRange = "index range"
    /// All rows of a table went that it had used.
    case allRows = "all rows"
    /// A page that it had looked at, changed by a commit of this process whose keys are not known.
    case page
    /// A page that it had looked at, changed by a commit of another process.
    case foreignPage = "foreign page"
    /// The schema was changed.
    case schema
    /// It changes the schema itself, and another one has committed.
    case schemaChange = "schema change"
    /// The log was started again or recovered by another process: what was committed cannot be told.
    case log
    /// The log had reached `PRAGMA wal_size_limit`, and its own snapshot was what held it back.
    case logSize = "log size"
    /// At snapshot isolation: its COMMIT was given up when others had changed what it had only read.
    case oldReads = "old reads"
  }

  /// Transactions that were lost for one reason in one table.
  public struct Loss: Sendable, Hashable {
    /// nil where the reason is not a table's. Tables with names of their own beyond the first 1,000 count here, too.
    public var table: String?
    public var kind: Kind
    public var count: Int

    public init(table: String? = nil, kind: Kind, count: Int) {
      self.table = table
      self.kind = kind
      self.count = count
    }
  }

  /// Most first; each transaction counts once, with the first reason that was found.
  public var losses: [Loss] = []
  /// Concurrent transactions that have committed a change.
  public var commitCount = 0
  /// Those of them whose changes were made anew on the newest pages.
  public var rebaseCount = 0
  /// Syncs of the log that have made commits visible which waited for them, of whatever kind of transaction. A connection that is
  /// alone with its file syncs for itself, and does not count.
  public var groupCount = 0
  /// The commits that they have made visible.
  public var groupedCommitCount = 0
  /// Most commits of one such sync.
  public var largestGroup = 0

  public var lossCount: Int { losses.reduce(0) { $0 + $1.count } }

  public init() {}
}

/// The counters of `CommitHistory`.
struct ConflictCounters: Sendable {
  private struct Key: Hashable {
    var table: String?
    var kind: ConcurrentConflicts.Kind
  }

  /// Names come and go with their tables: beyond so many reasons only the kind is kept.
  private static let keyCountMax = 1000

  private var losses: [Key: Int] = [:]
  var commitCount = 0
  var rebaseCount = 0

  mutating func addLoss(_ kind: ConcurrentConflicts.Kind, table: String?) {
    var key = Key(table: table, kind: kind)
    if losses[key] == nil, losses.count >= Self.keyCountMax { key.table = nil }
    losses[key, default: 0] += 1
  }

  func report() -> ConcurrentConflicts {
    var report = ConcurrentConflicts()
    report.commitCount = commitCount
    report.rebaseCount = rebaseCount
    report.losses = losses.map { ConcurrentConflicts.Loss(table: $0.key.table, kind: $0.key.kind, count: $0.value) }
    report.losses.sort { left, right in
      if left.count != right.count { return left.count > right.count }
      let (leftTable, rightTable) = (left.table ?? "", right.table ?? "")
      return leftTable != rightTable ? leftTable < rightTable : left.kind.rawValue < right.kind.rawValue
    }
    return report
  }
}

extension Pager {
  /// The conflict report of the file; nil for a database in memory or a temporary one. Costs two mutexes; touches no file.
  public var concurrentConflicts: ConcurrentConflicts? {
    guard let cache = store?.cache else { return nil }
    var report = cache.history.conflicts
    cache.commits.addGroups(to: &report)
    return report
  }
}
