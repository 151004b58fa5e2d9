// Transactions over keys of every kind, which the model of the other tables knows nothing of: single rows, ranges, the first and
// the last of them, counts and sums, claims on a name, children that need a parent, amounts that change hands, and lists.
//
// What each is answered, `KeyLedger` and, of lists, the isolation checker hold against an order.

import ApusBase

enum KeyStep {
  case beginning, savepoint, goingBack
  case choosing
  case operating(KeyOperation, rows: [[ImageField]])
  case listing(History.Action, rows: [[ImageField]])
  case marking, committing
  /// It is lost to another's commit, and says so many statements more before its ROLLBACK.
  case lost(left: Int)
}

/// What such a transaction is about.
enum KeyPlan {
  /// Anything, so many statements; the first ones perhaps read only.
  case any(left: Int, reads: Int)
  /// A name that nobody has is taken, one that somebody has is touched.
  case claim(String)
  /// A child where its parent is; or a parent that goes where it has no child.
  case child(parent: Int64), orphan(parent: Int64)
  /// From one row to another, where the first has enough.
  case transfer(from: Int64, to: Int64)
  /// Row ids of a table with AUTOINCREMENT and its sequence, with a change of another table now and then.
  case tickets(left: Int)
  /// Some rows are looked at, one by one; then others go on for some turns, before it says that it has seen them.
  case witness(looks: Int, pauses: Int)
  /// Rows that nobody else changes, on pages that others do.
  case lane(left: Int)
  /// The end of a table or an index is looked up; then there is another one.
  case top(KeyOperation?)
  /// A key that is new to all of them, and that others want as well at this moment.
  case race(left: Int)
  case lists(left: Int)
  /// So many changes more, behind a COMMIT that was dropped or refused.
  case goOn(left: Int)
  case finished
}

struct KeyTransaction {
  var id: Int64 = 0
  var plan = KeyPlan.finished
  var padding = 0
  var isWriting = false
  var isConcurrent = true
  /// Its COMMIT was dropped.
  var isInDoubt = false
  /// 0 none; 1 to come; 2 open.
  var savepoint = 0
  /// Statements of a plan that were said.
  var step = 0
  var lastRows: [[ImageField]] = []
  /// Turns that others have before the next statement.
  var pauses = 0
  var largestSlip: Int64?
  /// Its number is in its client's table.
  var isMarked = false, wasMarkedAtSavepoint = false
}

extension Client {
  private static let readerOneIn = 6, ordinaryOneIn = 6, ticketsOneIn = 6, raceOneIn = 3
  /// Commits until they want another one.
  private static let commitsPerRace = 5
  /// Most turns that a witness lets pass.
  private static let pauseCountMax = 40, lanePauseCountMax = 12
  /// One transaction in so many has up to so many statements.
  private static let longOneIn = 16, longCountMax = 100

  func startKeys() {
    keys = KeyTransaction()
    if world.recorder != nil, choices.oneIn(world.profile.listOneIn, .keyLists) {
      keys.plan = .lists(left: 1 + choices.below(4, .operationCount))
      keys.isWriting = !choices.oneIn(Self.readerOneIn, .isReader)
    } else {
      drawPlan()
    }
    keys.padding = choices.oneIn(2, .sidePadding) ? world.profile.pageSize / (4 + choices.below(12, .sidePages)) : 0
    keys.savepoint = choices.oneIn(4, .usesSavepoint) ? 1 : 0
    keys.isConcurrent = !choices.oneIn(Self.ordinaryOneIn, .beginsConcurrently)
    keys.id = world.keys.begin(name, isAtSnapshot: keys.isConcurrent && isAtSnapshot)
    isWriting = true
    isDeferred = true
    rollsBackAtWill = false
    busyCount = 0
    phase = .siding(.keys(.beginning))
    world.recorder?.begin(name, isConcurrent: keys.isConcurrent, isAtSnapshot: keys.isConcurrent && isAtSnapshot)
    start(keys.isConcurrent ? "BEGIN CONCURRENT" : choices.oneIn(2, .upgrades) ? "BEGIN" : "BEGIN IMMEDIATE", [])
  }

