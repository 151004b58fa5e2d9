// A statement dropped at its Nth wait, for every N: file, connection and process must be as if it had never begun, and the same
// statement again must do what it does undisturbed. A dropped statement is what a cancelled task of the application is.

import ApusBase
import ApusIO

public struct CancelFailure: Sendable, CustomStringConvertible {
  public var kind: String
  public var setting: String
  /// Counted from 1.
  public var wait: Int
  public var finding: Finding

  public var description: String { "\(kind) (\(setting)), dropped at wait \(wait): \(finding)" }
}

public struct CancelResult: Sendable {
  public var waitCount = 0
  public var failures: [CancelFailure] = []
}

public struct CancelSetting: Sendable, CustomStringConvertible {
  public var journal: String
  public var cachePages: Int
  public var autoVacuum: Int
  /// Pages that are there are waited for all the same, at random.
  public var hasPageFaults: Bool

  public var description: String {
    "\(journal), cache \(cachePages)\(autoVacuum > 0 ? ", auto_vacuum \(autoVacuum)" : "")\(hasPageFaults ? ", page faults" : "")"
  }

  public static let all: [CancelSetting] = ["wal", "delete"].flatMap { journal in
    [
      CancelSetting(journal: journal, cachePages: 500, autoVacuum: 0, hasPageFaults: false),
      CancelSetting(journal: journal, cachePages: 6, autoVacuum: 2, hasPageFaults: false),
      CancelSetting(journal: journal, cachePages: 20, autoVacuum: 1, hasPageFaults: true),
    ]
  }
}

public struct CancelRun: Sendable {
  private let kind: CancelKind
  private let setting: CancelSetting
  /// Behind so many waits only some are tried, evenly spread.
  private static let waitCountAll = 250
  private static let settleWaitMax = 10_000

  public init(_ kind: CancelKind, _ setting: CancelSetting) {
    self.kind = kind
    self.setting = setting
  }

  fileprivate var isChecked: Bool { kind.sql != "COMMIT" }

  /// Drops the statement at each of its waits.
  public func run() -> CancelResult {
    var result = CancelResult()
    do throws(Finding) {
      let start = try makeFiles()
      let reference = try Reference(self, start)
      let stride = max(1, reference.waitCount / Self.waitCountAll)
      for wait in Swift.stride(from: 1, through: reference.waitCount, by: stride) {
        result.waitCount += 1
        do throws(Finding) {
          try drop(at: wait, start, reference)
        } catch {
          result.failures.append(
            CancelFailure(kind: kind.name, setting: setting.description, wait: wait, finding: error))
        }
      }
    } catch {
      result.failures.append(CancelFailure(kind: kind.name, setting: setting.description, wait: 0, finding: error))
    }
    return result
  }

  private func makeFiles() throws(Finding) -> QuietWorld.Files {
    let world = QuietWorld()
    let engine = try world.open()
    let head = [
      "PRAGMA page_size=512", "PRAGMA auto_vacuum=\(setting.autoVacuum)", "PRAGMA journal_mode=\(setting.journal)",
    ]
    for statement in head + CancelKind.setUp { try world.must(engine, statement) }
    try world.close(engine)
    return world.files
  }

  /// A connection that has said everything before the statement.
  fileprivate func prepare(_ start: QuietWorld.Files) throws(Finding) -> (world: QuietWorld, engine: EngineClient) {
    let world = QuietWorld(start)
    let engine = try world.open(pageFaultSeed: setting.hasPageFaults ? 7 : nil)
    let head = [
      "PRAGMA journal_mode=\(setting.journal)", "PRAGMA cache_size=\(setting.cachePages)", "PRAGMA synchronous=full",
      "SELECT count(*) FROM sqlite_schema",
    ]
    for statement in head + kind.before { try world.must(engine, statement) }
    world.drain()
    return (world, engine)
  }

  fileprivate func start(_ world: QuietWorld, _ engine: EngineClient, dropAt wait: Int?) throws(Finding)
    -> CancelAnswer?
  {
    var waitCount = 0
    func isOver() -> Bool {
      waitCount += 1
      return waitCount == wait
    }
    switch try world.run(engine, kind.sql, until: isOver) {
    case nil: return nil
    case .success(let rows)?: return CancelAnswer(rows: rows, code: nil, waitCount: waitCount)
    case .failure(let error)?: return CancelAnswer(rows: [], code: error.code.rawValue, waitCount: waitCount)
    }
  }

