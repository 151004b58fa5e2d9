// One connection's script: transactions of random operations, each answer held against the model.

import ApusBase

final class Client {
  private enum Phase {
    case settingUp(Int)
    case resting, beginning, readingStamp, readingOther
    case choosing
    case operating(Operation, rows: [[ImageField]])
    case savepointing(String)
    /// A statement that changes the file and no row.
    case housekeeping(String)
    /// A SELECT is read up to some row and left open; later it is read to its end.
    case scanning(rowsLeft: Int), finishingScan
    case stamping, stampingOther, committing, rollingBack, checkpointing
  }

  /// Most times that one COMMIT is refused with BUSY before the client gives the transaction up.
  private static let busyCountMax = 60

  let name: Int
  private let engine: EngineClient
  private let world: World
  private let choices: ChoiceStream
  private var phase: Phase = .settingUp(0)
  private var isWriting = false
  private var model: DatabaseModel?
  private var savedModel: DatabaseModel?
  private var base: Int64 = 0
  private var stamp: Int64 = 0
  private var oldestAllowed: Int64 = 0
  private var operationsLeft = 0
  private var busyCount = 0
  private var scan: OpenScan?
  private var isVacuuming = false
  /// How many pragmas of a VACUUM were said.
  private var vacuumStep = 0
  private(set) var wait: Wait?

  init(name: Int, engine: EngineClient, world: World) {
    self.name = name
    self.engine = engine
    self.world = world
    choices = world.choices.stream("client \(name)")
    choices.begin(.era)
  }

  /// The connection is gone; what is left of its tape is not for the next one.
  func endEra() { choices.end(.era) }

  /// True between two transactions.
  var isResting: Bool {
    if case .resting = phase { return true }
    return false
  }

  /// Ends the connection; nothing may be under way.
  func close() throws(Finding) { try engine.close() }

  /// Puts a statement into the trace and starts it.
  private func start(_ sql: String, _ bindings: [Operation.Binding]) {
    world.disk.trace.add("client", "\(name): \(sql) \(bindings)")
    engine.start(sql, bindings)
  }

  /// Goes on until the next wait, row or end of a statement.
  func run(mayBegin: Bool) throws(Finding) {
    wait = nil
    if !engine.isBusy { try startNext(mayBegin: mayBegin) }
    guard engine.isBusy else { return }
    let answer = engine.poll()
    switch answer {
    case .waiting(let wait):
      self.wait = wait
      if mayBeDropped, choices.oneIn(world.profile.cancelOneIn, .drops) {
        // The statement is dropped at its wait; it must be as if it had never begun.
        engine.drop()
        self.wait = nil
        world.droppedCount += 1
        world.disk.trace.add("drop", UInt64(name), 0, 0)
        if case .checkpointing = phase { phase = .resting } else { phase = .choosing }
      }
    case .row(let fields): try receive(fields)
    case .done:
      world.disk.trace.add("done", UInt64(name), 0, 0)
      try finish()
    case .failed(let error):
      world.disk.trace.add("failed", UInt64(name), Int(error.code.rawValue), 0)
      try fail(error)
    }
  }

  private var mayBeDropped: Bool {
    switch phase {
    case .operating, .housekeeping, .checkpointing: true
    case .settingUp, .resting, .beginning, .readingStamp, .readingOther, .choosing, .savepointing, .scanning,
      .finishingScan, .stamping, .stampingOther, .committing, .rollingBack:
      false
    }
  }

  // MARK: asking

