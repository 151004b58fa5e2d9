// What a seed draws before it starts: the features, sizes and rates of one run.

import ApusBase

public struct SimulationProfile: Sendable, CustomStringConvertible {
  /// What kind of world it is. `mixed` has power cuts, dropped statements and small pages, and no other fault; the others are the
  /// fault model's, each with its own faults, and inferno with all of them, half as often.
  public enum Kind: String, CaseIterable, Sendable { case mixed, calm, power, flaky, rot, ops, inferno }
  public enum Journal: String, Sendable { case wal, delete, truncate, persist, memory, off }
  public enum Synchronous: String, Sendable { case normal, full, extra }
  /// Which clients say PRAGMA concurrent_isolation = snapshot: nobody, all, every second one, or both of every second pair.
  public enum Isolation: String, Sendable { case serializable, snapshot, snapshotBeside, snapshotPairs }

  public var kind: Kind
  public var pageSize: Int
  public var journal: Journal
  public var synchronous: Synchronous
  public var cachePages: Int
  public var autocheckpointFrames: Int
  public var clientCount: Int
  public var processCount: Int
  public var cutCount: Int
  public var stepsPerEra: Int
  public var keyCount: Int
  public var payloadMax: Int
  public var operationCountMax: Int
  /// Page accesses fault at random although the page is there.
  public var injectsFaults: Bool
  /// One wait in so many is the statement's last: it is dropped there.
  public var cancelOneIn: Int
  /// One operation in so many leaves a SELECT open, which goes on while others change its table; 0 none.
  public var scanOneIn: Int
  /// One operation in so many opens, releases or goes back to a savepoint.
  public var savepointOneIn: Int
  /// One writing transaction in so many is rolled back in the end.
  public var rollbackOneIn: Int
  /// The kernel's cache answers a part of the reads at once, so that scans read ahead.
  public var hasCache: Bool
  /// One transaction in so many is a checkpoint of a random mode instead; 0 none.
  public var checkpointOneIn: Int
  /// 0 none, 1 full, 2 incremental.
  public var autoVacuum: Int
  /// The file carries page checksums, and the end of the run damages it.
  public var hasChecksums: Bool
  /// Every connection attaches a second file, and each writing transaction changes both.
  public var attaches: Bool
  /// What the engine keeps in memory beside a connection's own pages, the process's images and what is being sorted, is little.
  public var isTight = false
  /// Private pages may go to the file before their commit.
  public var spills = true
  /// Most calls of a process to the system from one step of other processes between them to the next; 0: there are none.
  public var callsBetweenMax = 0
  /// Where the page lies that holds nothing.
  public var lockByteOffset: Int64
  /// One transaction in so many is a VACUUM instead, to other page sizes and kinds of auto_vacuum too; 0 none.
  public var vacuumOneIn: Int
  /// The file is walked behind one commit in so many.
  public var auditEvery: Int

