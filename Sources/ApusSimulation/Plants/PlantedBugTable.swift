// The table of the planted bugs: one entry a bug, in the order of the layers, bottom up. A bug without an entry does not compile.

#if PlantedBugs
  import ApusBase

  extension PlantedBug {
    public var entry: PlantedBugEntry {
      switch self {
      case .canary: .init(.canary, "a record stores 0 as 1", [.read, .snapshot, .durability, .walk, .pragma])

      // WAL.
      case .skipWALSync:
        .init(.wal, "a commit is answered before the log is synced", .transactions.union([.logAudit, .pragma]))
      case .keepSaltsAtReset:
        .init(.wal, "a log that begins anew keeps its salts: old frames behind the new ones count", .transactions)
      case .acceptUncommittedTail:
        .init(.wal, "recovery takes frames behind the last commit", .transactions, needs: .powerCut)
      case .backfillBeforeWALSync:
        .init(.wal, "a checkpoint copies frames that no sync has covered", .transactions, needs: .powerCut)
      case .staleCheckpointPlan:
        .init(.wal, "the WAL-reset race: a checkpoint plans from what it read before it had the lock", .transactions)
      case .forgetForeignCommits:
        .init(.wal, "a checkpoint that truncates takes its own view of the log for the newest", .transactions)
      case .keepDroppedCheckpoint:
        .init(
          .wal, "a checkpoint dropped at a wait goes on later with its old plan", .transactions, needs: .cancellation)
      case .releaseLocksEarly:
        .init(
          .wal, "a dropped checkpoint lets go of its lock while its writes are in flight", .transactions,
          needs: .cancellation)

      // Rollback journal.
      case .skipJournalSync:
        .init(.journal, "the database is overwritten before its journal is synced", .transactions, needs: .powerCut)
      case .ackBeforeSync:
        .init(
          .journal, "a commit is answered before the database, or the log, is synced",
          .transactions.union([.logAudit, .pragma]))
      case .skipSuperJournalSync:
        .init(.journal, "the super-journal is not synced before the journals name it", .transactions, needs: .powerCut)
      case .commitBeforeAllFilesSynced:
        .init(.journal, "a commit over two files ends before both are synced", .transactions, needs: .powerCut)

      // Pager.
      case .evictDirtyPage: .init(.pager, "a changed page that is spilled is not written", .transactions)
      case .stalePageAfterRollback: .init(.pager, "a rollback leaves one changed page in the cache", .transactions)
      case .keepReadsAfterRollback:
        .init(.pager, "ROLLBACK TO keeps reads in flight that were begun before it", .transactions)
      case .readAheadUnverified:
        .init(.pager, "pages that a scan reads ahead are not checked", [.read], needs: .damage)
      case .readAheadOverLog:
        .init(.pager, "a scan reads ahead pages whose newest version is in the log", .transactions)
      case .checksumWithoutNumber:
        .init(.pager, "a page's checksum leaves out its number", [.read], needs: .damage)

      // Freelist and pointer map.
      case .allocateLockBytePage: .init(.freelist, "the page of the lock bytes is used", .structure)
      case .staleMapEntryAfterBalance:
        .init(.freelist, "balance leaves the pointer map of a leaf's children", .structure)
      case .staleLinkAfterMove: .init(.freelist, "an overflow page moves, the link to it stays", .structure)

      // B-tree.
      case .loseCellInSplit: .init(.btree, "a split of a large leaf loses its last cell", .structure)
      case .staleDividerKey: .init(.btree, "a divider takes the key before the last on its left", .structure)
      case .wrongCollapse: .init(.btree, "a root that takes its only child's content loses a cell", .structure)
      case .leakOverflowChain: .init(.btree, "the overflow chain of a row that goes is not freed", [.walk])
      case .freeblockCoalesceOffByOne: .init(.btree, "two free blocks that meet become one byte too long", .structure)
      case .skipSavingOtherCursors:
        .init(.btree, "a change leaves other cursors on the pages that it moves", .structure)

      // Compiler.
      case .forgetIndexEntryOnUpdate: .init(.compiler, "UPDATE leaves the last index as it was", .structure)

      // Virtual machine.
      case .noUndoScopeBesideIndexes:
        .init(.machine, "a statement that fails half way is not undone where a table has indexes", .structure)
      case .keepProgramsAfterRollback:
        .init(.machine, "statements compiled for a schema that was rolled back run on", .structure)
      }
    }
  }
#endif
