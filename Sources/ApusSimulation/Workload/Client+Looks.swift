// What a client asks about the files themselves: whether others have changed them, and what a checkpoint has done.

extension Client {
  /// One look in so many transactions, and one in so many of all that a client does at rest.
  static let versionOneIn = 3, versionAtRestOneIn = 15

  private var versionText: String { "PRAGMA \(asksOther ? "o." : "")data_version" }

  /// Behind the first read of a transaction, or as a statement of its own.
  func askVersion() {
    asksOther = world.profile.attaches && choices.oneIn(2, .asksOther)
    phase = .readingVersion
    if engine?.isInTransaction != true { look = VersionLook(name, world, switchCount: switchCount) }
    start(versionText, [])
  }

  /// A VACUUM is under way.
  var isVacuum: Bool { if case .checkpointing = phase { isVacuuming && !isCheckpoint } else { false } }

  /// The statement that is about to begin belongs to a transaction that writes, or may.
  var isInWriting: Bool {
    switch phase {
    case .siding: true
    case .beginning, .choosing, .operating, .savepointing, .housekeeping, .stamping, .stampingOther: isWriting
    case .reopening, .closing, .gone, .settingUp, .resting, .readingStamp, .readingOther, .readingVersion, .scanning,
      .finishingScan, .lookingAgain, .committing, .rollingBack, .checkpointing, .checking:
      false
    }
  }

  /// The statement that is about to begin may give the files another content.
  var mayChangeFiles: Bool {
    switch phase {
    case .committing: isWriting
    case .siding(.committing), .siding(.keys(.committing)), .checkpointing: true
    case .rollingBack: !rollsBackAtWill
    case .reopening, .closing, .gone, .settingUp, .resting, .beginning, .readingStamp, .readingOther, .readingVersion, .choosing,
      .operating, .savepointing, .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther, .lookingAgain, .checking,
      .siding:
      false
    }
  }

  func noteVersion(_ fields: [ImageField]) throws(Finding) {
    guard fields.count == 1, case .integer(let version)? = fields.first else {
      throw Finding(oracle: .pragma, text: "client \(name): \(versionText) answers \(fields)")
    }
    look.version = version
  }

  func finishVersion() throws(Finding) {
    let isInTransaction = engine?.isInTransaction == true
    phase = isInTransaction ? .choosing : .resting
    if !isInTransaction { look.ended = world.changes.tick() }
    // Whoever goes back from exclusive locks opens the log anew, and does not know what others have committed meanwhile.
    if world.damage != .none || world.profile.locksExclusively { return }
    let last = looks.updateValue(look, forKey: asksOther ? 1 : 0)
    if let last, let problem = look.problem(after: last, of: name, isOfOther: asksOther, world) {
      throw Finding(oracle: .snapshot, text: "client \(name): \(problem)")
    }
  }

  /// A statement has ended: outside of a transaction the connection has no lock any more.
  func checkLocks(_ engine: EngineClient) throws(Finding) {
    if engine !== self.engine || engine.isInTransaction || engine.isBusy || engine.hasScan || engine.owesWork { return }
    // What waits to be put right may have a lock that it needs.
    if world.damage != .none || world.profile.locksExclusively { return }
    if let problem = RestingLocks(world.disk, of: name).problem {
      throw Finding(oracle: .leak, text: "client \(name): \(problem)")
    }
  }

  /// The statement that is under way belongs to a transaction that has only read, and is refused only where this cannot write.
  var hasOnlyRead: Bool {
    if isConcurrent || isWriting && (!isDeferred || world.profile.attaches) { return false }
    return switch phase {
    case .operating, .housekeeping, .stamping: true
    case .readingStamp, .readingOther, .committing: !isWriting
    case .reopening, .closing, .gone, .settingUp, .resting, .beginning, .readingVersion, .choosing, .savepointing, .scanning,
      .finishingScan, .stampingOther, .lookingAgain, .rollingBack, .checkpointing, .checking, .siding:
      false
    }
  }

  /// Somebody else writes: who wanted to go on to write, and has to end its transaction first, keeps nobody from it.
  func checkLocksOfReader(_ engine: EngineClient) throws(Finding) {
    guard engine === self.engine, engine.isInTransaction, !engine.isBusy, !engine.owesWork, world.damage == .none,
      !world.profile.locksExclusively
    else { return }
    if let problem = RestingLocks(world.disk, of: name).problemOfReader {
      throw Finding(oracle: .leak, text: "client \(name): \(problem)")
    }
  }

  // MARK: what stays of journals and logs

  /// Others may have gone on between the end of a statement and its answer.
  private var hasOthersBetween: Bool { world.profile.callsBetweenMax > 0 && world.profile.processCount > 1 }

  /// The commit was answered.
  func checkKeptFiles() throws(Finding) {
    if world.damage != .none || world.faults.failureCount > 0 { return }
    let limit = world.profile.journalLimitBytes
    let mode = world.profile.switchOneIn > 0 ? toldJournal : world.profile.journal
    guard let mode, (mode == .wal) == world.hasLog else { return }
    if mode == .wal {
      // Somebody may have begun it anew right now.
      if world.disk.sharedMemories[World.path]?.locks.contains(where: { $0.range.lowerBound == 0 }) == true { return }
      guard limit >= 0, !world.skipsCuts, let log = world.disk.content(of: World.path + "-wal") else { return }
      let troubleCount = world.changes.killCount + world.changes.brokenCount
      if let problem = world.keptLog.problem(log, limit: limit, troubleCount: troubleCount) {
        throw Finding(oracle: .logSize, text: "client \(name): \(problem)")
      }
      return
    }
    // Theirs may be of another mode.
    if world.profile.switchOneIn > 0, hasOthersBetween { return }
    let kept = KeptJournal(mode: mode, limit: limit)
    // What the other file's journal was left as under another mode stays so until a commit changes that file.
    let isOfBoth = world.profile.attaches && !isVacuum && touchesOther
    for path in isOfBoth ? [World.path, World.otherPath] : [World.path] {
      // Somebody else writes already.
      if world.disk.file(named: path)?.locks.contains(where: { $0.kind == .exclusive }) == true { continue }
      if let problem = kept.problem(world.disk.content(of: path + "-journal")) {
        throw Finding(oracle: .logSize, text: "client \(name): \(path): \(problem)")
      }
    }
  }

