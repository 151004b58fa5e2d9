// One run: eras of random work, each ended by a power cut and a recovery that must keep the promises; then the end of all
// faults, from which on everybody must come through.

import ApusBase

public final class Simulation {
  private let profile: SimulationProfile
  private let choices: ChoiceSource
  private let scheduled: ChoiceStream
  private let survivors: ChoiceStream
  /// Processes and page faults.
  private let chance: ChoiceStream
  let world: World
  var clients: [Client] = []
  var processes: [SimulatedEnvironment] = []
  /// By client, the number of its process.
  var homes: [Int] = []
  /// What others do between two calls of a process to the system.
  var others: OtherProcesses
  private var schedule: Schedule
  private let mishaps: Mishaps
  private let probe: CrashProbe?
  private var step = 0
  /// By client, since when it could go on, or has been rung; only where all are of one process, and stand in one line.
  private var readySince: [Int: UInt64] = [:]
  /// The client that had the turn to write last, in such a run.
  private var lastWriter: Int?
  private var cutCount = 0

  private static let path = World.path, otherPath = World.otherPath
  /// Most steps that recovery, or the end of an era, may take before the run counts as hanging.
  static let patienceSteps = 400_000
  /// Before the power goes again.
  private static let recoveryStepsMax = 200
  /// Most steps from the end of a process to a cut that comes early.
  private static let stepsAfterKillMax = 150
  /// Most steps that a cut waits for a sync to be under way.
  private static let stepsToSyncMax = 150

  /// - Parameter kind: the kind of world; by default they take turns, by the seed.
  public convenience init(seed: UInt64, kind: SimulationProfile.Kind? = nil, keepsTrace: Bool = false) {
    self.init(ChoiceSource(.seed(seed)), kind: kind, keepsTrace: keepsTrace)
  }

  /// - Parameters:
  ///   - kind: the kind of world, for a source that is a seed; by default they take turns. A tape says it itself.
  ///   - shape: what a scenario wants otherwise than the profile drew it.
  ///   - keepsTrace: the verdict then has every event.
  public init(
    _ choices: ChoiceSource, kind: SimulationProfile.Kind? = nil, shape: (inout SimulationProfile) -> Void = { _ in },
    keepsTrace: Bool = false
  ) {
    self.choices = choices
    scheduled = choices.stream("schedule")
    survivors = choices.stream("survivors")
    chance = choices.stream("world")
    let kinds = SimulationProfile.Kind.allCases
    var turn = 0
    if case .seed(let seed) = choices.origin { turn = Int(seed % UInt64(kinds.count)) }
    var profile = SimulationProfile(choices.stream("profile"), kind: kind ?? kinds[turn])
    shape(&profile)
    self.profile = profile
    let model = DatabaseModel(shapes: Self.shapes(profile))
    world = World(choices, profile: profile, model: model)
    world.disk.trace.keepsEvents = keepsTrace
    world.disk.hasCache = profile.hasCache
    if profile.sizeLimitFrames > 0 {
      world.disk.logLimit = LogLimit(byteCount: profile.sizeLimitBytes, pageSize: profile.pageSize)
    }
    schedule = Schedule(profile.schedule)
    mishaps = Mishaps(world)
    probe = CrashProbe(world)
    others = OtherProcesses(choices.stream("others"))
    if profile.callsBetweenMax > 0, profile.processCount > 1 {
      world.disk.betweenCalls = { [weak self] process in self?.letOthersGoOn(process) }
    }
  }

  static func shapes(_ profile: SimulationProfile) -> [TableShape] {
    var shapes = [
      TableShape(name: "t", isWithoutRowid: false), TableShape(name: "w", isWithoutRowid: true),
      TableShape(name: "n", isWithoutRowid: false, hasIndexes: false),
      TableShape(name: "m", isWithoutRowid: true, hasIndexes: false),
    ]
    if profile.attaches {
      shapes += [
        TableShape(name: "p", isWithoutRowid: false, database: "o"),
        TableShape(name: "q", isWithoutRowid: true, hasIndexes: false, database: "o"),
      ]
    }
    if profile.hasComingTables {
      shapes += [
        TableShape(name: "c", isWithoutRowid: false, hasIndexes: false, comesAndGoes: true),
        TableShape(name: "d", isWithoutRowid: true, hasIndexes: false, comesAndGoes: true),
      ]
    }
    return shapes
  }

