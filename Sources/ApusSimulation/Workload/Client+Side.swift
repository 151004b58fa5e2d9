// Concurrent transactions that change no row of the model's: they run beside those that do, and of both some commit together.

import ApusBase

/// How far such a transaction has come.
enum SideStep {
  case beginning, savepoint
  case reading(rows: [[ImageField]])
  /// A change that is undone, behind the reading that stays.
  case trying, undoing
  case writing, tallying, tidying, committing
  /// One over keys.
  case keys(KeyStep)
}

/// One such transaction.
struct SideTransaction {
  var usesSavepoint: Bool
  /// What the two rows may not be behind.
  var floors: [Int64]
  /// Bytes behind the number: a row has a page for itself, or several.
  var padding: Int
  /// How it finds the pair's largest number: 0 by the two rows, else by the index of the table of all numbers.
  var way = 0
  var number: Int64 = 0
}

extension Client {
  /// One transaction in so many takes more pages than its row had, or gives some back.
  private static let growsOneIn = 4

  func startSide() {
    let usual = SideLedger.padding(world.profile)
    let pair = [name, SideLedger.partner(of: name)]
    side = SideTransaction(
      usesSavepoint: choices.oneIn(3, .usesSavepoint), floors: pair.map { world.side.floor(of: $0) },
      padding: choices.oneIn(Self.growsOneIn, .sidePadding) ? usual + choices.below(3, .sidePages) * world.profile.pageSize : usual)
    side.way = choices.below(5, .sideWay)
    isWriting = true
    isDeferred = true
    rollsBackAtWill = false
    busyCount = 0
    phase = .siding(.beginning)
    start("BEGIN CONCURRENT", [])
  }

  func startNextSide(_ step: SideStep) throws(Finding) {
    switch step {
    case .beginning: start("BEGIN CONCURRENT", [])
    case .savepoint: start("SAVEPOINT q", [])
    case .reading:
      switch side.way {
      case 1: start("SELECT max(n) FROM tally WHERE pair=?1", [pairName])
      case 2: start("SELECT n FROM tally WHERE pair=?1", [pairName])
      case 3:
        start(
          "SELECT n FROM tally WHERE pair=?1 AND n>=?2 ORDER BY n", [pairName, .integer(side.floors.max() ?? 0)])
      default: start("SELECT client, n FROM side WHERE client=?1 OR client=?2 ORDER BY client", pair)
      }
    case .trying:
      if side.way > 0 {
        start("INSERT INTO tally VALUES(?1,?2,?3)", [pairName, .integer(1 << 40), .integer(Int64(name))])
      } else {
        start("UPDATE side SET n=n+1 WHERE client=?1", [.integer(Int64(name))])
      }
    case .undoing: start("ROLLBACK TO q", [])
    case .writing:
      start(
        "UPDATE side SET n=?1, pad=zeroblob(?2) WHERE client=?3",
        [.integer(side.number), .integer(Int64(side.padding)), .integer(Int64(name))])
    case .tallying:
      start("INSERT INTO tally VALUES(?1,?2,?3)", [pairName, .integer(side.number), .integer(Int64(name))])
    case .tidying:
      // The last numbers are enough.
      start("DELETE FROM tally WHERE pair=?1 AND n<?2", [pairName, .integer(side.number - 4)])
    case .committing:
      world.side.ask(side.number, of: name)
      start("COMMIT", [])
    case .keys(let step): try startNextKeys(step)
    }
  }

  private var pairName: Operation.Binding { .text(Array(SideLedger.pairName(of: name).utf8)) }

  private var pair: [Operation.Binding] {
    [.integer(Int64(name)), .integer(Int64(SideLedger.partner(of: name)))]
  }

  func finishSide(_ step: SideStep) throws(Finding) {
    switch step {
    case .beginning: phase = .siding(side.usesSavepoint ? .savepoint : .reading(rows: []))
    case .savepoint: phase = .siding(.reading(rows: []))
    case .reading(let rows):
      try readSide(rows)
      phase = .siding(side.usesSavepoint ? .trying : .writing)
    case .trying: phase = .siding(.undoing)
    case .undoing: phase = .siding(.writing)
    case .writing: phase = .siding(.tallying)
    case .tallying: phase = .siding(side.way == 0 ? .committing : .tidying)
    case .tidying: phase = .siding(.committing)
    case .keys(let step): try finishKeys(step)
    case .committing:
      world.commitCount += 1
      commitCount += 1
      let place = world.disk.logWrites[name] ?? 0
      if let problem = world.side.acknowledge(side.number, of: name, at: place, isAtSnapshot: isAtSnapshot), world.damage == .none {
        throw Finding(oracle: .snapshot, text: "client \(name): \(problem)")
      }
      phase = .resting
    }
  }

  private func readSide(_ rows: [[ImageField]]) throws(Finding) {
    var largest: Int64 = 0
    if side.way > 0, side.way < 4 {
      for case .integer(let number)? in rows.map(\.first) { largest = max(largest, number) }
      let floor = side.floors.max() ?? 0
      if world.damage == .none, let problem = world.side.problem(ofLargest: largest, pairOf: name, floor: floor) {
        throw Finding(oracle: .snapshot, text: "client \(name): \(problem)")
      }
      side.number = largest + 1
      return
    }
    for row in rows {
      guard case .integer(let client)? = row.first, case .integer(let number)? = row.last else { continue }
      largest = max(largest, number)
      let floor = side.floors[client == Int64(name) ? 0 : 1]
      if world.damage == .none, let problem = world.side.problem(number, of: Int(client), floor: floor) {
        throw Finding(oracle: .snapshot, text: "client \(name): \(problem)")
      }
    }
    if world.damage == .none, rows.count != 2 {
      throw Finding(oracle: .read, text: "client \(name): \(rows.count) rows of two: \(rows)")
    }
    side.number = largest + 1
  }
}
