// Worlds of concurrent transactions: what a seed draws of them, and what scenarios ask for.

extension SimulationProfile {
  /// Of the worlds with concurrent transactions some are all about them: over keys of every kind, commits in groups, or
  /// transactions that outgrow their caches.
  mutating func drawWriters(_ choices: ChoiceStream) {
    let kinds = theme == .syncsFailOften ? [0, 2, 2, 2, 2, 2, 3] : [0, 0, 1, 1, 2, 3, 3]
    switch choices.pick(kinds, .writersKind) {
    case 1:
      beKeyed()
      // Commits of others have keys where they are of the same process, and pages alone where they are not.
      if choices.oneIn(2, .processCount) { processCount = max(processCount, 2) }
    case 2: beMany()
    case 3:
      outgrowCaches()
      fillBefore(choices)
    default: break
    }
  }

  /// Nearly all transactions are over keys, in trees of more than one page.
  mutating func beKeyed() {
    beConcurrent()
    hasKeys = true
    hasLanes = true
    sideOneIn = 1
    clientCount = max(4, clientCount)
    pageSize = min(pageSize, 2048)
    cachePages = max(20, cachePages)
    initialRowCount = 0
    stepsPerEra *= 2
  }

  /// Who changes many pages takes its place in the log in the midst of a statement, beside others that make the file longer.
  mutating func outgrowCaches() {
    beConcurrent()
    clientCount = max(4, clientCount)
    pageSize = min(pageSize, 1024)
    cachePages = 10
    // The others change other tables.
    hasKeys = false
    hasLanes = false
    sideOneIn = 2
    payloadMax = min(payloadMax, 1_500)
    operationCountMax = 20
    vacuumOneIn = 0
    sizeLimitFrames = 0
  }

  /// There are enough pages to outgrow a cache with what changes rows where they lie, before the first new page is taken.
  private mutating func fillBefore(_ choices: ChoiceStream) {
    if choices.oneIn(3, .initialRows) { return }
    initialRowCount = 200
    keyCount = max(keyCount, 200)
    auditEvery = max(auditEvery, 3)
    taste.wideSpanOneIn = 2
    buggifies = buggifies || choices.oneIn(2, .buggifies)
    taste.kinds = choices.pick([45..<58, nil, 13..<58], .favouriteKinds)
    isolation = choices.pick([isolation, .serializable, .snapshot, .snapshotBeside], .isolation)
  }

  /// Many clients with small transactions, each of which waits for a sync.
  mutating func beMany() {
    beConcurrent()
    synchronous = .full
    clientCount = max(6, clientCount)
    pageSize = min(pageSize, 1024)
    initialRowCount = 0
    keyCount = min(keyCount, 30)
    payloadMax = min(payloadMax, 1_500)
    operationCountMax = min(operationCountMax, 6)
    cachePages = max(20, cachePages)
    vacuumOneIn = 0
    busyTimeoutMilliseconds = 5000
  }

  /// The same, with no faults but what a scenario adds.
  mutating func commitInGroups() {
    beMany()
    faults = FaultRates()
    faultFocus = nil
    faults[.delay] = 8
  }

  /// Concurrent transactions are only to be had with a log.
  mutating func beConcurrent() {
    isConcurrent = true
    switchOneIn = 0
    mixesJournals = false
    otherHasLog = false
    if journal == .wal { return }
    if faultFocus == .journal { faultFocus = .log }
    journal = .wal
    synchronous = .full
    attaches = false
  }
}