  public func run() -> Verdict {
    var finding: Finding?
    do throws(Finding) {
      try runEras()
      try checkEndless()
    } catch {
      finding = error
    }
    return Verdict(
      choices: choices.origin, profile: profile, finding: finding, step: step, traceHash: world.disk.trace.text,
      eventCount: world.disk.trace.eventCount, commitCount: world.commitCount, cutCount: cutCount,
      droppedCount: world.droppedCount, listCount: world.recorder?.checkedCount ?? 0,
      replayedCount: world.keys.checkedCount, skewCount: world.skewCount, coverage: world.coverage, trace: world.disk.trace,
      tape: choices.tape)
  }

  private func runEras() throws(Finding) {
    try create()
    for era in 0..<profile.cutCount {
      try openClients(steps: profile.stepsPerEra)
      if era == profile.cutCount - 1 { mishaps.drawLie() }
      try work(for: profile.stepsPerEra, endsInCut: true)
      // What the disk has owned up to losing, or never told of: whatever is left then, it must open or say why not.
      if try !cutAndRecover() { return }
    }
    try openClients(steps: profile.stepsPerEra / 2)
    mishaps.drawDamage(steps: profile.stepsPerEra / 2)
    try work(for: profile.stepsPerEra / 2)
    try endCleanly()
    if profile.hasChecksums, world.damage == .none { try DamageRounds(world, profile, Self.path).run() }
  }

  // MARK: eras

  private func create() throws(Finding) {
    let engine = try openEngine(process: world.makeProcess())
    var statements = profile.creationStatements + ["CREATE TABLE stamp(id INTEGER PRIMARY KEY, n INTEGER)"]
    for shape in Self.shapes(profile) where !shape.comesAndGoes { statements += shape.createStatements }
    statements.append("INSERT INTO stamp VALUES(1,0)")
    if profile.hasLists { statements += HistoryRecorder.creationStatements }
    if profile.isConcurrent { statements += SideLedger.creationStatements(profile) }
    if profile.hasKeys { statements += KeyModel.creationStatements(profile) }
    if profile.attaches {
      statements += ["CREATE TABLE o.stamp(id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO o.stamp VALUES(1,0)"]
    }
    for statement in statements { _ = try runToEnd(engine, statement) }
    try fill(engine)
    try close(engine)
    world.disk.settle()
    try PragmaEffects(world).checkFile()
    if profile.pageCountMax > 0 {
      world.faults.noteForAll(.pageBudget)
      let first = (world.disk.content(of: World.path)?.count ?? 0) / profile.pageSize
      if profile.vacuumOneIn == 0 { world.pageCountMax = max(profile.pageCountMax, first) }
    }
  }

  /// Tables that are large from the beginning, their leaves one behind the other.
  private func fill(_ engine: EngineClient) throws(Finding) {
    guard profile.initialRowCount > 0, var model = world.ledger.model(of: 0) else { return }
    for table in model.presentTables {
      for first in stride(from: 0, to: profile.initialRowCount, by: Self.rowsPerInsert) {
        let rows = (first..<min(first + Self.rowsPerInsert, profile.initialRowCount)).map { number in
          ModelRow(
            k: Int64(number % 12), u: number % 3 == 0 ? nil : Int64(number),
            tag: UInt64(number + 1) &* 0x9e37_79b9_7f4a_7c15 >> 1, length: number * 37 % min(profile.payloadMax, 120))
        }
        let operation = Operation.insertMany(table: table, id: Int64(first), rows: rows)
        world.disk.trace.say(PlainScript.nobody) { SQLText(operation.sql(model), operation.bindings(model)).text }
        _ = try runToEnd(engine, operation.sql(model), operation.bindings(model))
        _ = operation.apply(to: &model)
      }
    }
    world.ledger = Ledger(model)
  }

  private static let rowsPerInsert = 50

  private func openEngine(
    process: SimulatedEnvironment, _ path: String = Simulation.path
  ) throws(Finding) -> EngineClient {
    do throws(EngineError) {
      return try makeEngine(process, path)
    } catch {
      throw unexpected(error, "opening")
    }
  }

  private func makeEngine(
    _ process: SimulatedEnvironment, _ path: String = Simulation.path
  ) throws(EngineError) -> EngineClient {
    let seed = profile.injectsFaults ? chance.number(.pageFaultSeed) : 0
    return try EngineClient(
      environment: process, path: path, lockByteOffset: profile.lockByteOffset, faultSeed: seed == 0 ? nil : seed,
      tightPageSize: profile.isTight ? profile.pageSize : nil)
  }

