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
          .wal, "a checkpoint dropped at a wait goes on later with its old plan",
          .transactions.union([.leak, .liveness]), needs: .cancellation)
      case .releaseLocksEarly:
        .init(
          .wal, "a dropped checkpoint lets go of its lock while its writes are in flight", .transactions,
          needs: .cancellation)
      case .syncBesideFrames:
        .init(
          .wal, "the sync of a commit is submitted beside its frames, not behind them", .transactions.union([.logAudit])
        )
      case .skipLogHeaderSync:
        .init(.wal, "the header of a log that begins anew is not synced", .transactions.union([.logAudit]))
      case .chainFromLastFrame:
        .init(
          .wal, "recovery goes on from the checksum of the last frame, not of the last commit",
          .transactions.union([.logAudit]))
      case .keepChecksumAtRollback:
        .init(
          .wal, "a rollback leaves the running checksum of the frames that it takes back",
          .transactions.union([.logAudit]))
      case .forgetLogHeaderAtRollback:
        .init(.wal, "a rollback forgets that it took back the log header too", .transactions.union([.logAudit]))
      case .keepDoubtfulFrame:
        .init(.wal, "a frame that may have been written in part is taken for written", .transactions.union([.logAudit]))
      case .skipRecoverySync:
        .init(.wal, "recovery shows commits that no sync has covered", .transactions, needs: .powerCut)
      case .compareFrameCountOnly:
        .init(.wal, "another snapshot is told by its count of frames alone", .transactions)
      case .writeOnStaleSnapshot:
        .init(.wal, "a reader becomes a writer although somebody has committed since", .transactions)
      case .snapshotBeforeLock:
        .init(.wal, "a writer reads which commit is the newest before it has the write lock", .transactions)
      case .leaveReadersUnguarded:
        .init(.wal, "a transaction that ends leaves those of its connection who read on without a read mark", .transactions)
      case .restartUnderReaders:
        .init(.wal, "the log begins anew while others read it", .transactions)
      case .keepBackfillAtRestart:
        .init(.wal, "a log that begins anew keeps the count of the frames that were copied", .transactions)
      case .dropReadMark:
        .init(.wal, "a reader gives its read mark back at once", .transactions)
      case .keepReadLock:
        .init(.wal, "a reader forgets to give its read mark back", [.leak, .liveness])
      case .copyPastReaders:
        .init(.wal, "a checkpoint copies frames that are newer than a reader", .transactions)
      case .copyOlderFrame:
        .init(.wal, "of two frames of a page the older is copied", .transactions)
      case .resetBeforeDatabaseSync:
        .init(
          .wal, "a checkpoint counts as done before the database is synced", .transactions.union([.logAudit]))
      case .restartHalfCopied:
        .init(.wal, "the log begins anew before all of it was copied", .transactions)
      case .publishBackfillEarly:
        .init(.wal, "the count of copied frames is published before they are", .transactions)
      case .ignoreBackfillErrors:
        .init(
          .wal, "a write of a checkpoint that failed counts as done", .transactions.union([.faultAccount]),
          needs: .fault)
      case .findInNewestRegion:
        .init(.wal, "a page is looked for in the newest region of the wal-index alone", .transactions)
      case .cutToNewestLength:
        .init(.wal, "a checkpoint that a reader holds back cuts the database to its newest length", .transactions)
      case .recoverOneFrameLess:
        .init(.wal, "recovery leaves out the last frame where the file ends with it", .transactions)
      case .keepCopyLock:
        .init(.wal, "a checkpoint that fails keeps the lock on read mark 0", [.leak, .liveness], needs: .fault)
      case .cutLastFrame:
        .init(.wal, "the cut of a log that has begun anew takes its last frame too", .transactions.union([.logAudit]))

      case .checkpointSaysAll:
        .init(.wal, "a checkpoint that readers held back answers that it has copied all", [.pragma])
      case .keepCheckpointLock: .init(.wal, "a checkpoint that was in somebody's way keeps its lock", [.leak])
      case .keepVersionAtRestart:
        .init(.wal, "data_version stays where others have committed to a log that began anew", [.snapshot])
      case .keepLongLog: .init(.wal, "a log that begins anew stays as long as it was", [.logSize])
      case .leaveLogUncopied: .init(.wal, "a log that is left goes before it is copied", .transactions)
      case .believeHeaderOnly:
        .init(.wal, "a log counts only where the file's header says that there is one", .transactions, needs: .powerCut)
      case .forgetSyncingCommits:
        .init(
          .wal, "a checkpoint at synchronous OFF copies what others were promised without a sync", .transactions, needs: .powerCut)

      case .keepLockGuard:
        .init(.wal, "a snapshot that got a read mark still ends with the write lock", .transactions)
      case .moveToZeroUncopied:
        .init(.wal, "a snapshot moves to read mark 0 before all is copied", .transactions)
      case .settleNameByAnyRequest:
        .init(.wal, "the end of any request passes for the sync of the log's name", .transactions, needs: .powerCut)
      case .resetHeldMarks:
        .init(.wal, "recovery resets read marks that others hold", .transactions, needs: .fault)

      // Rollback journal.
      case .keepLongJournal: .init(.journal, "a journal that stays is not cut to its limit", [.logSize])
      case .skipDirectorySyncAtSwitch:
        .init(.journal, "the journal of a new journal mode may come back", .transactions, needs: .powerCut)
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
      case .journaledBeforeCount:
        .init(.journal, "pages count as journaled before the journal counts them", .transactions, needs: .fault)
      case .skipJournalCountSync:
        .init(
          .journal, "the count of the journal is written before its records are synced", .transactions, needs: .powerCut
        )
      case .skipJournalDirectorySync:
        .init(.journal, "the name of a new journal is not synced", .transactions, needs: .powerCut)
      case .forgetJournalPage:
        .init(.journal, "a page of a large change is not journaled", .transactions)
      case .forgetLostPages:
        .init(.journal, "pages that a change takes off the end are not journaled", .transactions)
      case .ignoreMissingSuperJournal:
        .init(.journal, "a journal whose super-journal is gone is played back all the same", .transactions)
      case .keepJournalRest:
        .init(.journal, "the super-journal's name is not the last of a journal that was longer", .transactions, needs: .powerCut)
      case .finishOnlyDecided:
        .init(.journal, "a dropped COMMIT of several files is taken for undone where one is behind its commit point", .transactions)
      case .trustTornRecords:
        .init(.journal, "playback believes records whose checksum is wrong", .transactions, needs: .powerCut)
      case .skipPlaybackSync:
        .init(.journal, "a hot journal goes before what it put back is synced", .transactions, needs: .powerCut)
      case .keepChangeCounter:
        .init(.journal, "a commit leaves the change counter", .transactions)
      case .keepSegmentNonce:
        .init(.journal, "playback checks the later segments of a journal by the first one's nonce", .transactions)
      case .skipAdjacentSegment:
        .init(.journal, "playback passes over a segment that begins right where the records before it end", .transactions)
      case .skipJournalEndSync:
        .init(.journal, "with EXTRA the end of a journal's name is not synced", .transactions, needs: .powerCut)
      case .touchedAfterWrites:
        .init(.journal, "the database counts as touched only when the writes to it have ended", .transactions)
      case .askOneJournalOnly:
        .init(.journal, "of the journals that a super-journal names one is looked at before it goes", .transactions)

      case .cutJournalBeforeWipe:
        .init(.journal, "a journal that stays is cut to its limit before its header is wiped", .transactions, needs: .powerCut)
      case .joinSuperNames:
        .init(.journal, "the last name in a super-journal has no end, and is not looked at", .transactions, needs: .powerCut)
      case .discardNeededSuperJournal:
        .init(
          .journal, "the super-journal of a transaction that was undone in part is deleted", .transactions, needs: .fault)
      case .skipNameOfKeptJournal:
        .init(.journal, "the name of a new journal that is to stay is not synced", .transactions, needs: .powerCut)
      case .forgetWrittenByDroppedCommit:
        .init(
          .journal, "what a dropped COMMIT has written does not count as written when its transaction goes on", .transactions,
          needs: .cancellation)

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
      case .acknowledgeFailedSync:
        .init(
          .pager, "a sync that failed counts as done", .transactions.union([.faultAccount, .logAudit]), needs: .fault)
      case .keepSpilledInCache:
        .init(.pager, "what was spilled by a transaction stays in the shared cache when it ends", .transactions)
      case .renameStaleImages:
        .init(.pager, "images of an old version of the file get the name of the new one", .transactions)
      case .keepEmptyLogImages:
        .init(.pager, "images of an empty log keep their name when the log is deleted", .transactions)
      case .keepPageCountAtRollback:
        .init(.pager, "ROLLBACK TO keeps the count of pages", .transactions)
      case .loseEntryAtRelease:
        .init(.pager, "RELEASE loses what an outer savepoint needs for its undoing", .transactions)
      case .skipOriginalsAtRollback:
        .init(.pager, "ROLLBACK TO leaves the first image of a page", .transactions)
      case .busyAsIOError:
        .init(.pager, "a lock that is not had is told as an I/O error", [.error])
      case .loseEarlyCompletion:
        .init(.pager, "a completion that comes before somebody waits for it is lost", [.liveness, .error, .leak])
      case .keepEqualFrames:
        .init(.pager, "a clean page stays if its frame has the same number in the log of the new snapshot", .transactions)
      case .reuseAbandonedPlaces:
        .init(
          .pager, "places in the file of savepoints' images are used again while given up writes to them are under way",
          .transactions)
      case .forgetSpilledForSavepoint:
        .init(.pager, "a page that is spilled to the log is not kept for the savepoint", .transactions)
      case .dataVersionStuck:
        .init(.pager, "PRAGMA data_version stays when others commit to the log", [.snapshot, .pragma])
      case .keepStampBesideLog:
        .init(.pager, "images from before a log came are taken for the file's when it has gone", .transactions)
      case .loseEntryBehindHole:
        .init(
          .pager, "a page that leaves the table leaves one behind the hole that belongs there",
          .transactions.union([.trap]))

      // Concurrent transactions.
      case .compareFirstCommitOnly:
        .init(.concurrency, "of what was committed since the snapshot the first frame alone is compared", .transactions)
      case .forgetAllocation:
        .init(.concurrency, "page 1 is not compared: two transactions take one page", .transactions)
      case .validateWritesOnly:
        .init(.concurrency, "pages that were only looked at are not compared", .transactions)
      case .foreignSeenLate:
        .init(.concurrency, "what is compared with is read before the write lock is had", .transactions)
      case .keepStalePages:
        .init(.concurrency, "pages that others have changed stay in the committer's table", .transactions)
      case .snapshotPageCount:
        .init(.concurrency, "the commit counts the pages of the snapshot", .transactions)
      case .keepSavepointTip:
        .init(.concurrency, "ROLLBACK TO forgets what others have committed below", .transactions)
      case .forgetLooks:
        .init(.concurrency, "one page in eight is looked at unseen", .transactions)
      case .dropReadsAtRollbackTo:
        .init(.concurrency, "ROLLBACK TO forgets what was looked at", .transactions)
      case .goOnWithHalfPlace:
        .init(
          .concurrency, "a statement goes on behind a wait that came while the transaction took its place",
          .transactions.union([.trap]))
      case .cutBeforeRangeEnd:
        .init(.concurrency, "a scan that ends at an entry records the range up to before it", .transactions)
      case .forgetGapAtEnd:
        .init(.concurrency, "a scan that meets the end of the tree records no gap behind the last entry", .transactions)
      case .forgetAbsentKey:
        .init(.concurrency, "a seek that finds nothing records nothing", .transactions)
      case .forgetIndexRange:
        .init(.concurrency, "reads through an index record the keys of the table only", .transactions)
      case .keepChangesAtRollbackTo:
        .init(.concurrency, "ROLLBACK TO leaves the changes of one tree in the log", .transactions)
      case .cancelEqualKeys:
        .init(.concurrency, "a removal and an insertion of equal keys cancel out though their bytes differ", .transactions)
      case .replaceNamesTableOnly:
        .init(.concurrency, "rows removed by REPLACE leave their index entries out of the log", .transactions)
      case .compareBytes:
        .init(.concurrency, "keys are compared as bytes", .transactions)
      case .rebaseSkipsIndex:
        .init(.concurrency, "the first of several trees is left out of a rebase", .transactions)
      case .skipRebase:
        .init(.concurrency, "pages that others have changed are appended as they are", .transactions)
      case .lookedAtStaysOld:
        .init(.concurrency, "what was looked at does not grow by the pages of commits that passed", .transactions)
      case .trimOneTooEarly:
        .init(.concurrency, "the commit next behind the oldest snapshot is let go, and the gap passes", .transactions)

      case .raiseOverwrites:
        .init(.concurrency, "a rebase writes its own value of a sequence, not the larger one", .transactions)
      case .raiseUnseen:
        .init(.concurrency, "who has read a sequence is not compared with those who raise it", .transactions)
      case .publishTooFar:
        .init(
          .concurrency, "commits count as published before they are: their entries go too early, and the gap passes",
          .transactions)
      case .forgetAssertedLook:
        .init(.concurrency, "at snapshot isolation a constraint's look-up is a plain read", .transactions)
      case .forgetAssertedRowid:
        .init(.concurrency, "at snapshot isolation a constraint's look-up of a row id is a plain read", .transactions)
      case .forgetWrittenPath:
        .init(.concurrency, "at snapshot isolation the path to what is written is not looked at", .transactions)
      case .leakIsolation:
        .init(.concurrency, "a transaction has the isolation that the one before it in the process asked for", .transactions)
      case .forgetPlainPages:
        .init(.concurrency, "at snapshot isolation plain pages are not kept for what goes on behind its place", .transactions)
      case .joinBackwardReads:
        .init(.concurrency, "a read before the last one is joined with it without its lower end", .transactions)

      // Group commit.
      case .publishBeforeSync:
        .init(.concurrency, "a commit is visible before the group's sync", .transactions)
      case .ackByRunningSync:
        .init(.concurrency, "a commit appended while a sync runs is answered by it", .transactions)
      case .retryFailedSync:
        .init(
          .concurrency, "behind a failed sync the commit is synced again, and believed",
          .transactions.union([.faultAccount, .logAudit, .liveness]))
      case .pendingImagesShared:
        .init(.concurrency, "images of commits that may fail are in the shared cache", .transactions)
      case .barge: .init(.concurrency, "whoever asks when the turn is free gets it, before the line", [.liveness])
      case .gatherForEver:
        .init(.concurrency, "a sync that waits for more commits waits until all have come", [.liveness])
      case .checkpointSyncsAlone:
        .init(
          .concurrency, "a failed sync of a checkpoint is not told to the commits that it may have taken away",
          .transactions.union([.logAudit]), needs: .fault)
      case .forgetSettled: .init(.concurrency, "who is told that its commit is settled does not tell the next", [.liveness])
      case .answerOnPendingBase:
        .init(.concurrency, "what was found on a commit that may fail is told at once", .transactions)
      case .keepFailedKeys:
        .init(
          .concurrency, "behind a failed sync the keys of the commits that failed with it stay in the history",
          .transactions, needs: .fault)
      case .hideFailedSync:
        .init(
          .concurrency, "who has the turn is not told of a failed sync that was to cover what it has spilled",
          .transactions.union([.logAudit, .faultAccount]), needs: .fault)
      case .keepWriteLock:
        .init(.concurrency, "a process whose commits are all settled keeps the write lock", [.leak, .liveness, .error])

      // The log's size.
      case .appendAtLimit: .init(.concurrency, "whoever has the turn appends, however long the log is", [.logSize])
      case .roomBeforeTurnOnly:
        .init(.concurrency, "the log's size is looked at before the turn, and not again when that has come", [.logSize])
      case .waitForRoomForEver: .init(.concurrency, "the wait for room in the log has no end", [.liveness])
      case .keepOlderMark:
        .init(.concurrency, "who makes room stays on a mark that is older than its snapshot", [.liveness])

      // Freelist and pointer map.
      case .allocateLockBytePage: .init(.freelist, "the page of the lock bytes is used", .structure)
      case .staleMapEntryAfterBalance:
        .init(.freelist, "balance leaves the pointer map of a leaf's children", .structure)
      case .staleLinkAfterMove: .init(.freelist, "an overflow page moves, the link to it stays", .structure)
      case .keepMapEditsAtRollback:
        .init(.freelist, "ROLLBACK TO keeps the edits of the pointer map", .transactions)
      case .freeWithoutUndo:
        .init(.freelist, "a page that is freed is not kept for undoing", .transactions)
      case .cutWithoutUndo:
        .init(.freelist, "a page that is cut off the file's end is not kept for undoing", .transactions)
      case .forgetCutPages:
        .init(.freelist, "what a dropped COMMIT has cut off the file does not come back with ROLLBACK TO", .transactions)
      case .forgetFreePool:
        .init(.freelist, "ROLLBACK TO behind a dropped COMMIT forgets the freelist that is in memory", .transactions)
      case .forgetFreedContent:
        .init(.freelist, "the content of a page that is freed and used again is not kept", .transactions)
      case .allocateLeafTwice:
        .init(.freelist, "a leaf of the freelist is given out and stays in it", .transactions)
      case .freelistCountStuck:
        .init(.freelist, "the count of free pages in the header stays", .transactions)
      case .heirWithoutNextTrunk:
        .init(.freelist, "a leaf that takes a trunk's place leaves the trunks behind it out", .structure)
      case .mapOnLockBytes:
        .init(.freelist, "the page of the pointer map that falls on the lock bytes does not move", .structure)

      // B-tree.
      case .loseCellInSplit: .init(.btree, "a split of a large leaf loses its last cell", .structure)
      case .staleDividerKey: .init(.btree, "a divider takes the key before the last on its left", .structure)
      case .wrongCollapse: .init(.btree, "a root that takes its only child's content loses a cell", .structure)
      case .forgetLastChildAtCollapse:
        .init(.btree, "a page below a root that collapses keeps the number of a child that is gone", .structure)
      case .leakOverflowChain: .init(.btree, "the overflow chain of a row that goes is not freed", [.walk])
      case .freeblockCoalesceOffByOne: .init(.btree, "two free blocks that meet become one byte too long", .structure)
      case .skipSavingOtherCursors:
        .init(.btree, "a change leaves other cursors on the pages that it moves", .structure)
      case .skipRowAfterRestore:
        .init(.btree, "a cursor that finds its place again passes over a row", .transactions)
      case .forgetFragments:
        .init(.btree, "a free block that is used whole leaves its rest out of the count of fragments", .structure)
      case .insertInOtherGap:
        .init(.btree, "a row is inserted where another one was deleted", .transactions)
      case .breakLongChain:
        .init(.btree, "an overflow chain that is made in several steps is not linked where it goes on", .structure)

      case .countLeafTwice:
        .init(.btree, "a count that waits at the end of a leaf counts that twice", [.read])

      // Compiler.
      case .forgetIndexEntryOnUpdate: .init(.compiler, "UPDATE leaves the last index as it was", .structure)
      case .forgetKeyInIndexes:
        .init(.compiler, "UPDATE of a key leaves the indexes as they were", .transactions)

      // Virtual machine.
      case .noUndoScopeBesideIndexes:
        .init(.machine, "a statement that fails half way is not undone where a table has indexes", .structure)
      case .keepProgramsAfterRollback:
        .init(.machine, "statements compiled for a schema that was rolled back run on", .structure)
      case .keepCatalogAfterRollback:
        .init(.machine, "the schema of a transaction that was rolled back stays in the catalog", .transactions)
      case .forgetOlderSavepoints:
        .init(.machine, "the older savepoints are not told of a database that is written first", .transactions)
      case .keepDroppedStatement:
        .init(.machine, "a dropped statement in a transaction is not undone", .transactions, needs: .cancellation)
      case .keepDroppedTransaction:
        .init(.machine, "a dropped statement in autocommit mode is not undone", .transactions, needs: .cancellation)
      case .keepHalfUndone:
        .init(.machine, "what a ROLLBACK TO that fails has undone by then is committed", .transactions, needs: .fault)
      case .forgetDroppedRollback:
        .init(.machine, "a ROLLBACK that is dropped leaves the transaction half undone", .transactions, needs: .cancellation)
      case .skipCookieCheck:
        .init(.machine, "a statement runs on a schema that has changed", .transactions)
      case .findOuterSavepoint:
        .init(.machine, "of two savepoints of one name the outer one is found", .transactions)
      }
    }
  }
#endif
