// The names of what a run draws: they stand on the tape, so that a recorded value finds its draw again when the code around
// it has changed. A new draw takes a new name, at any place of its group.

/// What one draw is for. Whatever it is, 0 must be its simplest outcome: no fault, no switch, the smallest size.
public enum Choice: String, CaseIterable, Sendable {
  // The profile.
  case pageSize, isRollback, journal, synchronous, cachePages, autocheckpointFrames, clientCount, processCount, cutCount
  case mixesLevels
  case stepsPerEra, keyCount, payloadMax, operationCountMax, injectsFaults, cancelOneIn, scanOneIn, hasCache
  case checkpointOneIn, autoVacuum, hasChecksums, attaches, isVolatile, vacuumOneIn, lockByteOffset, auditEvery
  case hasComingTables, hasLists, isConcurrent, reconnectsOften, hasKeys, isolation, writersKind, hasLanes, nameBytes
  case hasSizeLimit, sizeLimitFrames, hasJournalLimit, journalLimitBytes, switchesJournal, switchOneIn, isTight, spills, locksAtMap
  case locksExclusively, locksLate
  case callsBetweenMax, regionFrameCount, trunkLeafCount, noteByteCount, ofMarks, logGoesOn, mixesJournals, readsOften
  case hasTide, tide, tideCommitsAgain, failsAtTurns, hasLogBeside

  // The world: a process's own generator, the page faults of a connection (0: none), who belongs to which process.
  case processSeed, pageFaultSeed, process

  // The schedule; `ran` is a client's name and 1, `atStep` no choice but the step in which a span began.
  case clockAdvance, completes, request, ran, atStep

  // What other processes do between two calls of one.
  case othersSteps, callsBetween

  // The kernel's page cache.
  case cached, cachedLength

  // The power cut, and those that are only looked at.
  case probes, recovers, damagesHeader, headerDamage, survival, keptChanges, keptNames, losesChange, tears, losesSector
  case cutsAfterKill, stepsAfterKill, cutsAtSync, cutsAfterFailure
  case cutsRecovery, recoveryOther, recoverySteps, recoveryCompletes

  // A client's transactions.
  case drops, dropsLate, dropsAtAnyWait, dropWait, dropSync, changesMainAlone, checkpoints, checkpointMode, loosens
  case vacuums, changesPageSize, newPageSize, changesAutoVacuum, newAutoVacuum
  case isReader, operationCount, rollsBack, upgrades, checksFile, checksQuickly, copiesFile, copyPages, copyRestarts
  case staysBehindRefusal
  case opensScan, scanTable, scanByIndex, scanRows, scanOutlives, scanPauses, scanStopsAgain
  case usesSavepoint, savepointVerb, savepoint, returnsToSavepoint, growsFirst, savepointOneIn, rollbackOneIn, reconnects
  case isAutocommit, beginsExclusively, beginsWithSavepoint, beginsConcurrently, isSide, sidePadding, sidePages, sideWay
  case asksVersion, asksOther, switches, newJournal, leavesKind, switchesAgain
  case changesLocking, newLocking, changesMemory, newCacheSize
  case vacuumsPages, vacuumedPages, changesSchema, scratchTable, dropsTable
  case isPair, keyPlan, keyReads, keyLists, keyId, keyName, keyCase, keyFamily, keyGroup, keyNumber, keyValue, keyLimit, keyDropsAll
  case keyIsLong, growsBehindVacuum, followsTide, tideKind, keyRace, raceKind
  case keyLane, laneKind, laneRow, keyTop, keyTopDrops, goesOnBehindCommit, staysLost, commitsLost
  case keyTickets, keyTicket, keyTicketAbove, keyTicketEnd, keyOther, keyPauses, isUsual

  // An operation.
  case favoursTable, favoursKind, table, key, bulkRows, isWideSpan, span, kind, conflict, shift, deletesToEnd, wantedK
  case isBig, rowK, hasWideK, wideK, hasUnique, rowU, tag, length
  case readKind, readsBackward, readsUnique, clears
  case drawsMore, moreKind, newKey, newK, wantedSpan, sourceTable, changesTables, tableChange, changedTable
  case usesList, readsList, list

  // The kind of world, its faults, limits and schedule.
  case worldKind, theme, isFaultOn, faultRate, hasFaultFocus, isFocusAside, faultsComeInRows, killsInDoubt
  case schedule, priorityChanges, busyTimeout, sectorSize, dropsCommits, buggifies
  case pageBudget, priority, priorityStep, favouriteKinds, bulkShare, initialRows, smallPages, wideSpans, hasFavouriteTable

  // Faults: whether one is met, and what it is like.
  case fault, transferPart, errorNumber, badSector, delay, isLate, killedWrite, killedPart, tearsIndex, sizeAhead
  case lockTime, usesSlot, lockLevel, lockSlot
  case episodeRoom, episodeSteps, killedProcess, killsAfterFailure, killStep, clockKind, suspendTime, clockHours, failsAgain
  case failsAtTurn, turnSyncs, turnRequests
  case damageStep, rotCount, rotPlace, rotLength, rotIsFlip, rotBit, rotByte, outsideKind, outsideSize

  // Points in the engine, and what a client does behind an error.
  case buggifyRate, buggify, goesOn, triesAgain, variesRetry
  case behindCommit, stepsBehindCommit, stepBehindCommit, savepointBehindCommit, newVersion
  case goesOnBehindWayBack, goesOnBehindFailure, releasesBehindDrop, commitsBehindWayBack, savesLate, opensAgain

  // Damage at the end of a run.
  case damagePage, damageOther, damageByte, damageBit, damageKind
}

/// A part of a stream that is replayed, and dropped, as a whole.
public enum Span: String, CaseIterable, Sendable {
  /// From the opening of the connections to the power cut, or to the end of the run.
  case era
  /// One turn of the scheduler.
  case step
  /// The turns at the end of the last era, without faults.
  case liveness
  /// Of a client: what it does between two rests, and one operation in it.
  case transaction, statement
}