  private func close(_ engine: EngineClient) throws(Finding) {
    if let error = try engine.close() { throw unexpected(error, "closing") }
  }

  /// A connection that is alone with the files.
  private func openAlone() throws(Finding) -> EngineClient {
    let engine = try openEngine(process: world.makeProcess())
    if let statement = profile.attachStatement { _ = try runToEnd(engine, statement) }
    return engine
  }

  /// Both files must have come to the same transaction, but for those that changed one of them.
  private func checkOther(_ engine: EngineClient, _ stamp: Int64, _ moment: String) throws(Finding) {
    if !profile.attaches { return }
    let due = world.ledger.modelAfterCut(of: stamp)?.otherStamp ?? stamp
    let rows = try runToEnd(engine, "SELECT n FROM o.stamp")
    if rows != [[.integer(due)]] {
      throw Finding(
        oracle: .durability, text: "\(moment) the file holds transaction \(stamp), the attached one \(rows), \(due) is due")
    }
  }

  private func openClients(steps: Int) throws(Finding) {
    processes = (0..<profile.processCount).map { _ in world.makeProcess() }
    homes = (0..<profile.clientCount).map { _ in chance.below(processes.count, .process) }
    clients = []
    scheduled.begin(.era)
    for name in 0..<profile.clientCount { clients.append(makeClient(name)) }
    schedule.begin(clientCount: profile.clientCount, steps: steps, scheduled)
    world.faults.isActive = true
  }

  private func closeEra() {
    for client in clients { client.endEra() }
    clients = []
    scheduled.end(.era)
  }

  private func makeClient(_ name: Int) -> Client {
    Client(name: name, world: world) { [unowned self] () throws(EngineError) in
      try self.makeEngine(self.processes[self.homes[name]])
    }
  }

  private func work(for steps: Int, endsInCut: Bool = false) throws(Finding) {
    var stepsLeft = steps
    // Orders between files show best while some of them are not synced.
    var stepsToSync = endsInCut && scheduled.oneIn(2, .cutsAtSync) ? Self.stepsToSyncMax : 0
    var failureCount = world.faults.failureCount
    while scheduled.begins(.step, if: stepsLeft > 0 || (stepsToSync > 0 && !world.disk.isSyncDue)) {
      if stepsLeft <= 0 { stepsToSync -= 1 }
      if let number = try mishaps.step(processCount: processes.count) {
        try kill(number)
        // While what the process has left is being put right.
        if endsInCut, scheduled.oneIn(3, .cutsAfterKill) {
          stepsLeft = min(stepsLeft, 1 + scheduled.below(Self.stepsAfterKillMax, .stepsAfterKill))
        }
      }
      try stepOnce(starters: 0...Int.max)
      if endsInCut, world.faults.failureCount > failureCount, scheduled.oneIn(12, .cutsAfterFailure) {
        stepsLeft = min(stepsLeft, 1 + scheduled.below(Self.stepsAfterKillMax, .stepsAfterKill))
      }
      failureCount = world.faults.failureCount
      scheduled.end(.step)
      stepsLeft -= 1
    }
  }

  /// A process ends where it stands; another one opens the files again.
  private func kill(_ number: Int) throws(Finding) {
    world.disk.noteTurn()
    world.disk.kill(processes[number].process)
    world.changes.noteKill()
    processes[number] = world.makeProcess()
    for name in clients.indices where homes[name] == number {
      clients[name].die()
      clients[name] = makeClient(name)
    }
    try checkEndless()
  }

  func checkEndless() throws(Finding) {
    if !world.disk.isEndless { return }
    throw Finding(oracle: .liveness, text: "somebody has made more than \(SimulatedDisk.requestCountMax) requests without a wait")
  }