  private func drawPlan() {
    if choices.oneIn(Self.ticketsOneIn, .keyTickets) {
      keys.plan = .tickets(left: 1 + choices.below(3, .operationCount))
      return
    }
    if world.profile.hasLanes, choices.oneIn(3, .keyLane) {
      keys.plan = .lane(left: 2 + choices.below(6, .operationCount))
      keys.pauses = choices.below(Self.lanePauseCountMax, .keyPauses)
      return
    }
    if choices.oneIn(Self.raceOneIn, .keyRace) {
      keys.plan = .race(left: 1 + choices.below(2, .operationCount))
      return
    }
    let kind = choices.below(14, .keyPlan)
    let id = KeyOperation.drawnId(choices)
    switch kind {
    case 0: keys.plan = .claim(KeyOperation.drawnName(choices))
    case 1: keys.plan = .child(parent: id)
    case 2: keys.plan = .orphan(parent: id)
    case 3: keys.plan = .transfer(from: id, to: KeyOperation.drawnId(choices))
    case 10, 11:
      keys.plan = .witness(looks: 1 + choices.below(4, .operationCount), pauses: choices.below(Self.pauseCountMax, .keyPauses))
      keys.isWriting = true
    case 12, 13: keys.plan = .top(nil)
    default:
      // More reads than the engine keeps before it puts them in order.
      let count = 1 + choices.below(choices.oneIn(Self.longOneIn, .keyIsLong) ? Self.longCountMax : 5, .operationCount)
      let isReader = choices.oneIn(Self.readerOneIn, .isReader)
      keys.plan = .any(left: count, reads: isReader ? count : choices.below(max(3, count - 5), .keyReads))
      // Who commits something else than what it looks at must be compared by its looks alone.
      keys.isWriting = isReader && choices.oneIn(2, .keyReads)
    }
  }

  /// What was not answered is in doubt from now on.
  func endKeys() {
    if world.profile.hasKeys { world.keys.end(name, at: world.disk.logWrites[name] ?? 0, now: world.disk.logWriteCount) }
  }

  func startNextKeys(_ step: KeyStep) throws(Finding) {
    switch step {
    case .beginning, .operating, .listing: throw Finding(oracle: .error, text: "client \(name) lost its statement")
    case .savepoint: start("SAVEPOINT q", [])
    case .goingBack: start("ROLLBACK TO q", [])
    case .choosing: chooseKeys()
    case .marking: start("INSERT INTO done\(name) VALUES(?1)", [.integer(keys.id)])
    case .committing:
      world.keys.noteAsked(name, at: world.disk.logWriteCount)
      world.recorder?.noteCommitBegun(name)
      start("COMMIT", [])
    case .lost(0): phase = .rollingBack
    case .lost(let left):
      phase = .siding(.keys(.lost(left: left - 1)))
      let operation = choices.oneIn(2, .isReader) ? KeyOperation.drawnRead(choices) : KeyOperation.drawnChange(choices)
      if choices.oneIn(3, .commitsLost) { return start("COMMIT", []) }
      start(operation.sql, operation.bindings(padding: keys.padding))
    }
  }

  private func chooseKeys() {
    // What was seen counts on behind the way back, and what was changed does not: a witness that has a savepoint goes back to it.
    let isWitness = if case .witness = keys.plan { true } else { false }
    if keys.savepoint == 1, isWitness || choices.oneIn(2, .usesSavepoint) {
      phase = .siding(.keys(.savepoint))
      return start("SAVEPOINT q", [])
    }
    if keys.savepoint == 2, isWitness ? keys.step > 0 : choices.oneIn(3, .returnsToSavepoint) {
      keys.savepoint = 0
      phase = .siding(.keys(.goingBack))
      return start("ROLLBACK TO q", [])
    }
    if case .lists(let left) = keys.plan, left > 0, let recorder = world.recorder {
      keys.plan = .lists(left: left - 1)
      let list = choices.below(HistoryRecorder.listCount, .list)
      let action: History.Action =
        !keys.isWriting || choices.oneIn(2, .readsList)
        ? .read(key: list, values: []) : .append(key: list, value: recorder.makeValue())
      phase = .siding(.keys(.listing(action, rows: [])))
      switch action {
      case .read(let key, _): return start("SELECT list FROM l WHERE key=?1", [.integer(Int64(key))])
      case .append(let key, let value):
        return start("UPDATE l SET list=list||?2||',' WHERE key=?1", [.integer(Int64(key)), .integer(Int64(value))])
      }
    }
    if case .witness(0, let pauses) = keys.plan, pauses > 0, keys.savepoint == 0 {
      keys.plan = .witness(looks: 0, pauses: pauses - 1)
      return
    }
    if keys.pauses > 0, choices.oneIn(2, .keyPauses) {
      keys.pauses -= 1
      return
    }
    if let operation = nextOperation()?.named(behind: world.namePrefix) {
      if !operation.isRead { keys.isWriting = true }
      phase = .siding(.keys(.operating(operation, rows: [])))
      return start(operation.sql, operation.bindings(padding: keys.padding))
    }
    let marks = keys.isWriting && !keys.isMarked
    phase = .siding(.keys(marks ? .marking : .committing))
    if marks { start("INSERT INTO done\(name) VALUES(?1)", [.integer(keys.id)]) } else { askForCommit() }
  }

