// The end of a run on a file with page checksums: the file rots, or a page was written to the wrong place. What the engine reads
// then is what the model holds, or an error that says so; never something else.

import ApusBase

struct DamageRounds {
  private let world: World
  private let profile: SimulationProfile
  private let path: String
  private let choices: ChoiceStream

  private static let scannedPath = "/sim/scanned.db"
  private static let roundCount = 12
  private static let patienceSteps = 400_000

  init(_ world: World, _ profile: SimulationProfile, _ path: String) {
    self.world = world
    self.profile = profile
    self.path = path
    choices = world.choices.stream("damage")
  }

  func run() throws(Finding) {
    try damageTables()
    try damageScans()
  }

  /// A table whose leaves lie behind each other, so that scans read ahead.
  private func damageScans() throws(Finding) {
    let path = Self.scannedPath
    world.disk.hasCache = true
    let query = "SELECT id,v FROM r ORDER BY id"
    let maker = try open(path)
    for sql in [
      "PRAGMA page_size=512", "PRAGMA page_checksums=on", "CREATE TABLE r(id INTEGER PRIMARY KEY,v TEXT)",
      "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<200) "
        + "INSERT INTO r SELECT x,x*7919||' and something to fill the pages with, which makes some forty of them' FROM c",
    ] {
      if case .failure(let error) = try rows(maker, sql) { throw Finding(oracle: .error, text: "\(sql): \(error)") }
    }
    guard case .success(let due) = try rows(maker, query), due.count == 200 else {
      throw Finding(oracle: .read, text: "\(query): not what was inserted")
    }
    try close(maker)
    world.disk.settle()
    guard let sound = world.disk.content(of: path) else { return }
    for _ in 0..<Self.roundCount {
      var bytes = sound
      let place = 512 + choices.below(sound.count - 512, .damageByte)
      bytes[place] ^= 1 << UInt8(choices.below(8, .damageBit))
      world.disk.install(path, bytes)
      let engine = try open(path)
      let damage = "a flipped bit in byte \(place % 512) of page \(place / 512 + 1) of the scanned file"
      switch try rows(engine, query) {
      case .success(let rows):
        if rows != due { throw Finding(oracle: .read, text: "\(damage) changes what \(query) gives") }
      case .failure(let error):
        if error.code != .ioErrorData {
          throw Finding(oracle: .error, text: "\(damage): \(query): \(error) (code \(error.code.rawValue))")
        }
      }
      try close(engine)
    }
  }

  private func open(_ path: String) throws(Finding) -> EngineClient {
    let process = SimulatedEnvironment(disk: world.disk, clock: world.clock, seed: choices.number(.processSeed))
    do throws(EngineError) {
      return try EngineClient(
        environment: process, path: path, lockByteOffset: profile.lockByteOffset, faultSeed: nil)
    } catch {
      throw Finding(oracle: .error, text: "opening: \(error) (code \(error.code.rawValue))")
    }
  }

  private func close(_ engine: EngineClient) throws(Finding) {
    if let error = try engine.close() {
      throw Finding(oracle: .error, text: "closing: \(error) (code \(error.code.rawValue))")
    }
  }

  private func damageTables() throws(Finding) {
    guard let sound = world.disk.content(of: path) else { return }
    guard sound.count > 100 else { return }
    // VACUUM may have changed it.
    let stored = Int(sound[16]) << 8 | Int(sound[17])
    let size = stored == 1 ? 65_536 : stored
    let pageCount = sound.count / size
    if pageCount < 4 { return }
    guard let model = try soundModel() else { throw Finding(oracle: .read, text: "the undamaged file has no stamp that is known") }
    for _ in 0..<Self.roundCount {
      var bytes = sound
      let page = 1 + choices.below(pageCount - 1, .damagePage)
      let other = 1 + choices.below(pageCount - 1, .damageOther)
      let damage: String
      if !choices.oneIn(2, .damageKind) {
        let place = page * size + choices.below(size, .damageByte)
        bytes[place] ^= 1 << UInt8(choices.below(8, .damageBit))
        damage = "a flipped bit in page \(page + 1)"
      } else {
        for offset in 0..<size { bytes[page * size + offset] = sound[other * size + offset] }
        damage = "page \(other + 1) written in the place of page \(page + 1)"
      }
      world.disk.install(path, bytes)
      try checkReads(damage, model)
    }
    world.disk.install(path, sound)
  }

  /// The last commit may be one whose statement was dropped: the file itself says which it is.
  private func soundModel() throws(Finding) -> DatabaseModel? {
    let engine = try open(path)
    guard case .success(let rows) = try rows(engine, "SELECT n FROM stamp"), case .integer(let stamp)? = rows.first?.first else {
      return nil
    }
    try close(engine)
    return world.ledger.modelAfterCut(of: stamp)
  }

  private func checkReads(_ damage: String, _ model: DatabaseModel) throws(Finding) {
    let engine = try open(path)
    for table in model.presentTables where model.shapes[table].database == nil {
      let operation = Operation.readAll(table: table)
      switch try rows(engine, operation.sql(model)) {
      case .success(let rows):
        if !operation.isAnswered(by: rows, operation.expectedRows(model), model) {
          throw Finding(oracle: .read, text: "\(damage): \(operation.sql(model)) gives something else than was written")
        }
      case .failure(let error):
        if error.code != .ioErrorData {
          throw Finding(oracle: .error, text: "\(damage): \(operation.sql(model)): \(error) (code \(error.code.rawValue))")
        }
      }
    }
    try close(engine)
  }

  private func rows(_ engine: EngineClient, _ sql: String) throws(Finding) -> Result<[[ImageField]], EngineError> {
    engine.start(sql, [])
    var rows: [[ImageField]] = []
    for _ in 0..<Self.patienceSteps {
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
}