  /// One step of the schedule: a request completes, or a connection goes on.
  /// - Parameter starters: the connections that may begin a transaction.
  private func stepOnce(starters: ClosedRange<Int>?) throws(Finding) {
    step += 1
    world.disk.trace.step = step
    world.clock.monotonicNanoseconds += UInt64(scheduled.below(200_000, .clockAdvance))
    if scheduled.oneIn(3, .completes) && world.disk.completeOne(advancesClock: false) { return try checkCompletion() }
    func mayBegin(_ name: Int) -> Bool { starters?.contains(name) == true }
    let ready = clients.indices.filter { isReady(clients[$0]) && (mayBegin($0) || !clients[$0].isResting) }
    if ready.isEmpty {
      if world.disk.completeOne(advancesClock: false) { return try checkCompletion() }
      var moments: [UInt64] = []
      for client in clients {
        switch client.wait {
        case .moment(let moment)?, .signal(let moment)?: moments.append(moment)
        case nil, .completion?, .nothing?: break
        }
      }
      if let moment = world.disk.nextMoment { moments.append(moment) }
      if let first = moments.min() { world.clock.monotonicNanoseconds = max(world.clock.monotonicNanoseconds, first) }
      return
    }
    let name = ready[schedule.choose(ready, scheduled)]
    if profile.processCount == 1 { noteReady(ready) }
    world.disk.noteTurn()
    let wake = CommitWake(clients[name], clients.filter { $0.name != name && homes[$0.name] == homes[name] })
    others.mayGoOn = starters == 0...Int.max
    defer { others.mayGoOn = false }
    try clients[name].run(mayBegin: mayBegin(name))
    if let finding = others.finding { throw finding }
    try checkEndless()
    try wake.check()
    if clients[name].line.hasTurn { try checkLine(name) }
    if world.disk.isTurningPoint { try probe?.look() }
    readySince[name] = nil
    if clients[name].yields { schedule.demote(name) }
  }

  /// The client has got the turn to write.
  private func checkLine(_ name: Int) throws(Finding) {
    if profile.processCount > 1 || world.damage != .none { return clients[name].line = LinePlace() }
    let others = clients.filter { $0.name != name && !$0.isGone }
    defer { lastWriter = name }
    try LineWatch.check(
      clients[name], others, last: lastWriter, readySince: readySince, now: world.clock.monotonicNanoseconds)
  }

  private func noteReady(_ ready: [Int]) {
    let now = world.clock.monotonicNanoseconds
    for client in clients {
      // Who was called has to come, whatever of his own he waits for.
      let isDue = ready.contains(client.name) || client.isRung
      readySince[client.name] = isDue ? readySince[client.name] ?? now : nil
    }
  }

  func checkCompletion() throws(Finding) {
    if let name = world.disk.takeLogWriter(), clients.indices.contains(name), clients[name].line.kind == .commit {
      clients[name].hasWrittenCommit = true
      try checkLine(name)
    }
    if let problem = world.faults.problem { throw Finding(oracle: .faultAccount, text: problem) }
    if let problem = world.disk.logLimit?.problem { throw Finding(oracle: .logSize, text: problem) }
    if world.faults.hasRevertedView {
      world.faults.hasRevertedView = false
      world.ledger.forgetRefuted()
    }
    try probe?.look()
  }

  func isReady(_ client: Client) -> Bool {
    if client.isGone { return false }
    return switch client.wait {
    case nil, .nothing?: true
    case .completion(let ticket)?: world.disk.isCompleted(ticket)
    case .moment(let moment)?, .signal(let moment)?: client.isRung || world.clock.monotonicNanoseconds >= moment
    }
  }

  /// - Returns: false where the run ends here, since no promise holds any more.
  private func cutAndRecover() throws(Finding) -> Bool {
    let isTrusted = !world.disk.hasUntrustedFiles && !world.faults.liesAboutSyncs
    mishaps.endAll()
    world.faults.noteRetried(.powerCut)
    try cutPower()
    // Recovery itself may meet faults and lose power; what it has done by then must not matter.
    if survivors.oneIn(2, .cutsRecovery) {
      try recoverInPart(isTrusted: isTrusted)
      try cutPower()
    }
    world.faults.isActive = false
    if !isTrusted {
      world.damage = .anything
      try lookAtDamage()
      return false
    }
    let engine = try openAlone()
    let rows = try runToEnd(engine, "SELECT n FROM stamp")
    guard case .integer(let stamp)? = rows.first?.first else {
      throw Finding(oracle: .durability, text: "after cut \(cutCount) the stamp reads \(rows)")
    }
    let promise = world.promise
    if !world.ledger.allowsAfterCut(stamp, promise: promise) {
      throw Finding(
        oracle: .durability,
        text: "after cut \(cutCount) the file holds transaction \(stamp); acknowledged was "
          + "\(world.ledger.lastAcknowledged), under way \(world.ledger.underWay.sorted()), in doubt "
          + "\(world.ledger.doubtful.sorted())")
    }
    try checkOther(engine, stamp, "after cut \(cutCount)")
    // A journal's end, and with NORMAL a commit, may be seen before a sync has covered it: the process ended in between.
    let losesSeen = !world.ledger.descends(stamp, from: world.ledger.lastSeen)
    if losesSeen, world.showsOnlyWhatIsSynced {
      throw Finding(
        oracle: .durability,
        text: "after cut \(cutCount) the file holds transaction \(stamp); \(world.ledger.lastSeen) was seen")
    }
    world.ledger.restart(at: stamp)
    if promise != .everything { world.side.forgetAnswers() }
    try world.checkFiles("after cut \(cutCount)")
    try checkReads(engine)
    try checkLists(engine, losesTail: losesSeen || promise != .everything)
    try checkKeys(engine, losesTail: losesSeen || promise != .everything)
    try close(engine)
    return true
  }

