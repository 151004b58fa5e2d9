// One run: eras of random work, each ended by a power cut and a recovery that must keep the promises.

import ApusBase

public final class Simulation {
  private let profile: SimulationProfile
  private let choices: ChoiceSource
  private let schedule: ChoiceStream
  private let survivors: ChoiceStream
  /// Processes and page faults.
  private let chance: ChoiceStream
  private let world: World
  private var clients: [Client] = []
  private var step = 0
  private var cutCount = 0

  private static let path = World.path, otherPath = World.otherPath
  /// Most steps that recovery, or the end of an era, may take before the run counts as hanging.
  private static let patienceSteps = 400_000

  public convenience init(seed: UInt64, keepsTrace: Bool = false) {
    self.init(ChoiceSource(.seed(seed)), keepsTrace: keepsTrace)
  }

  /// - Parameter keepsTrace: the verdict then has every event as a line.
  public init(_ choices: ChoiceSource, keepsTrace: Bool = false) {
    self.choices = choices
    schedule = choices.stream("schedule")
    survivors = choices.stream("survivors")
    chance = choices.stream("world")
    let profile = SimulationProfile(choices.stream("profile"))
    self.profile = profile
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
    let model = DatabaseModel(shapes: shapes)
    world = World(choices, profile: profile, model: model)
    world.disk.trace.keepsLines = keepsTrace
    world.disk.hasCache = profile.hasCache
  }

  public func run() -> Verdict {
    var finding: Finding?
    do throws(Finding) {
      try create()
      for _ in 0..<profile.cutCount {
        try openClients()
        try work(for: profile.stepsPerEra)
        try cutAndRecover()
      }
      try openClients()
      try work(for: profile.stepsPerEra / 2)
      try endCleanly()
      if profile.hasChecksums { try DamageRounds(world, profile, Self.path).run() }
    } catch {
      finding = error
    }
    return Verdict(
      choices: choices.origin, profile: profile, finding: finding, step: step, traceHash: world.disk.trace.text,
      eventCount: world.disk.trace.eventCount, commitCount: world.commitCount, cutCount: cutCount,
      droppedCount: world.droppedCount, trace: world.disk.trace.lines, tape: choices.tape)
  }

  // MARK: eras

  private func create() throws(Finding) {
    let engine = try openEngine(process: makeProcess())
    var statements = profile.creationStatements + ["CREATE TABLE stamp(id INTEGER PRIMARY KEY, n INTEGER)"]
    for shape in world.ledger.model(of: 0)?.shapes ?? [] { statements += shape.createStatements }
    statements.append("INSERT INTO stamp VALUES(1,0)")
    if profile.attaches {
      statements += ["CREATE TABLE o.stamp(id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO o.stamp VALUES(1,0)"]
    }
    for statement in statements { _ = try runToEnd(engine, statement) }
    try engine.close()
    world.disk.settle()
  }

  private func makeProcess() -> SimulatedEnvironment {
    SimulatedEnvironment(disk: world.disk, clock: world.clock, seed: chance.number(.processSeed))
  }

  private func openEngine(
    process: SimulatedEnvironment, _ path: String = Simulation.path
  ) throws(Finding) -> EngineClient {
    let seed = profile.injectsFaults ? chance.number(.pageFaultSeed) : 0
    return try EngineClient(
      environment: process, path: path, lockByteOffset: profile.lockByteOffset, faultSeed: seed == 0 ? nil : seed)
  }

  /// A connection that is alone with the files.
  private func openAlone() throws(Finding) -> EngineClient {
    let engine = try openEngine(process: makeProcess())
    if let statement = profile.attachStatement { _ = try runToEnd(engine, statement) }
    return engine
  }

  /// Both files must have come to the same transaction.
  private func checkOther(_ engine: EngineClient, _ stamp: Int64, _ moment: String) throws(Finding) {
    if !profile.attaches { return }
    let rows = try runToEnd(engine, "SELECT n FROM o.stamp")
    if rows != [[.integer(stamp)]] {
      throw Finding(
        oracle: .durability, text: "\(moment) the file holds transaction \(stamp), the attached one \(rows)")
    }
  }

  private func openClients() throws(Finding) {
    let processes = (0..<profile.processCount).map { _ in makeProcess() }
    schedule.begin(.era)
    for name in 0..<profile.clientCount {
      let engine = try openEngine(process: processes[chance.below(processes.count, .process)])
      clients.append(Client(name: name, engine: engine, world: world))
    }
  }

  private func closeEra() {
    for client in clients { client.endEra() }
    clients = []
    schedule.end(.era)
  }

  private func work(for steps: Int) throws(Finding) {
    var stepsLeft = steps
    while schedule.begins(.step, if: stepsLeft > 0) {
      try stepOnce(mayBegin: true)
      schedule.end(.step)
      stepsLeft -= 1
    }
  }