  private func startNext(mayBegin: Bool) throws(Finding) {
    switch phase {
    case .settingUp(let index):
      let statements = world.profile.connectionStatements
      if index < statements.count {
        start(statements[index], [])
      } else {
        phase = .resting
      }
    case .resting:
      if !mayBegin { return }
      if vacuumStep > 0 { return startVacuum() }
      choices.end(.transaction)
      if !choices.begins(.transaction, if: true) { return }
      if choices.oneIn(world.profile.checkpointOneIn, .checkpoints) {
        phase = .checkpointing
        let mode = choices.pick(["passive", "full", "restart", "truncate"], .checkpointMode)
        start("PRAGMA wal_checkpoint(\(mode))", [])
        return
      }
      if choices.oneIn(world.profile.vacuumOneIn, .vacuums) { return startVacuum() }
      isWriting = !choices.oneIn(4, .isReader)
      operationsLeft = 1 + choices.below(world.profile.operationCountMax, .operationCount)
      oldestAllowed = world.ledger.lastAcknowledged
      savedModel = nil
      phase = .beginning
      start(isWriting ? "BEGIN IMMEDIATE" : "BEGIN", [])
    case .beginning: phase = .resting
    case .readingStamp: start("SELECT n FROM stamp", [])
    case .readingOther: start("SELECT n FROM o.stamp", [])
    case .choosing: try choose()
    case .operating, .savepointing, .housekeeping, .scanning, .finishingScan:
      throw Finding(oracle: .error, text: "client \(name) lost its statement")
    case .stamping: start("UPDATE stamp SET n=?1", [.integer(stamp)])
    case .stampingOther: start("UPDATE o.stamp SET n=?1", [.integer(stamp)])
    case .committing: start("COMMIT", [])
    case .rollingBack: start("ROLLBACK", [])
    case .checkpointing: phase = .resting
    }
  }

  /// VACUUM, perhaps behind a pragma that makes it change the file's shape.
  private func startVacuum() {
    phase = .checkpointing
    isVacuuming = false
    vacuumStep += 1
    if vacuumStep == 1, choices.oneIn(3, .changesPageSize) {
      return start("PRAGMA page_size=\(512 << choices.below(4, .newPageSize))", [])
    }
    if vacuumStep == 2, choices.oneIn(3, .changesAutoVacuum) {
      return start("PRAGMA auto_vacuum=\(choices.below(3, .newAutoVacuum))", [])
    }
    vacuumStep = 0
    isVacuuming = true
    start("VACUUM", [])
  }

  private func choose() throws(Finding) {
    guard let model else { throw Finding(oracle: .error, text: "client \(name) has no model") }
    choices.end(.statement)
    if !choices.begins(.statement, if: operationsLeft > 0) {
      if scan != nil {
        phase = .finishingScan
        engine.resumeScan()
        return
      }
      if !isWriting {
        phase = .committing
        start("COMMIT", [])
      } else if choices.oneIn(8, .rollsBack) {
        phase = .rollingBack
        start("ROLLBACK", [])
      } else {
        stamp = world.ledger.makeStamp()
        phase = .stamping
        start("UPDATE stamp SET n=?1", [.integer(stamp)])
      }
      return
    }
    operationsLeft -= 1
    if isWriting, scan == nil, choices.oneIn(world.profile.scanOneIn, .opensScan) {
      let table = choices.below(model.shapes.count, .scanTable)
      let isByIndex = choices.oneIn(2, .scanByIndex)
      scan = OpenScan(table: table, before: model, isByIndex: isByIndex)
      phase = .scanning(rowsLeft: choices.below(6, .scanRows))
      let name = model.shapes[table].name
      // The same text never comes from another operation: a statement is one run at a time.
      start(
        isByIndex ? "SELECT id, k FROM \(name) WHERE k>=?1 ORDER BY k" : "SELECT id, k FROM \(name) WHERE k>=?1 ORDER BY id",
        [.integer(-1)])
      return
    }
    if isWriting && scan == nil && choices.oneIn(10, .usesSavepoint) {
      let statement =
        savedModel == nil ? "SAVEPOINT s" : choices.pick(["RELEASE s", "ROLLBACK TO s"], .savepointVerb)
      phase = .savepointing(statement)
      start(statement, [])
      return
    }
    if isWriting, world.profile.autoVacuum == 2, choices.oneIn(12, .vacuumsPages) {
      let statement = "PRAGMA incremental_vacuum(\(choices.below(12, .vacuumedPages)))"
      phase = .housekeeping(statement)
      start(statement, [])
      return
    }
    if isWriting, scan == nil, world.profile.autoVacuum > 0, choices.oneIn(40, .changesSchema) {
      // Tables that come and go move the roots of others.
      let name = "scratch\(choices.below(3, .scratchTable))"
      let statement =
        choices.oneIn(2, .dropsTable) ? "DROP TABLE IF EXISTS \(name)" : "CREATE TABLE IF NOT EXISTS \(name)(a, b UNIQUE)"
      phase = .housekeeping(statement)
      start(statement, [])
      return
    }
    let operation = world.generator.next(choices, readsOnly: !isWriting)
    phase = .operating(operation, rows: [])
    start(operation.sql(model), operation.bindings(model))
  }