  // What the kinds of world add.
  public var faults = FaultRates()
  /// The kind of file whose requests fail most of all.
  var faultFocus: FileRole?
  var theme = Theme.none
  var schedule = Schedule.Kind.anybody
  public var taste = WorkloadTaste()
  /// Rows of each table before anything else happens.
  public var initialRowCount = 0
  /// How long a statement waits for a lock.
  public var busyTimeoutMilliseconds = 0
  /// What the disk writes atomically.
  public var sectorByteCount = 512
  /// Most pages of the file; 0 as many as there are.
  public var pageCountMax = 0
  /// COMMIT is dropped at a wait, too.
  public var dropsCommits = false
  /// The engine's buggify points are switched on.
  public var buggifies = false
  /// Transactions make and drop tables and indexes.
  public var hasComingTables = false
  /// Transactions append to lists, whose history the isolation checker reads.
  public var hasLists = false
  /// Transactions begin with BEGIN CONCURRENT, and some change rows of their own beside the others.
  public var isConcurrent = false
  /// Of concurrent worlds: one transaction in so many is of those that the model knows nothing of.
  public var sideOneIn = 2
  /// Most of those are over keys of every kind.
  public var hasKeys = false
  /// Of those over keys some change rows that nobody else does, on the pages of others.
  public var hasLanes = false
  /// Bytes that all names of items begin with: they differ on overflow pages alone.
  public var nameBytes = 0
  /// What concurrent transactions are compared with.
  public var isolation = Isolation.serializable
  /// One of those in so many is over lists, where there are some.
  public var listOneIn = 3
  /// `PRAGMA wal_size_limit`, in frames; 0: none.
  public var sizeLimitFrames = 0
  /// Frames that a region of the wal-index describes, and leaves that a trunk of the freelist has; 0: as many as SQLite's.
  public var regionFrameCount = 0, trunkLeafCount = 0
  /// Bytes that a concurrent transaction's notes may take; 0: as many as usual.
  public var noteByteCount = 0
  /// One transaction in so many is a change of the journal mode instead, into WAL and out of it too; 0 none.
  public var switchOneIn = 0
  /// `PRAGMA journal_size_limit`, of journals that stay and of logs that start again; -1: none.
  public var journalLimitBytes = -1
  /// One transaction in so many is the end of the connection instead, and another one opened.
  public var reconnectOneIn = 30
  /// The one connection says `PRAGMA locking_mode=exclusive`, before it uses the file or later, and goes back and forth.
  public var locksExclusively: Bool { isExclusive && clientCount == 1 && processCount == 1 && !isConcurrent }
  private var isExclusive = false
  private var locksLate = false
  /// Every second connection commits with NORMAL.
  public var mixesLevels = false
  /// Those changes are among rollback journals alone.
  var mixesJournals = false
  /// One transaction in so many only reads.
  var readerOneIn = 4
  /// A failure seldom comes alone.
  var faultsComeInRows = false
  /// The attached file has a log, and the other one a journal.
  var otherHasLog = false
  /// Failures come where a statement has come so far: right behind its first sync, its second one, and so on.
  var failsAtTurns = false
  /// Commits of a flood, in which most changes are many rows, and of the ebb behind it, in which most of those go; 0: neither.
  var tide = 0
  /// Processes end more often while names or journals are in doubt.
  var killsInDoubt = false
  /// What the power would leave is recovered and looked at, although none is cut.
  var probesRecovery = false