  private func cutPower() throws(Finding) {
    world.disk.noteTurn()
    let survivals = SimulatedDisk.Survival.allCases
    world.disk.cutPower(survivals[survivors.below(survivals.count, .survival)])
    for client in clients { client.die() }
    closeEra()
    world.changes = ChangeLedger()
    world.keptLog = KeptLog()
    world.settledMode = SettledMode()
    cutCount += 1
    try checkEndless()
  }

  private func recoverInPart(isTrusted: Bool) throws(Finding) {
    let isOther = profile.attaches && survivors.oneIn(2, .recoveryOther)
    let process = world.makeProcess()
    let path = isOther ? Self.otherPath : Self.path
    world.faults.actor = 0
    defer {
      world.faults.actor = -1
      world.faults.noteEnd(of: 0)
    }
    do throws(EngineError) {
      let engine = try makeEngine(process, path)
      engine.start(isOther ? "SELECT n FROM stamp" : profile.attachStatement ?? "SELECT n FROM stamp", [])
      for _ in 0..<survivors.below(Self.recoveryStepsMax, .recoverySteps) where engine.isBusy {
        if case .failed(let error) = engine.poll() { throw error }
        if survivors.oneIn(2, .recoveryCompletes) { world.disk.completeOne() }
      }
    } catch {
      // A schema that cannot be read has no table of that name.
      if !isTrusted, (FaultKind.damageCodes + [.error, .full]).contains(error.code) { return }
      if world.faults.excuse(error, of: 0) == nil { throw unexpected(error, "recovery") }
    }
  }

  private func endCleanly() throws(Finding) {
    mishaps.endAll()
    world.faults.isActive = false
    world.mayDrop = false
    scheduled.begin(.liveness)
    try LivenessPhase(self).run { (starter) throws(Finding) in
      scheduled.begin(.step)
      try stepOnce(starters: starter.map { $0...$0 })
      scheduled.end(.step)
    }
    scheduled.end(.liveness)
    if world.damage == .none, !profile.locksExclusively { try LeakCheck(world).checkResting() }
    for client in clients { try client.close() }
    closeEra()
    try LeakCheck(world).checkClosed()
    if world.damage != .none { return try lookAtDamage() }
    let expected = world.ledger.lastSeen
    let engine = try openAlone()
    let rows = try runToEnd(engine, "SELECT n FROM stamp")
    guard case .integer(let stamp)? = rows.first?.first, world.ledger.descends(stamp, from: expected) else {
      throw Finding(oracle: .durability, text: "at the end the stamp reads \(rows), seen was \(expected)")
    }
    // A commit that failed, and that nobody has looked for since, may be there.
    if stamp != expected { world.ledger.restart(at: stamp) }
    try checkOther(engine, stamp, "at the end")
    try checkReads(engine)
    try checkLists(engine, losesTail: false)
    try checkKeys(engine, losesTail: false)
    try close(engine)
    try world.checkFiles("at the end")
    try LeakCheck(world).checkClosed()
    let hadTrouble = cutCount > 0 || world.changes.killCount > 0 || world.faults.failureCount > 0
    try LeakCheck(world).checkNames(hadTrouble: hadTrouble)
  }

  // MARK: oracles