  // MARK: answers

  private func receive(_ fields: [ImageField]) throws(Finding) {
    switch phase {
    case .readingStamp:
      guard case .integer(let number)? = fields.first else {
        throw Finding(oracle: .read, text: "client \(name): the stamp reads \(fields)")
      }
      guard let found = world.ledger.model(of: number) else {
        throw Finding(oracle: .snapshot, text: "client \(name) sees transaction \(number), which nobody committed")
      }
      guard world.ledger.descends(number, from: oldestAllowed) else {
        throw Finding(
          oracle: .snapshot, text: "client \(name) sees transaction \(number), older than \(oldestAllowed), which was acknowledged")
      }
      base = number
      model = found
    case .readingOther:
      if fields != [.integer(base)] {
        throw Finding(
          oracle: .snapshot, text: "client \(name) sees transaction \(base) in one file and \(fields) in the other")
      }
    case .operating(let operation, var rows):
      rows.append(fields)
      phase = .operating(operation, rows: rows)
    case .settingUp, .checkpointing: break
    case .scanning(let rowsLeft):
      scan?.seen.append(fields)
      if rowsLeft > 0 {
        phase = .scanning(rowsLeft: rowsLeft - 1)
      } else {
        engine.keepAsScan()
        phase = .choosing
      }
    case .finishingScan: scan?.seen.append(fields)
    case .resting, .beginning, .choosing, .savepointing, .housekeeping, .stamping, .stampingOther, .committing,
      .rollingBack:
      throw Finding(oracle: .error, text: "client \(name): a row where none is due: \(fields)")
    }
  }

  private func finish() throws(Finding) {
    switch phase {
    case .settingUp(let index):
      try engine.injectFaultsIntoAttached()
      phase = .settingUp(index + 1)
    case .resting: break
    case .beginning:
      model = nil
      phase = .readingStamp
    case .readingStamp:
      if model == nil { throw Finding(oracle: .read, text: "client \(name): the stamp is gone") }
      phase = world.profile.attaches ? .readingOther : .choosing
    case .readingOther: phase = .choosing
    case .choosing: break
    case .housekeeping: phase = .choosing
    case .scanning, .finishingScan:
      if let scan, let model, let problem = scan.problem(after: model) {
        throw Finding(oracle: .read, text: "client \(name): \(problem)")
      }
      scan = nil
      phase = .choosing
    case .operating(let operation, let rows):
      try verify(operation, rows)
      phase = .choosing
    case .savepointing(let statement):
      switch statement {
      case "SAVEPOINT s": savedModel = model
      case "ROLLBACK TO s": model = savedModel
      default: savedModel = nil
      }
      phase = .choosing
    case .stamping where world.profile.attaches: phase = .stampingOther
    case .stamping, .stampingOther:
      guard let model else { return }
      world.ledger.beginCommit(stamp, base: base, model: model)
      busyCount = 0
      phase = .committing
    case .committing:
      if isWriting {
        world.commitCount += 1
        if !world.ledger.acknowledge(stamp) {
          throw Finding(
            oracle: .durability,
            text: "client \(name) committed \(stamp) on top of \(base), but \(world.ledger.lastAcknowledged) was acknowledged")
        }
        try world.audit()
      }
      phase = .resting
    case .rollingBack: phase = .resting
    case .checkpointing:
      // Under a rollback journal another connection's transaction may lie in the file now, but right behind a VACUUM.
      if world.profile.journal == .wal || isVacuuming { try world.audit() }
      isVacuuming = false
      phase = .resting
    }
  }

