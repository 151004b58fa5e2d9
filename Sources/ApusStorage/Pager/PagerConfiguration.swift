// What a pager is opened with, and the names of the journal modes and the durability levels.

import ApusBase

/// How a write transaction survives a crash. Source: https://sqlite.org/pragma.html#pragma_journal_mode
public enum JournalMode: String, Sendable {
  case delete, truncate, persist, memory, off, wal
}

/// When files are synced. Source: https://sqlite.org/pragma.html#pragma_synchronous
public enum Synchronous: Int, Sendable, Comparable {
  case off = 0, normal, full, extra

  public static func < (left: Synchronous, right: Synchronous) -> Bool { left.rawValue < right.rawValue }
}

public enum CheckpointMode: Sendable { case passive, full, restart, truncate }

extension Pager {
  public struct Configuration: Sendable {
    /// For new files; an existing file says its own.
    public var pageSize = 4096
    /// Bytes at each page's end that the b-tree leaves alone; for new files.
    public var reservedBytes = 0
    /// For new files; an existing file says its own.
    public var autoVacuum = AutoVacuum.none
    /// Where the bytes lie whose page holds nothing: SQLite's place. Tests move it, so that small files reach it; the locks
    /// themselves stay where they are.
    public var lockByteOffset: Int64 = 0x4000_0000
    /// Clean pages that the connection holds: SQLite's default of `cache_size`.
    public var cacheBytes = 2_000 * 1024
    /// What PRAGMA cache_size says: pages, or KiB where negative.
    public var cacheSize: Int64 = -2_000
    /// Private pages of a write transaction before they spill.
    public var dirtyBytes = 11 << 20
    /// Images that the connections of one process share, per file.
    public var sharedCacheBytes = 8 << 20
    /// For files that are not in WAL mode; `setJournalMode` switches to WAL, and the file remembers it.
    public var journalMode = JournalMode.delete
    public var synchronous = Synchronous.full
    public var isReadOnly = false
    /// Pages that the database may have.
    public var pageCountMax: UInt32 = DatabaseHeader.pageCountMax
    /// False: a missing file is an error.
    public var mayCreate = true
    /// Frames in the log after which a commit checkpoints; 0 switches it off.
    public var autocheckpointFrames = 1000
    /// `PRAGMA locking_mode = EXCLUSIVE`: locks stay from one transaction to the next, and a log that is opened so has its
    /// index in this connection's memory.
    public var locksExclusively = false
    /// `nolock=1`: the caller keeps others away; there is no log then.
    public var ignoresLocks = false
    /// `immutable=1`: nobody changes the file, so no lock is taken, and neither a journal nor a log is looked for.
    public var isImmutable = false
    /// `PRAGMA recovery = strict`: a log that breaks off before intact commits is an error, not a warning.
    public var recoversStrictly = false
    /// `PRAGMA cache_spill`: whether private pages may be written before the commit, and how many there must be.
    public var spills = true
    public var spillPageCount = 1
    /// `PRAGMA direct_reads`: pages that no cache of the engine holds come past the system's cache.
    public var readsDirectly = false
    /// `PRAGMA journal_size_limit`: what stays of the log's file when it starts again, and of a journal that is kept; negative:
    /// all of it.
    public var journalSizeLimit: Int64 = -1

    public init() {}
  }

  public enum State: Sendable { case none, read, write }
}