  // MARK: checkpoints

  func askForCheckpoint() {
    phase = .checkpointing
    isCheckpoint = true
    isVacuuming = false
    newJournal = nil
    checkpointMode = choices.pick(["passive", "full", "restart", "truncate"], .checkpointMode)
    checkpointRows = []
    checkpointBegun = world.changes.tick()
    logWriteCountBefore = world.disk.logWriteCount
    start("PRAGMA wal_checkpoint(\(checkpointMode))", [])
  }

  // MARK: locks

  static let changesLockingOneIn = 8

  /// The locks that the connection keeps go with its next use of the file, or those of that use stay.
  func changeLocking() {
    phase = .checkpointing
    isCheckpoint = false
    isVacuuming = false
    newJournal = nil
    start("PRAGMA locking_mode=\(choices.oneIn(2, .newLocking) ? "normal" : "exclusive")", [])
  }

  // MARK: a checkpoint at synchronous OFF

  enum LooseCheckpoint { case asksForOff, checkpoints, goesBack }

  /// What others of the process have committed is promised whoever copies it back (SPEC, "Crash points"); what this connection has
  /// committed itself is not, if nobody else has.
  var mayLoosen: Bool {
    guard world.profile.hasLog, world.profile.processCount == 1, world.syncedWriters.contains(where: { $0 != name }) else {
      return false
    }
    return choices.oneIn(3, .loosens)
  }

  func loosen() {
    loosened = .asksForOff
    saySynchronous("off")
  }

  func goOnLoosely(_ step: LooseCheckpoint) {
    switch step {
    case .asksForOff:
      loosened = .checkpoints
      // A connection that has come since may have taken the process's book with it.
      if world.syncedWriters.contains(where: { $0 != name }) { askForCheckpoint() }
    case .checkpoints, .goesBack:
      loosened = .goesBack
      saySynchronous(world.profile.level(of: name).rawValue)
    }
  }

  private func saySynchronous(_ level: String) {
    phase = .checkpointing
    isCheckpoint = false
    isVacuuming = false
    newJournal = nil
    start("PRAGMA synchronous=\(level)", [])
  }

  func checkCheckpoint() throws(Finding) {
    if world.damage != .none { return }
    // What is left of a commit that was broken off may look like one.
    let isSound = world.faults.failureCount == 0 && world.changes.killCount == 0 && world.changes.brokenCount == 0
    let isUnwritten = world.disk.logWriteCount == logWriteCountBefore
    let isAlone = isSound && isUnwritten && world.changes.isQuiet(beside: name, since: checkpointBegun)
    let answer = CheckpointAnswer(mode: checkpointMode, rows: checkpointRows, isAlone: isAlone)
    let problem = answer.problem(
      hasLog: world.profile.hasLog ? true : world.profile.mayHaveLog ? nil : false,
      database: world.disk.content(of: World.path) ?? [], log: world.disk.content(of: World.path + "-wal"))
    if let problem { throw Finding(oracle: .pragma, text: "client \(name): wal_checkpoint(\(checkpointMode)) \(problem)") }
  }

  // MARK: journal modes

  func switchJournal() {
    let modes = world.profile.switchModes, others = modes.filter { ($0 == .wal) != world.hasLog }
    // From a log to a journal and back again, more often than not.
    let mode = choices.pick(others.isEmpty || choices.oneIn(3, .leavesKind) ? modes : others, .newJournal)
    phase = .checkpointing
    isCheckpoint = false
    isVacuuming = false
    newJournal = mode
    toldJournal = nil
    switchCount += 1
    checkpointRows = []
    world.settledMode.begin(name, hasLog: world.hasLog)
    start("PRAGMA journal_mode=\(mode.rawValue)", [])
  }

  /// The answer is what is in force: what was asked for, or, for who may not write, what was before.
  func checkSwitch(_ asked: SimulationProfile.Journal) throws(Finding) {
    newJournal = nil
    defer { world.settledMode.abandon(name) }
    if world.damage != .none { return }
    func problem(_ text: String) -> Finding {
      Finding(oracle: .pragma, text: "client \(name): journal_mode=\(asked.rawValue) answers \(checkpointRows), and \(text)")
    }
    guard checkpointRows.count == 1, checkpointRows[0].count == 1, case .text(let bytes) = checkpointRows[0][0],
      let told = SimulationProfile.Journal(rawValue: String(decoding: bytes, as: UTF8.self))
    else { throw problem("that is none") }
    if told != asked, world.faults.tallies[FaultKind.readOnlyFileSystem.rawValue].injected == 0 {
      throw problem("nothing is in its way")
    }
    toldJournal = told
    if hasOthersBetween { return }
    if (told == .wal) != world.hasLog { throw problem("the file says that it has \(world.hasLog ? "a" : "no") log") }
    if told != .wal, world.disk.content(of: World.path + "-wal") != nil { throw problem("its log is there") }
    if told == asked { world.settledMode.end(name, hasLog: told == .wal) }
  }
}