  /// The engine's own answers to the whole of each table.
  private func checkReads(_ engine: EngineClient) throws(Finding) {
    guard let model = world.ledger.model(of: world.ledger.lastSeen) else { return }
    for table in model.presentTables {
      let operation = Operation.readAll(table: table)
      let rows = try runToEnd(engine, operation.sql(model))
      let expected = operation.expectedRows(model)
      if !operation.isAnswered(by: rows, expected, model) {
        throw Finding(oracle: .read, text: "\(operation.sql(model)) gives \(rows.count) rows, \(expected.count) are due")
      }
    }
  }

  private func checkLists(_ engine: EngineClient, losesTail: Bool) throws(Finding) {
    guard let recorder = world.recorder else { return }
    try recorder.check(try runToEnd(engine, HistoryRecorder.readStatement), losesTail: losesTail)
  }

  private func checkKeys(_ engine: EngineClient, losesTail: Bool) throws(Finding) {
    if !profile.hasKeys { return }
    // A transaction of which nobody knows, with none behind it.
    for client in clients { client.endKeys() }
    var content = KeyModel(
      items: try runToEnd(engine, KeyModel.itemStatement), marks: try runToEnd(engine, KeyModel.markStatement),
      tickets: try runToEnd(engine, KeyModel.ticketStatement), sequence: try runToEnd(engine, KeyModel.sequenceStatement))
    if profile.hasLanes {
      content.coupons = KeyModel.numbers(try runToEnd(engine, KeyModel.couponStatement))
      if case .integer(let value)? = try runToEnd(engine, KeyModel.couponSequenceStatement).first?.first {
        content.couponSequence = value
      }
      content.slips = KeyModel.numbers(try runToEnd(engine, KeyModel.slipStatement))
      for client in 0..<profile.clientCount {
        content.owns[client] = KeyModel.numbers(try runToEnd(engine, KeyModel.ownStatement(client)))
      }
    }
    var done: [Int64] = []
    for client in 0..<profile.clientCount {
      for case .integer(let id)? in try runToEnd(engine, "SELECT id FROM done\(client)").map(\.first) { done.append(id) }
    }
    try world.keys.check(content, done: done, losesTail: losesTail)
  }

  /// Damaged files: everything ends, with rows or with an error that says what they are.
  private func lookAtDamage() throws(Finding) {
    guard let model = world.ledger.model(of: 0) else { return }
    let statements =
      ["SELECT n FROM stamp", "PRAGMA integrity_check"]
      + model.shapes.indices.map { Operation.readAll(table: $0).sql(model) }
    let engine: EngineClient
    do throws(EngineError) {
      engine = try makeEngine(world.makeProcess())
    } catch {
      if FaultKind.damageCodes.contains(error.code) { return }
      throw unexpected(error, "opening damaged files")
    }
    for statement in (profile.attachStatement.map { [$0] } ?? []) + statements {
      switch try answer(engine, statement) {
      case .success: break
      case .failure(let error):
        // A schema that cannot be read has no table of that name.
        if FaultKind.damageCodes.contains(error.code) || error.code == .error || error.code == .full { continue }
        throw unexpected(error, "\(statement) on damaged files")
      }
    }
    _ = try engine.close()
  }

  // MARK: one connection alone

  private func runToEnd(
    _ engine: EngineClient, _ sql: String, _ bindings: [Operation.Binding] = []
  ) throws(Finding) -> [[ImageField]] {
    switch try answer(engine, sql, bindings) {
    case .success(let rows): return rows
    case .failure(let error): throw unexpected(error, sql)
    }
  }

  private func answer(
    _ engine: EngineClient, _ sql: String, _ bindings: [Operation.Binding] = []
  ) throws(Finding) -> Result<[[ImageField]], EngineError> {
    engine.start(sql, bindings)
    var rows: [[ImageField]] = []
    for _ in 0..<Self.patienceSteps {
      world.disk.noteTurn()
      switch engine.poll() {
      case .row(let fields): rows.append(fields)
      case .done: return .success(rows)
      case .failed(let error): return .failure(error)
      case .waiting(.moment(let moment)), .waiting(.signal(let moment)):
        world.clock.monotonicNanoseconds = max(world.clock.monotonicNanoseconds, moment)
      case .waiting(.completion), .waiting(.nothing): world.disk.completeOne()
      }
    }
    throw Finding(oracle: .liveness, text: "\(sql) does not end")
  }

  private func unexpected(_ error: EngineError, _ place: String) -> Finding {
    Finding(oracle: .error, text: "\(place): \(error) (code \(error.code.rawValue))")
  }
}