  /// - Parameter kind: the tape may say another.
  init(_ choices: ChoiceStream, kind: Kind) {
    let kinds = Kind.allCases
    let number = kinds.firstIndex(of: kind) ?? 0
    self.kind = kinds[choices.decided(number, below: kinds.count, .worldKind)]
    pageSize = choices.pick([512, 512, 1024, 1024, 4096], .pageSize)
    // Two in five; on the tape 1 is a journal.
    if (1...2).contains(choices.below(5, .isRollback)) {
      journal = choices.pick([.delete, .delete, .truncate, .persist], .journal)
      synchronous = choices.pick([.full, .extra, .extra, .normal, .normal], .synchronous)
    } else {
      journal = .wal
      synchronous = choices.pick([.full, .full, .full, .normal], .synchronous)
    }
    cachePages = choices.pick([10, 20, 60, 500], .cachePages)
    autocheckpointFrames = choices.pick([0, 4, 8, 8, 30, 1000], .autocheckpointFrames)
    clientCount = 1 + choices.below(4, .clientCount)
    processCount = 1 + choices.below(2, .processCount)
    cutCount = 1 + choices.below(3, .cutCount)
    stepsPerEra = 600 + choices.below(1800, .stepsPerEra)
    keyCount = choices.pick([8, 30, 120], .keyCount)
    // The largest overflow into more pages than the engine writes in one step.
    payloadMax = choices.pick([60, 1_500, 6_000, 60, 1_500, 6_000, pageSize <= 1024 ? 24_000 : 6_000], .payloadMax)
    operationCountMax = choices.pick([2, 6, 20, 20, 60], .operationCountMax)
    injectsFaults = choices.oneIn(2, .injectsFaults)
    cancelOneIn = choices.pick([0, 8, 50, 300], .cancelOneIn)
    scanOneIn = choices.pick([0, 4, 10], .scanOneIn)
    savepointOneIn = choices.pick([10, 10, 4], .savepointOneIn)
    rollbackOneIn = choices.pick([8, 8, 3], .rollbackOneIn)
    hasCache = choices.below(3, .hasCache) > 0
    checkpointOneIn = journal == .wal ? choices.pick([0, 4, 12], .checkpointOneIn) : 0
    autoVacuum = choices.below(3, .autoVacuum)
    hasChecksums = choices.oneIn(3, .hasChecksums)
    attaches = journal != .wal && choices.oneIn(2, .attaches)
    if journal != .wal && choices.oneIn(8, .isVolatile) {
      // Without a journal on the disk a power cut may leave anything.
      journal = choices.pick([.memory, .off], .journal)
      cutCount = 0
      attaches = false
    }
    // As with SQLite: a disk that tears the first writes of a journal that is used again, over an end that no sync has covered,
    // leaves a part of the old one.
    if synchronous == .normal, journal != .wal {
      cutCount = 0
      probesRecovery = journal != .memory && journal != .off
    }
    vacuumOneIn = choices.pick([0, 6, 25], .vacuumOneIn)
    lockByteOffset = choices.pick([0x4000_0000, 0x4000, 0x1_0000], .lockByteOffset)
    auditEvery = choices.pick([1, 3, 10], .auditEvery)
    if self.kind != .mixed { drawWorld(choices) }
    hasComingTables = choices.oneIn(3, .hasComingTables)
    // Where there are lists no COMMIT is gone back behind.
    hasLists = choices.oneIn(3, .hasLists) && theme != .commitsAgainOften
    isConcurrent = journal == .wal && choices.oneIn(2, .isConcurrent)
    // A sync is only for several commits where they need not wait for each other.
    if journal == .wal, theme == .syncsFailOften { isConcurrent = isConcurrent || choices.oneIn(2, .isConcurrent) }
    if choices.oneIn(4, .reconnectsOften) {
      reconnectOneIn = 4
      stepsPerEra *= 2
    }
    if isConcurrent { hasKeys = choices.oneIn(2, .hasKeys) }
    isolation = choices.pick([.serializable, .serializable, .serializable, .snapshot, .snapshotBeside, .snapshotPairs], .isolation)
    if journal == .wal, choices.oneIn(3, .hasSizeLimit) { sizeLimitFrames = choices.pick([40, 12, 100], .sizeLimitFrames) }
    if !isConcurrent, choices.oneIn(4, .switchesJournal) { switchJournals(choices) }
    if choices.oneIn(3, .hasJournalLimit) { journalLimitBytes = choices.pick([20_000, 0, 3_000, 0, 100_000], .journalLimitBytes) }
    if isConcurrent, self.kind != .mixed { drawWriters(choices) }
    if hasKeys {
      hasLanes = choices.below(3, .hasLanes) > 0 || hasLanes
      if choices.oneIn(5, .nameBytes) { nameBytes = min(pageSize, 1024) * (2 + choices.below(3, .nameBytes)) / 2 }
    }
    if self.kind != .mixed { drawTide(choices) }
    if journal == .wal { regionFrameCount = choices.pick([0, 8, 16, 64], .regionFrameCount) }
    trunkLeafCount = choices.pick([0, 0, 1, 4, 12], .trunkLeafCount)
    if isConcurrent { noteByteCount = choices.pick([0, 0, 0, 300, 1_500, 6_000], .noteByteCount) }
    isTight = choices.oneIn(3, .isTight)
    spills = !choices.oneIn(8, .spills)
    callsBetweenMax = choices.pick([0, 30, 150, 8], .callsBetweenMax)
    if hasLog, synchronous == .full, choices.oneIn(5, .mixesLevels) {
      mixesLevels = true
      // What NORMAL has answered is gone then, though it was seen.
      faults[.syncRevertsView] = 0
    }
    // The page that would have the second part of the pointer map.
    if autoVacuum > 0, choices.oneIn(6, .locksAtMap) {
      lockByteOffset = Int64((pageSize - (hasChecksums ? 8 : 0)) / 5 + 2) * Int64(pageSize)
    }
    if self.kind != .mixed {
      drawLogBeside(choices)
      drawTrouble(choices)
    }
    if !isConcurrent, !otherHasLog, switchOneIn == 0, readerOneIn == 4, choices.oneIn(6, .locksExclusively) {
      lockExclusively(choices)
    }
  }

  /// Nobody else comes to the file: its locks stay, so do journals, and the index of its log is in memory of its own.
  private mutating func lockExclusively(_ choices: ChoiceStream) {
    isExclusive = true
    locksLate = choices.oneIn(3, .locksLate)
    clientCount = 1
    processCount = 1
    sizeLimitFrames = 0
    reconnectOneIn = min(reconnectOneIn, choices.pick([30, 8], .reconnectsOften))
    faults[.foreignHolder] = 0
  }

