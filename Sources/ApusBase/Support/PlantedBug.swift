// The simulator's planted bugs: one-line mutations that a tester must find. Compiled only under the trait `PlantedBugs`;
// a normal build has neither the switch nor the mutations.

#if PlantedBugs
  import Synchronization

  /// What each does, and who is to find it, stands in the simulator's table.
  public enum PlantedBug: Int, CaseIterable, Sendable {
    /// No bug of anybody's: every run must find it, or the alarm is broken.
    case canary

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

    // One bug at a time: the number of the active one, or -1.
    private static let active = Atomic<Int>(-1)

    public var name: String { "\(self)" }

    public init?(name: String) {
      guard let bug = Self.allCases.first(where: { $0.name == name }) else { return nil }
      self = bug
    }

    public static func isActive(_ bug: PlantedBug) -> Bool { active.load(ordering: .relaxed) == bug.rawValue }

    /// Switches one bug on, or all off.
    public static func plant(_ bug: PlantedBug?) { active.store(bug?.rawValue ?? -1, ordering: .relaxed) }
  }
#endif
