// The kinds of world: which faults each has, and how a seed draws among them. Each fault is left out by half of the seeds, so that
// what two of them do together is not always hidden by a third.

import ApusBase

extension SimulationProfile {
  /// Faults of a kind of world, with their usual rates: one request, call, cut or step in so many.
  private static func usualRates(_ kind: Kind) -> [(kind: FaultKind, oneIn: Int)] {
    let everywhere: [(FaultKind, Int)] = [(.delay, 100)]
    let power: [(FaultKind, Int)] = [(.powerCut, 1), (.sizeAhead, 3)]
    let flaky: [(FaultKind, Int)] = [
      (.shortRead, 25), (.shortWrite, 25), (.notCarriedOut, 25), (.readError, 120), (.stickyReadError, 250),
      (.writeError, 120), (.syncKeepsView, 60), (.syncRevertsView, 40), (.syncToldOnce, 60), (.diskFull, 250),
      (.nameCallError, 20), (.truncateError, 20), (.stall, 200), (.processKill, 500),
    ]
    let rot: [(FaultKind, Int)] = [
      (.databaseRot, 1), (.logRot, 1), (.misdirectedWrite, 20), (.misdirectedRead, 20), (.lostWrite, 20), (.readError, 200),
    ]
    let ops: [(FaultKind, Int)] = [
      (.processKill, 300), (.fileTooLarge, 500), (.tooManyFiles, 30), (.readOnlyFileSystem, 800), (.refusedOpen, 30),
      (.lockError, 150), (.strayClose, 100), (.foreignHolder, 80), (.clockStep, 80), (.outsideChange, 1),
      (.pageBudget, 1),
    ]
    switch kind {
    case .mixed: return []
    case .calm: return everywhere
    case .power: return everywhere + power + [(.lyingFlush, 10), (.processKill, 250)]
    case .flaky: return everywhere + flaky
    case .rot: return everywhere + rot
    case .ops: return everywhere + ops
    case .inferno: return (everywhere + power + flaky + rot + ops).map { ($0.0, $0.1 * 2) }
    }
  }

  mutating func drawWorld(_ choices: ChoiceStream) {
    pageSize = choices.pick([512, 512, 512, 512, 1024, 1024, 1024, 1024, 2048, 4096, 4096, 8192, 16_384, 65_536], .pageSize)
    cachePages = choices.pick([10, 10, 5, 20, 60, 500, 2000], .cachePages)
    clientCount = choices.pick([1, 2, 2, 3, 3, 4, 5, 8, 16], .clientCount)
    processCount = 1 + choices.below(min(clientCount, 3), .processCount)
    if lockByteOffset < Int64(pageSize) * 3 { lockByteOffset = 0x4000_0000 }
    if pageSize >= 8192 { auditEvery = 10 }
    keyCount = choices.pick([8, 30, 120, 120, 400], .keyCount)
    initialRowCount = choices.pick([0, 0, 0, 40, 200, 200], .initialRows)
    if initialRowCount > 100 {
      auditEvery = max(auditEvery, 3)
      // Trees of four levels, which shrink to one.
      if choices.oneIn(2, .smallPages) { pageSize = 512 }
      if choices.oneIn(2, .wideSpans) { taste.wideSpanOneIn = 2 }
    }
    taste.bulkShare = choices.pick([0, 2, 4, 8], .bulkShare)
    taste.kinds = choices.pick(WorkloadTaste.favourites, .favouriteKinds)
    if choices.oneIn(3, .hasFavouriteTable) { taste.table = choices.below(6, .table) }
    busyTimeoutMilliseconds = choices.pick([0, 0, 50, 5000], .busyTimeout)
    sectorByteCount = choices.pick([512, 512, 4096], .sectorSize)
    if choices.oneIn(2, .schedule) { schedule = .priorities(changes: 1 + choices.below(4, .priorityChanges)) }
    dropsCommits = cancelOneIn > 0 && choices.oneIn(2, .dropsCommits)
    buggifies = choices.oneIn(2, .buggifies)
    for (fault, rate) in Self.usualRates(kind) where choices.oneIn(2, .isFaultOn) {
      faults[fault] = max(1, rate / 2 + choices.below(rate, .faultRate))
    }
    if choices.oneIn(3, .hasFaultFocus) {
      faultFocus = choices.oneIn(2, .isFocusAside) ? .database : journal == .wal ? .log : .journal
    }
    if faults[.delay] > 0 { faults[.delay] = choices.pick([100, 30, 8], .faultRate) }
    switch kind {
    case .mixed: break
    case .calm:
      cutCount = 0
      probesRecovery = false
      cancelOneIn = 0
      dropsCommits = false
      faults[.delay] = choices.pick([50, 8], .faultRate)
    case .power:
      if cutCount > 0 { cutCount = 1 + choices.below(5, .cutCount) }
      faults[.powerCut] = 1
    case .flaky, .ops, .inferno: cutCount = min(cutCount, choices.below(3, .cutCount))
    case .rot:
      cutCount = min(cutCount, 1)
      if choices.oneIn(2, .hasChecksums) { hasChecksums = true }
    }
    stepsPerEra = cutCount > 1 ? 400 + choices.below(1200, .stepsPerEra) : stepsPerEra
    drawTheme(choices)
    if journal == .memory || journal == .off {
      // A process that dies in the midst of a transaction leaves anything, and so does a write that fails.
      for fault in FaultKind.allCases where !fault.isHarmlessWithoutJournal { faults[fault] = 0 }
      dropsCommits = false
    }
    // What is committed and not synced, a journal's end too, goes with the view, as with the power.
    if synchronous == .normal { faults[.syncRevertsView] = 0 }
    if faults[.pageBudget] > 0 { pageCountMax = 20 + initialRowCount + choices.below(60, .pageBudget) }
  }
}