  /// Connections change the journal mode, each its own, and the file's where they are alone with it.
  private mutating func switchJournals(_ choices: ChoiceStream) {
    switchOneIn = choices.pick([8, 3, 20], .switchOneIn)
    clientCount = min(clientCount, choices.pick([1, 2, 3], .clientCount))
    processCount = min(processCount, clientCount)
    if checkpointOneIn == 0 { checkpointOneIn = choices.pick([12, 4], .checkpointOneIn) }
    sizeLimitFrames = 0
    // What a dropped COMMIT has left is another matter with a log than without.
    dropsCommits = false
    if synchronous == .normal { cutCount = 0 }
  }

  /// Modes that clients change to.
  var switchModes: [Journal] {
    if attaches || mixesJournals { return [.persist, .truncate, .delete] }
    // Without a journal on the disk nothing is promised from the beginning.
    return isVolatile ? [.memory, .wal, .delete, .off, .persist, .truncate] : [.wal, .delete, .wal, .persist, .wal, .truncate]
  }

  var isVolatile: Bool { journal == .memory || journal == .off }

  /// The file is in WAL mode, or may be for some time.
  var mayHaveLog: Bool { journal == .wal || switchOneIn > 0 && !attaches && !mixesJournals }

  /// The file is in WAL mode all the time.
  var hasLog: Bool { journal == .wal && switchOneIn == 0 }

  private var vacuumName: String {
    ["", " auto_vacuum", " incremental_vacuum"][autoVacuum] + (vacuumOneIn > 0 ? " vacuum" : "")
  }
  private var lockName: String { lockByteOffset < 0x4000_0000 ? " lock byte \(lockByteOffset)" : "" }

  private var limitsName: String {
    (regionFrameCount > 0 ? " regions of \(regionFrameCount)" : "") + (trunkLeafCount > 0 ? " trunks of \(trunkLeafCount)" : "")
      + (noteByteCount > 0 ? " notes of \(noteByteCount)" : "")
  }

  public var description: String {
    "\(kind.rawValue) \(journal.rawValue)/\(synchronous.rawValue)\(hasLaxClients ? " and normal" : "")\(vacuumName)\(lockName) "
      + "page \(pageSize) cache \(cachePages) "
      + "log \(autocheckpointFrames)\(sizeLimitFrames > 0 ? " of \(sizeLimitFrames)" : "")\(limitsName) "
      + "\(journalLimitBytes >= 0 ? "kept \(journalLimitBytes) " : "")"
      + "clients \(clientCount) processes \(processCount)"
      + "\(callsBetweenMax > 0 ? " between \(callsBetweenMax) calls" : "") cuts \(cutCount) keys \(keyCount) payload \(payloadMax)"
      + "\(faultFocus.map { " failing \($0)" } ?? "")"
      + "\(injectsFaults ? " faults" : "")\(hasCache ? " cache hits" : "")\(hasChecksums ? " checksums" : "")"
      + "\(attaches ? otherHasLog ? " two files, one with a log" : " two files" : "")"
      + "\(hasComingTables ? " schema" : "")\(hasLists ? " lists" : "")\(tide > 0 ? " tide \(tide)" : "")"
      + "\(faultsComeInRows ? " in rows" : "")\(failsAtTurns ? " at turns" : "")\(killsInDoubt ? " kills in doubt" : "")"
      + "\(readerOneIn < 4 ? " readers" : "")"
      + "\(locksExclusively ? " exclusive" : "")\(switchOneIn > 0 ? mixesJournals ? " journals" : " switches" : "")"
      + "\(isConcurrent ? " concurrent" : "")\(hasKeys ? " by keys" : "")\(hasLanes ? " lanes" : "")"
      + "\(nameBytes > 0 ? " names of \(nameBytes)" : "")"
      + "\(isConcurrent && isolation != .serializable ? " \(isolation.rawValue)" : "")\(theme == .none ? "" : " \(theme.rawValue)")"
  }

  /// What a connection says before anything else.
  var attachStatement: String? { attaches ? "ATTACH '/sim/other.db' AS o" : nil }