  private func verify(_ operation: Operation, _ rows: [[ImageField]]) throws(Finding) {
    guard var after = model else { return }
    if operation.isRead {
      let expected = operation.expectedRows(after).map { id, row in
        [
          after.key(id, in: operation.table), .integer(row.k), row.u.map(ImageField.integer) ?? .null,
          row.isText ? .text(row.payload) : .blob(row.payload),
        ]
      }
      if rows != expected {
        throw Finding(
          oracle: .read,
          text: "client \(name), transaction on \(base): \(operation.sql(after)) gives \(rows.count) rows, "
            + "\(expected.count) are due")
      }
      return
    }
    guard operation.apply(to: &after) else {
      throw Finding(oracle: .read, text: "client \(name): \(operation.sql(after)) must violate a constraint and did not")
    }
    model = after
  }

  private func fail(_ error: EngineError) throws(Finding) {
    let isBusy = error.code.primary == .busy
    switch phase {
    case .beginning where isBusy: phase = .resting
    case .readingStamp where isBusy && !isWriting, .readingOther where isBusy && !isWriting: phase = .rollingBack
    case .committing where isBusy:
      busyCount += 1
      if busyCount > Self.busyCountMax {
        if isWriting { world.ledger.abandon(stamp) }
        phase = .rollingBack
      }
    case .settingUp where isBusy: break
    case .checkpointing where isBusy: phase = .resting
    case .operating(let operation, _) where error.code.primary == .constraint:
      guard var after = model else { return }
      if operation.apply(to: &after) {
        throw Finding(oracle: .read, text: "client \(name): \(operation.sql(after)): \(error) where none is due")
      }
      phase = .choosing
    case .operating where isBusy && !isWriting, .choosing where isBusy && !isWriting: phase = .rollingBack
    case .settingUp, .resting, .beginning, .readingStamp, .readingOther, .choosing, .operating, .savepointing,
      .housekeeping, .scanning, .finishingScan, .stamping, .stampingOther, .committing, .rollingBack, .checkpointing:
      throw Finding(oracle: .error, text: "client \(name) in \(phaseName): \(error) (code \(error.code.rawValue))")
    }
  }

  private var phaseName: String {
    switch phase {
    case .settingUp: "set-up"
    case .resting: "rest"
    case .beginning: "BEGIN"
    case .readingStamp, .readingOther: "its first read"
    case .choosing: "between statements"
    case .operating(let operation, _): model.map(operation.sql) ?? "an operation"
    case .savepointing(let statement), .housekeeping(let statement): statement
    case .scanning, .finishingScan: "a scan that stays open"
    case .stamping, .stampingOther: "its stamp"
    case .committing: "COMMIT"
    case .rollingBack: "ROLLBACK"
    case .checkpointing: "a checkpoint or VACUUM"
    }
  }
}

/// A SELECT that was left open while its transaction went on changing the table.
///
/// What it shows of a row that changes meanwhile is nobody's promise. But a row that is there before and after, untouched
/// in the columns that order the scan, must be seen exactly once, and in order.
struct OpenScan {
  let table: Int
  let before: DatabaseModel
  let isByIndex: Bool
  var seen: [[ImageField]] = []

  func problem(after: DatabaseModel) -> String? {
    let old = before.tables[table], new = after.tables[table]
    let name = before.shapes[table].name
    var counts: [[UInt8]: Int] = [:]
    for row in seen {
      guard let id = row.first else { return "a row without columns" }
      counts[Self.bytes(id), default: 0] += 1
    }
    for (id, row) in old.sorted(by: { $0.key < $1.key }) {
      guard let kept = new[id], kept.k == row.k, kept == row else { continue }
      let count = counts[Self.bytes(before.key(id, in: table))] ?? 0
      if count != 1 { return "an open scan of \(name) saw the untouched row \(id) \(count) times" }
    }
    let keys = seen.compactMap { row -> Int64? in
      guard isByIndex, row.count == 2, case .integer(let k) = row[1] else { return nil }
      return k
    }
    for (left, right) in zip(keys, keys.dropFirst()) where left > right {
      return "an open scan of \(name) went back from \(left) to \(right)"
    }
    return nil
  }

  private static func bytes(_ field: ImageField) -> [UInt8] {
    switch field {
    case .integer(let number): Array("\(number)".utf8)
    case .text(let bytes): bytes
    case .null, .real, .blob: []
    }
  }
}