extension SimulationProfile {
  /// What makes of one trouble several, and of one journal or snapshot several kinds.
  mutating func drawTrouble(_ choices: ChoiceStream) {
    if !faults.isEmpty { faultsComeInRows = choices.oneIn(2, .faultsComeInRows) }
    if !faults.isEmpty { failsAtTurns = choices.oneIn(2, .failsAtTurns) || failsAtTurns }
    if faults[.processKill] > 0 { killsInDoubt = choices.oneIn(2, .killsInDoubt) }
    if journal != .wal, !isVolatile, switchOneIn == 0, clientCount > 1, choices.oneIn(4, .mixesJournals) {
      mixesJournals = true
      switchOneIn = choices.pick([8, 3, 20], .switchOneIn)
    }
    if journal == .wal, switchOneIn == 0, theme == .none, choices.oneIn(5, .readsOften) { readOften(choices) }
  }

  /// Many long snapshots at a time, more than there are marks for them, and a log that begins anew whenever it may.
  private mutating func readOften(_ choices: ChoiceStream) {
    readerOneIn = 2
    clientCount = max(clientCount, 6)
    cachePages = choices.pick([5, 10, 20], .cachePages)
    autocheckpointFrames = choices.pick([4, 8, 30], .autocheckpointFrames)
    checkpointOneIn = choices.pick([4, 12], .checkpointOneIn)
    operationCountMax = max(operationCountMax, 20)
    payloadMax = min(payloadMax, 1_500)
    pageSize = min(pageSize, 1024)
    reconnectOneIn = max(reconnectOneIn, 30)
  }
}

extension FaultKind {
  var isHarmlessWithoutJournal: Bool {
    switch self {
    case .delay, .shortRead, .shortWrite, .notCarriedOut, .stall, .strayClose, .foreignHolder, .clockStep, .pageBudget,
      .cancellation, .sizeAhead:
      true
    case .powerCut, .processKill, .readError, .stickyReadError, .writeError, .syncKeepsView, .syncRevertsView,
      .syncToldOnce, .diskFull, .fileTooLarge, .tooManyFiles, .readOnlyFileSystem, .refusedOpen, .nameCallError,
      .truncateError, .lockError, .databaseRot, .logRot, .misdirectedWrite, .misdirectedRead, .lostWrite, .lyingFlush,
      .outsideChange:
      false
    }
  }
}
