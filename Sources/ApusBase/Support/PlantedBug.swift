// The simulator's planted bugs: one-line mutations that a tester must find. Compiled only under the trait `PlantedBugs`;
// a normal build has neither the switch nor the mutations. `unsafe` lives here: the switch is set before the threads that read it
// start.

#if PlantedBugs
  /// What each does, and who is to find it, stands in the simulator's table.
  public enum PlantedBug: String, CaseIterable, Sendable {
    /// No bug of anybody's: every run must find it, or the alarm is broken.
    case canary

    // WAL.
    case skipWALSync, syncBesideFrames, skipLogHeaderSync, keepSaltsAtReset, acceptUncommittedTail, chainFromLastFrame
    case keepChecksumAtRollback, forgetLogHeaderAtRollback, keepDoubtfulFrame, skipRecoverySync
    case compareFrameCountOnly, writeOnStaleSnapshot, snapshotBeforeLock, leaveReadersUnguarded, restartUnderReaders
    case keepBackfillAtRestart, dropReadMark,
      keepReadLock
    case backfillBeforeWALSync, staleCheckpointPlan, forgetForeignCommits, keepDroppedCheckpoint, releaseLocksEarly
    case copyPastReaders, copyOlderFrame, resetBeforeDatabaseSync, restartHalfCopied, publishBackfillEarly,
      ignoreBackfillErrors
    case findInNewestRegion, cutToNewestLength, recoverOneFrameLess, keepCopyLock, cutLastFrame
    case checkpointSaysAll, keepCheckpointLock, keepVersionAtRestart, keepLongLog, leaveLogUncopied
    case believeHeaderOnly, forgetSyncingCommits
    case keepLockGuard, moveToZeroUncopied, settleNameByAnyRequest, resetHeldMarks
    // Rollback journal.
    case keepLongJournal, skipDirectorySyncAtSwitch
    case skipJournalSync, skipJournalCountSync, skipJournalDirectorySync, forgetJournalPage, forgetLostPages
    case skipSuperJournalSync, commitBeforeAllFilesSynced, ignoreMissingSuperJournal, keepJournalRest, finishOnlyDecided
    case trustTornRecords, skipPlaybackSync, keepChangeCounter, journaledBeforeCount
    case keepSegmentNonce, skipAdjacentSegment, skipJournalEndSync, touchedAfterWrites, askOneJournalOnly
    case cutJournalBeforeWipe, joinSuperNames, discardNeededSuperJournal, skipNameOfKeptJournal, forgetWrittenByDroppedCommit
    // Pager.
    case ackBeforeSync, acknowledgeFailedSync, evictDirtyPage, stalePageAfterRollback, keepReadsAfterRollback
    case readAheadUnverified, readAheadOverLog, checksumWithoutNumber, keepSpilledInCache, renameStaleImages,
      keepEmptyLogImages
    case keepPageCountAtRollback, loseEntryAtRelease, skipOriginalsAtRollback, busyAsIOError, loseEarlyCompletion
    case keepEqualFrames, reuseAbandonedPlaces, forgetSpilledForSavepoint, dataVersionStuck, keepStampBesideLog,
      loseEntryBehindHole
    // Freelist and pointer map.
    case allocateLockBytePage, staleMapEntryAfterBalance, staleLinkAfterMove, keepMapEditsAtRollback
    case freeWithoutUndo, cutWithoutUndo, forgetCutPages, forgetFreePool, forgetFreedContent, allocateLeafTwice, freelistCountStuck
    case heirWithoutNextTrunk, mapOnLockBytes
    // B-tree.
    case loseCellInSplit, leakOverflowChain, staleDividerKey, freeblockCoalesceOffByOne, skipSavingOtherCursors
    case wrongCollapse, forgetLastChildAtCollapse, skipRowAfterRestore
    case forgetFragments, insertInOtherGap, breakLongChain, countLeafTwice
    // Concurrent transactions.
    case compareFirstCommitOnly, forgetAllocation, validateWritesOnly, foreignSeenLate, keepStalePages
    case snapshotPageCount, keepSavepointTip, forgetLooks, dropReadsAtRollbackTo, goOnWithHalfPlace
    case cutBeforeRangeEnd, forgetGapAtEnd, forgetAbsentKey, forgetIndexRange, keepChangesAtRollbackTo
    case cancelEqualKeys, replaceNamesTableOnly, compareBytes, rebaseSkipsIndex, skipRebase, lookedAtStaysOld
    case trimOneTooEarly, publishTooFar, raiseOverwrites, raiseUnseen
    case forgetAssertedLook, forgetAssertedRowid, forgetWrittenPath, leakIsolation, forgetPlainPages
    case joinBackwardReads
    // Group commit.
    case publishBeforeSync, ackByRunningSync, retryFailedSync, pendingImagesShared, barge, answerOnPendingBase, gatherForEver
    case checkpointSyncsAlone, forgetSettled
    case keepFailedKeys, hideFailedSync, keepWriteLock
    // The log's size.
    case appendAtLimit, roomBeforeTurnOnly, waitForRoomForEver, keepOlderMark
    // Statements.
    case forgetIndexEntryOnUpdate, noUndoScopeBesideIndexes, keepProgramsAfterRollback, keepCatalogAfterRollback
    case forgetOlderSavepoints, keepDroppedStatement, keepDroppedTransaction, forgetDroppedRollback, keepHalfUndone,
      skipCookieCheck
    case forgetKeyInIndexes
    case findOuterSavepoint

    // One bug at a time. Set before the threads that run the engine start.
    nonisolated(unsafe) private static var active: PlantedBug?

    public static func isActive(_ bug: PlantedBug) -> Bool { unsafe active == bug }

    /// Switches one bug on, or all off.
    public static func plant(_ bug: PlantedBug?) { unsafe active = bug }
  }
#endif