  /// One step of the schedule: a request completes, or a connection goes on.
  private func stepOnce(mayBegin: Bool) throws(Finding) {
    step += 1
    world.clock.monotonicNanoseconds += UInt64(schedule.below(200_000, .clockAdvance))
    if schedule.oneIn(3, .completes) && world.disk.completeOne() { return }
    let ready = clients.filter { isReady($0) && (mayBegin || !$0.isResting) }
    if ready.isEmpty {
      if world.disk.completeOne() { return }
      var moments: [UInt64] = []
      for client in clients { if case .moment(let moment)? = client.wait { moments.append(moment) } }
      if let first = moments.min() { world.clock.monotonicNanoseconds = max(world.clock.monotonicNanoseconds, first) }
      return
    }
    let place = schedule.place(in: ready.map(\.name), .ran) { schedule.drawn(below: ready.count) }
    try ready[place].run(mayBegin: mayBegin)
  }

  private func isReady(_ client: Client) -> Bool {
    switch client.wait {
    case nil, .nothing?: true
    case .completion(let ticket)?: world.disk.isCompleted(ticket)
    case .moment(let moment)?: world.clock.monotonicNanoseconds >= moment
    }
  }

  private func cutAndRecover() throws(Finding) {
    let survivals = SimulatedDisk.Survival.allCases
    world.disk.cutPower(survivals[survivors.below(survivals.count, .survival)])
    cutCount += 1
    closeEra()
    // Recovery itself may lose power; what it has done by then must not matter.
    if survivors.oneIn(3, .cutsRecovery) {
      let isOther = profile.attaches && survivors.oneIn(2, .recoveryOther)
      let engine = try openEngine(process: makeProcess(), isOther ? Self.otherPath : Self.path)
      engine.start(isOther ? "SELECT n FROM stamp" : profile.attachStatement ?? "SELECT n FROM stamp", [])
      for _ in 0..<survivors.below(60, .recoverySteps) where engine.isBusy {
        if case .failed(let error) = engine.poll() { throw unexpected(error, "recovery") }
        if survivors.oneIn(2, .recoveryCompletes) { world.disk.completeOne() }
      }
      world.disk.cutPower(survivals[survivors.below(survivals.count, .survival)])
    }
    let engine = try openAlone()
    let rows = try runToEnd(engine, "SELECT n FROM stamp")
    guard case .integer(let stamp)? = rows.first?.first else {
      throw Finding(oracle: .durability, text: "after cut \(cutCount) the stamp reads \(rows)")
    }
    if !world.ledger.allowsAfterCut(stamp, promise: profile.promise) {
      throw Finding(
        oracle: .durability,
        text: "after cut \(cutCount) the file holds transaction \(stamp); acknowledged was "
          + "\(world.ledger.lastAcknowledged), under way \(world.ledger.underWay.sorted())")
    }
    try checkOther(engine, stamp, "after cut \(cutCount)")
    world.ledger.restart(at: stamp)
    try world.checkFiles("after cut \(cutCount)")
    try checkReads(engine)
    try engine.close()
  }

  private func endCleanly() throws(Finding) {
    var patience = Self.patienceSteps
    while !clients.allSatisfy(\.isResting) {
      schedule.begin(.step)
      try stepOnce(mayBegin: false)
      schedule.end(.step)
      patience -= 1
      if patience == 0 { throw Finding(oracle: .liveness, text: "the transactions under way do not end") }
    }
    let expected = world.ledger.lastAcknowledged
    for client in clients { try client.close() }
    closeEra()
    let engine = try openAlone()
    let rows = try runToEnd(engine, "SELECT n FROM stamp")
    if rows != [[.integer(expected)]] {
      throw Finding(oracle: .durability, text: "at the end the stamp reads \(rows), acknowledged was \(expected)")
    }
    try checkOther(engine, expected, "at the end")
    try checkReads(engine)
    try engine.close()
    try world.checkFiles("at the end")
  }

  // MARK: oracles

  /// The engine's own answers to the whole of each table.
  private func checkReads(_ engine: EngineClient) throws(Finding) {
    guard let model = world.ledger.model(of: world.ledger.lastAcknowledged) else { return }
    for table in model.shapes.indices {
      let operation = Operation.readAll(table: table)
      let rows = try runToEnd(engine, operation.sql(model))
      if rows.count != operation.expectedRows(model).count {
        throw Finding(oracle: .read, text: "\(operation.sql(model)) gives \(rows.count) rows")
      }
    }
  }

  // MARK: one connection alone

  private func runToEnd(_ engine: EngineClient, _ sql: String) throws(Finding) -> [[ImageField]] {
    engine.start(sql, [])
    var rows: [[ImageField]] = []
    for _ in 0..<Self.patienceSteps {
      switch engine.poll() {
      case .row(let fields): rows.append(fields)
      case .done: return rows
      case .failed(let error): throw unexpected(error, sql)
      case .waiting(.moment(let moment)):
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
