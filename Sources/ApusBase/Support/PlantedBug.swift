// The simulator's planted bugs: one-line mutations that a tester must find. Compiled only under the trait `PlantedBugs`;
// a normal build has neither the switch nor the mutations.

#if PlantedBugs
  import Synchronization

  public enum PlantedBug: String, CaseIterable, Sendable {
    // Pager, journal, WAL.
    case skipWALSync, keepSaltsAtReset, acceptUncommittedTail, evictDirtyPage, stalePageAfterRollback
    case readAheadUnverified, checksumWithoutNumber
    case skipSuperJournalSync, commitBeforeAllFilesSynced
    case skipJournalSync, backfillBeforeWALSync, ackBeforeSync, readAheadOverLog, keepReadsAfterRollback
    case staleCheckpointPlan, forgetForeignCommits, keepDroppedCheckpoint
    case releaseLocksEarly
    // Statements.
    case forgetIndexEntryOnUpdate, noUndoScopeBesideIndexes, keepProgramsAfterRollback

    // B-tree.
    case loseCellInSplit, leakOverflowChain, staleDividerKey, freeblockCoalesceOffByOne, skipSavingOtherCursors
    case wrongCollapse
    // Pointer map.
    case staleMapEntryAfterBalance, staleLinkAfterMove
    case allocateLockBytePage

    // One bug at a time: the index of the active one, or -1.
    private static let active = Atomic<Int>(-1)

    private var index: Int { PlantedBug.allCases.firstIndex(of: self) ?? -2 }

    public static func isActive(_ bug: PlantedBug) -> Bool { active.load(ordering: .relaxed) == bug.index }

    /// Switches one bug on, or all off.
    public static func plant(_ bug: PlantedBug?) { active.store(bug?.index ?? -1, ordering: .relaxed) }
  }
#endif