  private func drop(at wait: Int, _ start: QuietWorld.Files, _ reference: Reference) throws(Finding) {
    let (world, engine) = try prepare(start)
    let before = CancelState(world, engine)
    guard try self.start(world, engine, dropAt: wait) == nil else {
      throw Finding(oracle: .liveness, text: "the statement did not come to this wait")
    }
    engine.drop()
    try settle(world, engine)
    world.drain()
    // A roll-back that was begun is carried to its end: then it is as if it had not been dropped. So is a commit whose end came
    // before the drop.
    if kind.mayBeThrough, reference.after.difference(to: try CancelContent(world, engine, isChecked: false)) == nil,
      engine.isInTransaction == reference.isInTransactionAfter
    {
      return try compareEnd(world, engine, reference)
    }
    let after = CancelState(world, engine)
    if let difference = before.difference(to: after) { throw Finding(oracle: .cancellation, text: difference) }
    // Between the steps of a COMMIT pages of the freelist are nowhere.
    let isCommit = kind.sql == "COMMIT"
    if let difference = reference.before.difference(to: try CancelContent(world, engine, isChecked: !isCommit)) {
      throw Finding(oracle: .cancellation, text: "the connection sees that " + difference)
    }
    if !engine.isInTransaction {
      let other = try world.open()
      if let difference = reference.before.difference(to: try CancelContent(world, other)) {
        throw Finding(oracle: .cancellation, text: "another process sees that " + difference)
      }
      try world.close(other)
    }
    // Begun again, it must do what it does where nothing was dropped.
    guard let again = try self.start(world, engine, dropAt: nil) else { return }
    if again.rows != reference.answer.rows || again.code != reference.answer.code {
      throw Finding(
        oracle: .cancellation,
        text: "again, it gives \(again.summary); undisturbed it gives \(reference.answer.summary)")
    }
    try compareEnd(world, engine, reference)
  }

  private func compareEnd(_ world: QuietWorld, _ engine: EngineClient, _ reference: Reference) throws(Finding) {
    if let difference = reference.content.difference(to: try finish(world, engine)) {
      throw Finding(oracle: .cancellation, text: "at the end, \(difference)")
    }
  }

  private func settle(_ world: QuietWorld, _ engine: EngineClient) throws(Finding) {
    for _ in 0..<Self.settleWaitMax {
      do throws(EngineError) {
        guard let wait = try engine.settle() else { return }
        world.serve(wait)
      } catch {
        throw Finding(oracle: .cancellation, text: "what it left cannot be undone: \(error)")
      }
    }
    throw Finding(oracle: .liveness, text: "what it left is not undone")
  }

  /// Ends what is open and reads everything that the file holds then.
  fileprivate func finish(_ world: QuietWorld, _ engine: EngineClient) throws(Finding) -> CancelContent {
    if engine.isInTransaction { try world.must(engine, "COMMIT") }
    try world.close(engine)
    if let handle = world.disk.handles.values.map(\.path).min() {
      throw Finding(oracle: .leak, text: "\(handle) is open behind the end of the connection")
    }
    let found = world.walk()
    if let first = found.walker.violations.first { throw Finding(oracle: .walk, text: first) }
    return CancelContent(found.schema, found.entries)
  }
}

/// What a statement gave.
struct CancelAnswer {
  var rows: [[ImageField]]
  var code: Int32?
  var waitCount: Int

  var summary: String { code.map { "the error \($0)" } ?? "\(rows.count) rows" }
}

/// The statement undisturbed.
private struct Reference {
  var answer: CancelAnswer
  /// Before it, as the connection sees it; and at the end, as the bytes say.
  var before: CancelContent
  var after: CancelContent
  var isInTransactionAfter: Bool
  var content: CancelContent
  var waitCount: Int

  init(_ run: CancelRun, _ start: QuietWorld.Files) throws(Finding) {
    // The waits are counted where nobody has looked at the content before: a look changes what is in the cache.
    let (plainWorld, plainEngine) = try run.prepare(start)
    waitCount = try run.start(plainWorld, plainEngine, dropAt: nil)?.waitCount ?? 0
    _ = try run.finish(plainWorld, plainEngine)
    let (world, engine) = try run.prepare(start)
    before = try CancelContent(world, engine, isChecked: run.isChecked)
    guard let answer = try run.start(world, engine, dropAt: nil) else {
      throw Finding(oracle: .liveness, text: "the statement does not end")
    }
    self.answer = answer
    after = try CancelContent(world, engine, isChecked: false)
    isInTransactionAfter = engine.isInTransaction
    content = try run.finish(world, engine)
  }
}
