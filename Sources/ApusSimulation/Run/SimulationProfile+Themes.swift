// Themes: in some worlds things come together that seldom do by chance.

import ApusBase

extension SimulationProfile {
  enum Theme: String { case none, goesBackOften, spillsOften, commitsAgainOften, syncsFailOften }

  private var failsWrites: Bool { kind == .flaky || kind == .inferno }

  mutating func drawTheme(_ choices: ChoiceStream) {
    theme = choices.pick(
      [
        .none, .none, .none, .none, .none, .none, .goesBackOften, .spillsOften, .commitsAgainOften, .syncsFailOften,
        .syncsFailOften, .spillsOften, .commitsAgainOften, failsWrites ? .syncsFailOften : .none,
        failsWrites ? .spillsOften : .goesBackOften,
      ],
      .theme)
    switch theme {
    case .none: break
    case .goesBackOften: goBackOften(choices)
    case .spillsOften: spillOften(choices)
    case .commitsAgainOften: commitAgainOften(choices)
    case .syncsFailOften: failSyncsOften(choices)
    }
  }

  /// COMMITs that are dropped, behind savepoints that are still open, and files that lose pages at their end.
  private mutating func commitAgainOften(_ choices: ChoiceStream) {
    haveSmallCache()
    if kind != .calm {
      cancelOneIn = 8
      dropsCommits = true
    }
    savepointOneIn = 3
    rollbackOneIn = 10
    operationCountMax = 6
    autoVacuum = choices.pick([0, 1, 1, 2], .autoVacuum)
    haveJournal(choices)
    initialRowCount = max(initialRowCount, 200)
    // All rows have a key that is drawn, and many go at once.
    keyCount = max(keyCount, choices.pick([120, 30, 200], .keyCount))
    taste.wideSpanOneIn = min(taste.wideSpanOneIn, choices.pick([2, 8], .wideSpans))
    if choices.oneIn(2, .favouriteKinds) { taste.kinds = 58..<76 }
    auditEvery = 1
  }

  /// Statements that are dropped, savepoints that are gone back to, and pages that lie in the journal or the log meanwhile.
  private mutating func goBackOften(_ choices: ChoiceStream) {
    haveSmallCache()
    if kind != .calm { cancelOneIn = 8 }
    // What was given up arrives behind what came later.
    if choices.oneIn(2, .delay) { faults[.delay] = 8 }
    savepointOneIn = 4
    rollbackOneIn = 3
    scanOneIn = 10
    haveJournal(choices)
    if choices.oneIn(2, .wideSpans) { return }
    // One statement comes back to pages that it has changed and that were written since.
    initialRowCount = max(initialRowCount, 200)
    keyCount = max(keyCount, 200)
    taste.wideSpanOneIn = 2
    taste.kinds = choices.pick([45..<58, 45..<76, nil], .favouriteKinds)
  }

  /// Transactions that write to their journal and to the file long before they end, and what fails there.
  private mutating func spillOften(_ choices: ChoiceStream) {
    haveSmallCache()
    haveJournal(choices)
    if journal == .wal || isVolatile { return }
    synchronous = choices.pick([.full, .extra], .synchronous)
    savepointOneIn = min(savepointOneIn, choices.pick([10, 4], .savepointOneIn))
    rollbackOneIn = min(rollbackOneIn, choices.pick([8, 3], .rollbackOneIn))
    if choices.oneIn(2, .wideSpans) { taste.wideSpanOneIn = 2 }
    if choices.oneIn(3, .cachePages) {
      // Segments of about 64 records; one of just so many ends where a sector does.
      pageSize = 512
      cachePages = choices.pick([66, 68, 70, 74], .cachePages)
      initialRowCount = max(initialRowCount, 200)
      taste.wideSpanOneIn = 2
    }
    if faults.isEmpty { return }
    faultFocus = .journal
    if failsWrites {
      // Where nothing else fails a statement that could not spill goes on, and what was written of its segment counts or does not.
      failsAtTurns = true
      if faults[.writeError] == 0 { faults[.writeError] = 200 }
    }
    // Each of its requests comes once in a spill.
    for fault in [FaultKind.writeError, .readError] where faults[fault] > 0 { faults[fault] = min(faults[fault], 60) }
  }

  /// Half of what would have a log has a journal, and every second of those two files.
  mutating func haveJournal(_ choices: ChoiceStream) {
    guard journal == .wal, choices.oneIn(2, .isRollback) else { return }
    journal = choices.pick([.delete, .persist, .truncate], .journal)
    synchronous = .full
    attaches = choices.oneIn(2, .attaches)
    if faultFocus == .log { faultFocus = .journal }
  }

  /// Syncs that are to cover several commits fail, with a transaction on top of those that has written to the log already. In
  /// half of these worlds the log goes on, so that what has failed is written over.
  private mutating func failSyncsOften(_ choices: ChoiceStream) {
    guard journal == .wal, kind == .flaky || kind == .inferno else { return }
    synchronous = .full
    clientCount = max(clientCount, 4)
    processCount = 1
    pageSize = min(pageSize, 1024)
    cachePages = 10
    faults[.syncKeepsView] = 16
    if choices.oneIn(2, .logGoesOn) {
      faults[.syncRevertsView] = 12
      autocheckpointFrames = 1000
      checkpointOneIn = 30
    }
  }

  private mutating func haveSmallCache() {
    clientCount = min(clientCount, 2)
    processCount = min(processCount, clientCount)
    pageSize = min(pageSize, 1024)
    cachePages = 5
    operationCountMax = max(operationCountMax, 20)
    initialRowCount = max(initialRowCount, 40)
    auditEvery = max(auditEvery, 3)
  }
}