  /// What the first connection says to an empty file.
  var creationStatements: [String] {
    var statements = ["PRAGMA page_size=\(pageSize)"]
    if hasChecksums { statements.append("PRAGMA page_checksums=on") }
    statements.append("PRAGMA auto_vacuum=\(autoVacuum)")
    if let attachStatement { statements += [attachStatement, "PRAGMA o.page_size=\(pageSize)"] }
    return statements + ["PRAGMA journal_mode=\(journal.rawValue)"]
  }

  /// Bytes of a log of `sizeLimitFrames`.
  var sizeLimitBytes: Int { sizeLimitFrames == 0 ? 0 : 32 + sizeLimitFrames * (24 + pageSize) }

  /// Whether the client's concurrent transactions are at snapshot isolation.
  func isAtSnapshot(_ client: Int) -> Bool {
    switch isolation {
    case .serializable: false
    case .snapshot: isConcurrent
    case .snapshotBeside: isConcurrent && client % 2 == 1
    case .snapshotPairs: isConcurrent && client / 2 % 2 == 1
    }
  }

  /// What the client's connection says when it has opened the file.
  func connectionStatements(of client: Int) -> [String] {
    // The file remembers only whether it has a log.
    var statements: [String] = []
    if otherHasLog, attaches, journal != .wal {
      statements = ["PRAGMA main.journal_mode=\(journal.rawValue)", "PRAGMA o.journal_mode=wal"]
    } else if mixesJournals, journal != .wal {
      statements = ["PRAGMA journal_mode=\(switchModes[client % switchModes.count].rawValue)"]
    } else if journal != .wal, switchOneIn == 0 {
      statements = ["PRAGMA journal_mode=\(journal.rawValue)"]
    }
    if let attachStatement { statements.insert(attachStatement, at: 0) }
    if busyTimeoutMilliseconds > 0 { statements.append("PRAGMA busy_timeout=\(busyTimeoutMilliseconds)") }
    // It touches no file: nothing can keep it from being in force before the connection writes.
    if sizeLimitFrames > 0 { statements.insert("PRAGMA wal_size_limit=\(sizeLimitBytes)", at: 0) }
    if pageCountMax > 0 { statements.append("PRAGMA max_page_count=\(pageCountMax)") }
    for schema in attaches ? ["", "o."] : [""] {
      statements += [
        "PRAGMA \(schema)synchronous=\(level(of: client).rawValue)", "PRAGMA \(schema)cache_size=\(cachePages)",
        "PRAGMA wal_autocheckpoint=\(autocheckpointFrames)",
      ]
      if journalLimitBytes >= 0 { statements.append("PRAGMA \(schema)journal_size_limit=\(journalLimitBytes)") }
    }
    if !spills { statements.append("PRAGMA cache_spill=off") }
    if isAtSnapshot(client) { statements.append("PRAGMA concurrent_isolation=snapshot") }
    if locksExclusively { statements.insert("PRAGMA locking_mode=exclusive", at: locksLate ? statements.count : 0) }
    return statements
  }

  /// The client's commits ask for no sync, where those of others do.
  func isLax(_ client: Int) -> Bool { hasLaxClients && client % 2 == 1 }

  /// Not where a failed sync takes back what was seen: it takes what NORMAL has answered.
  private var hasLaxClients: Bool { mixesLevels && hasLog && synchronous == .full && faults[.syncRevertsView] == 0 }

  func level(of client: Int) -> Synchronous { isLax(client) ? .normal : synchronous }

  /// What a power cut may take from acknowledged commits.
  var promise: Ledger.Promise {
    // The end of a super-journal is synced whatever the level.
    attaches ? .everything : promiseOfOneFile
  }

  /// The same, of commits that change one file.
  var promiseOfOneFile: Ledger.Promise {
    if switchOneIn > 0 {
      if isVolatile || synchronous == .normal { return .prefix }
      return synchronous == .full ? .allButTheLast : .everything
    }
    if hasLaxClients { return .everythingPromised }
    switch (journal, synchronous) {
    case (.wal, .full), (.wal, .extra), (.delete, .extra): return .everything
    case (.truncate, .full), (.truncate, .extra), (.persist, .full), (.persist, .extra): return .everything
    case (.delete, .full), (.delete, .normal), (.truncate, .normal), (.persist, .normal): return .allButTheLast
    case (.wal, .normal), (.memory, _), (.off, _): return .prefix
    }
  }
}