  private func askForCommit() {
    world.keys.noteAsked(name, at: world.disk.logWriteCount)
    world.recorder?.noteCommitBegun(name)
    start("COMMIT", [])
  }

  /// The plan's next statement, by what the last one has answered.
  private func nextOperation() -> KeyOperation? {
    let hasFound = !keys.lastRows.isEmpty
    switch keys.plan {
    case .finished, .lists: return nil
    case .witness(0, _) where keys.savepoint == 2: return advance(KeyOperation.drawnChange(choices))
    case .any(0, _), .witness(0, _): return nil
    case .witness(let looks, let pauses):
      keys.plan = .witness(looks: looks - 1, pauses: pauses)
      return KeyOperation.drawnLook(choices)
    case .any(let left, let reads):
      keys.plan = .any(left: left - 1, reads: reads - 1)
      return reads > 0 || choices.oneIn(4, .isReader) ? KeyOperation.drawnRead(choices) : KeyOperation.drawnChange(choices)
    case .tickets(let left):
      keys.plan = left > 1 ? .tickets(left: left - 1) : .finished
      return choices.oneIn(6, .keyOther)
        ? KeyOperation.drawnChange(choices) : KeyOperation.drawnOfTickets(choices, largest: world.largestTicket)
    case .lane(let left):
      keys.plan = left > 1 ? .lane(left: left - 1) : .finished
      return KeyOperation.drawnOfLane(
        choices, name, largestSlip: keys.largestSlip ?? world.largestSlip, largestCoupon: world.largestCoupon)
    case .race(let left):
      keys.plan = left > 1 ? .race(left: left - 1) : .finished
      return KeyOperation.drawnOfRace(choices, Int64(world.commitCount / Self.commitsPerRace))
    case .top(nil):
      let look = KeyOperation.drawnTop(choices)
      keys.plan = .top(look)
      return look
    case .top(let look?):
      keys.plan = .finished
      return KeyOperation.drawnBehind(look, keys.lastRows.first?.first, choices)
    case .goOn(let left):
      keys.plan = left > 1 ? .goOn(left: left - 1) : .finished
      return KeyOperation.drawnChange(choices)
    case .claim(let claimed):
      if keys.step == 0 { return advance(.itemNamed(claimed)) }
      keys.plan = .finished
      if case .integer(let id)? = keys.lastRows.first?.first { return .addToItems(id...id, 1) }
      return .putItem(id: KeyOperation.drawnId(choices), KeyOperation.drawnItem(choices, claimed), .ignore)
    case .child(let parent):
      if keys.step == 0 { return advance(.item(id: parent)) }
      keys.plan = .finished
      let mark = KeyModel.Mark(family: Self.family(of: parent), unique: nil, value: parent)
      return hasFound ? .putMark(number: parent, mark, .ignore) : nil
    case .orphan(let parent):
      if keys.step == 0 { return advance(.mark(Self.family(of: parent).uppercased(), parent)) }
      keys.plan = .finished
      return hasFound ? nil : .dropItem(id: parent)
    case .transfer(let from, let to):
      if keys.step == 0 { return advance(.item(id: from)) }
      guard case .integer(let value)? = keys.lastRows.first?.last, value > 0 || keys.step == 2 else {
        keys.plan = .finished
        return keys.step == 2 ? .addToItems(to...to, 5) : nil
      }
      if keys.step == 1 { return advance(.addToItems(from...from, -5)) }
      keys.plan = .finished
      return .addToItems(to...to, 5)
    }
  }

  private func advance(_ operation: KeyOperation) -> KeyOperation {
    keys.step += 1
    return operation
  }

  private static func family(of parent: Int64) -> String { "fa" + String(parent % 3) }

