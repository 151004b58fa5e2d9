// Every crash of every small workload: most bugs of crash consistency show with two statements, if one looks at every point.
// Source: J. Mohan et al., "Finding crash-consistency bugs with bounded black-box crash testing", 2018.
//
// A crash point is the moment before a request completes, and the end. At each one the power is cut once for each survivor set,
// and the recovered file must hold the state after the last statement that was answered, or that of the one under way, whole.

import ApusBase

/// A journal under which nothing that was answered may be lost.
public enum ExhaustJournal: String, CaseIterable, Sendable {
  case wal, delete, truncate, persist

  var statements: [String] {
    [
      "PRAGMA journal_mode=\(rawValue)", "PRAGMA synchronous=\(self == .wal ? "full" : "extra")", "PRAGMA cache_size=5",
      // The log is copied back in the midst of the workload.
      "PRAGMA wal_autocheckpoint=6",
    ]
  }
}

public struct ExhaustFailure: Sendable, CustomStringConvertible {
  public var journal: ExhaustJournal
  public var workload: [String]
  public var crashPoint: Int
  public var survivors: String
  public var finding: Finding

  public var description: String {
    "\(journal.rawValue), crash point \(crashPoint), survivors \(survivors): \(workload.joined(separator: "; "))\n    \(finding)"
  }
}

public struct ExhaustResult: Sendable {
  public var crashCount = 0
  public var pointCount = 0
  public var failures: [ExhaustFailure] = []
}

public struct ExhaustRun: Sendable {
  private let journal: ExhaustJournal
  private let start: [(path: String, bytes: [UInt8])]
  private let startModel: DatabaseModel

  public static func workloads(length: Int) -> [[Int]] { ExhaustAlphabet.workloads(length: length) }
  public static var letterNames: [String] { ExhaustAlphabet.letters.map(\.name) }

  /// Makes the file that every workload starts from.
  public init(_ journal: ExhaustJournal) throws(Finding) {
    self.journal = journal
    let world = QuietWorld()
    var model = DatabaseModel(shapes: ExhaustAlphabet.shapes)
    let engine = try world.open()
    for statement in ["PRAGMA page_size=512"] + journal.statements { try world.must(engine, statement) }
    for statement in ExhaustAlphabet.shapes.flatMap(\.createStatements) { try world.must(engine, statement) }
    for operation in ExhaustAlphabet.startRows {
      if case .failure(let error)? = try world.run(engine, operation.sql(model), operation.bindings(model)) {
        throw Finding(oracle: .error, text: "\(operation.sql(model)): \(error)")
      }
      guard operation.apply(to: &model) else { preconditionFailure("the rows at the start collide") }
    }
    try world.close(engine)
    world.disk.settle()
    start = world.files.content
    startModel = model
  }

  /// Crashes `workload` at each point with each survivor set.
  public func run(_ workload: [Int]) -> ExhaustResult {
    var result = ExhaustResult()
    var point = 0
    while true {
      var isBehindEnd = false
      for (number, survival) in SimulatedDisk.Survival.allCases.enumerated() {
        do throws(Finding) {
          isBehindEnd = try !crash(workload, at: point, survival, seed: UInt64(point * 8 + number)) || isBehindEnd
        } catch {
          result.failures.append(
            ExhaustFailure(
              journal: journal, workload: workload.map { ExhaustAlphabet.letters[$0].name }, crashPoint: point,
              survivors: "\(survival)", finding: error))
        }
        result.crashCount += 1
      }
      result.pointCount += 1
      if isBehindEnd || !result.failures.isEmpty { return result }
      point += 1
    }
  }

  /// - Returns: false where the workload had ended before the crash point: there is no later one.
  private func crash(
    _ workload: [Int], at point: Int, _ survival: SimulatedDisk.Survival, seed: UInt64
  ) throws(Finding) -> Bool {
    let world = QuietWorld(QuietWorld.Files(content: start), survivorSeed: seed)
    var states = [startModel]
    var isCut = false
    let engine = try world.open()
    func isOver() -> Bool { world.completedCount >= point }
    for statement in journal.statements where !isCut { isCut = try world.run(engine, statement, until: isOver) == nil }
    for letter in workload where !isCut {
      guard let last = states.last else { break }
      var next = last
      switch ExhaustAlphabet.letters[letter].letter {
      case .operation(let operation):
        let mustSucceed = operation.apply(to: &next)
        let answer = try world.run(engine, operation.sql(last), operation.bindings(last), until: isOver)
        isCut = answer == nil
        try check(answer, mustSucceed, operation.sql(last))
      case .housekeeping(let sql):
        let answer = try world.run(engine, sql, until: isOver)
        isCut = answer == nil
        try check(answer, true, sql)
      }
      states.append(next)
    }
    // Of the statement under way both outcomes are right, of one that was answered only the last.
    let allowed = isCut ? states.suffix(2) : states.suffix(1)
    world.disk.cutPower(survival)
    try recover(world, Array(allowed))
    return isCut
  }

  private func check(
    _ answer: Result<[[ImageField]], EngineError>?, _ mustSucceed: Bool, _ sql: String
  ) throws(Finding) {
    switch answer {
    case nil: break
    case .success?:
      if !mustSucceed { throw Finding(oracle: .read, text: "\(sql) must violate a constraint and did not") }
    case .failure(let error)?:
      if mustSucceed || error.code.primary != .constraint {
        throw Finding(oracle: .error, text: "\(sql): \(error) (code \(error.code.rawValue))")
      }
    }
  }

  /// The next process finds one of `allowed`, in a sound file, and can go on with it.
  private func recover(_ world: QuietWorld, _ allowed: [DatabaseModel]) throws(Finding) {
    let engine = try world.open()
    var rows: [[[ImageField]]] = []
    for table in ExhaustAlphabet.shapes.indices {
      rows.append(try world.must(engine, Operation.readAll(table: table).sql(startModel)))
    }
    let found = world.walk()
    if let first = found.walker.violations.first { throw Finding(oracle: .walk, text: first) }
    let differences = allowed.map { $0.differences(schema: found.schema, entries: found.entries) }
    guard let match = differences.firstIndex(of: []) else {
      let text = differences.map { $0.first ?? "" }.joined(separator: "; or: ")
      throw Finding(oracle: .durability, text: text)
    }
    for table in rows.indices where rows[table].count != allowed[match].tables[table].count {
      throw Finding(
        oracle: .read,
        text: "\(rows[table].count) rows are read of \(ExhaustAlphabet.shapes[table].name), "
          + "\(allowed[match].tables[table].count) are there")
    }
    try world.must(engine, "UPDATE t SET k=k+1 WHERE id=0")
    try world.close(engine)
    let after = world.walk()
    if let first = after.walker.violations.first { throw Finding(oracle: .walk, text: "when it went on: \(first)") }
  }
}
