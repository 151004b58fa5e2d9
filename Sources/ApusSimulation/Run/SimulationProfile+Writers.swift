// Worlds of concurrent transactions: what a seed draws of them, and what scenarios ask for.

extension SimulationProfile {
  /// Of the worlds with concurrent transactions some are all about them: over keys of every kind, commits in groups, or
  /// transactions that outgrow their caches.
  mutating func drawWriters(_ choices: ChoiceStream) {
    let kinds = theme == .syncsFailOften ? [0, 2, 2, 2, 2, 2, 3] : [0, 0, 0, 1, 1, 2, 3]
    switch choices.pick(kinds, .writersKind) {
    case 1: beKeyed()
    case 2: beMany()
    case 3: outgrowCaches()
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
    if journal == .wal { return }
    if faultFocus == .journal { faultFocus = .log }
    journal = .wal
    synchronous = .full
    attaches = false
  }
}