  func finishKeys(_ step: KeyStep) throws(Finding) {
    switch step {
    case .lost:
      throw Finding(
        oracle: .snapshot,
        text: "client \(name): its transaction was lost to another's commit, and a statement behind that ended well; due is "
          + "SQLITE_BUSY_SNAPSHOT until ROLLBACK")
    case .beginning, .choosing: phase = .siding(.keys(.choosing))
    case .savepoint:
      keys.savepoint = 2
      keys.wasMarkedAtSavepoint = keys.isMarked
      world.keys.note(.savepoint, by: name, now: world.disk.logWriteCount)
      world.recorder?.noteSavepoint(name)
      phase = .siding(.keys(.choosing))
    case .goingBack:
      keys.isMarked = keys.wasMarkedAtSavepoint
      world.keys.note(.wayBack, by: name, now: world.disk.logWriteCount)
      world.recorder?.noteWayBack(name, to: 0)
      phase = .siding(.keys(.choosing))
    case .operating(var operation, let rows):
      if operation.takesRowid { operation = operation.with(rowid: engine?.lastInsertRowid) }
      switch operation {
      case .takeTicket(_, let id?), .putTicket(let id, _, _): world.largestTicket = max(world.largestTicket, id)
      case .takeCoupon(_, let id?), .putCoupon(let id, _): world.largestCoupon = max(world.largestCoupon, id)
      case .takeSlip(_, let id?), .putSlip(let id, _):
        keys.largestSlip = id
        world.largestSlip = max(world.largestSlip, id)
      default: break
      }
      keys.lastRows = rows
      world.keys.note(.statement(operation, .rows(rows)), by: name, now: world.disk.logWriteCount)
      phase = .siding(.keys(.choosing))
    case .listing(.append(let key, let value), _):
      world.recorder?.note(.append(key: key, value: value), by: name)
      phase = .siding(.keys(.choosing))
    case .listing(.read(let key, _), let rows):
      world.recorder?.note(.read(key: key, values: HistoryRecorder.values(rows.first?.first)), by: name)
      phase = .siding(.keys(.choosing))
    case .marking:
      keys.isMarked = true
      world.keys.noteMarked(name, now: world.disk.logWriteCount)
      phase = .siding(.keys(.committing))
    case .committing:
      world.keys.noteCommitted(name, at: world.disk.logWrites[name] ?? 0)
      world.recorder?.noteCommitted(name)
      if keys.isWriting {
        world.commitCount += 1
        commitCount += 1
        try world.audit()
      }
      phase = .resting
    }
  }

  /// The statement was dropped, and is as if it had never begun; of a COMMIT nobody knows.
  func dropKeys(_ step: KeyStep) {
    if case .committing = step {
      keys.isInDoubt = true
      world.keys.noteDoubted(name)
      let isOpen = engine?.isInTransaction == true
      let saysItAgain = isOpen && choices.oneIn(3, .behindCommit)
      phase = saysItAgain ? .siding(.keys(.committing)) : .rollingBack
      if isOpen, !saysItAgain { goOnBehindCommit() }
    } else {
      keys.lastRows = []
      phase = .siding(.keys(.choosing))
    }
  }

  /// COMMIT was dropped or refused, and was none: perhaps something is done before it is said again.
  func goOnBehindCommit() {
    guard keys.isWriting, keys.isConcurrent, choices.oneIn(3, .goesOnBehindCommit) else { return }
    keys.plan = .goOn(left: 1 + choices.below(2, .stepsBehindCommit))
    phase = .siding(.keys(.choosing))
  }

  /// It was refused, and there is nothing left but ROLLBACK; some say something else first.
  func refuseCommitOfKeys(_ error: EngineError) {
    // A recovery may find what was dropped before.
    if !keys.isInDoubt { world.keys.noteRefused(name) }
    world.recorder?.noteAborted(name)
    phase = .rollingBack
    if keys.isConcurrent, error.code == .busySnapshot, choices.oneIn(3, .staysLost) {
      phase = .siding(.keys(.lost(left: 1 + choices.below(3, .staysLost))))
    }
  }

  /// A constraint is violated.
  func refuseKeys(_ operation: KeyOperation) {
    keys.lastRows = []
    world.keys.note(.statement(operation, .violates), by: name, now: world.disk.logWriteCount)
    phase = .siding(.keys(.choosing))
  }
}
