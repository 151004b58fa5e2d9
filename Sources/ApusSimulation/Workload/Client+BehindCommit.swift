// What an application may say behind a COMMIT that was dropped at a wait. It does not know whether it was one: the
// transaction goes on if not, and the engine tells it if so.

import ApusBase

/// What a transaction had come to when a savepoint was opened.
struct SavedModel {
  var model: DatabaseModel
  var versions: Set<Int64>
  /// The stamp whose model this is, where a dropped COMMIT was about it.
  var stamp: Int64?
}

struct BehindCommit {
  enum Kind { case rollsBack, commitsAgain, goesBack, goesOn, triesOut }

  enum Step {
    case savepoint(Client.SavepointStep)
    case pragma(String)
    case change, read, commit
  }

  /// Twice as often as each of the others it is the way out that all programs know.
  static let kinds: [Kind] = [.rollsBack, .rollsBack, .commitsAgain, .goesBack, .goesOn, .triesOut]
  /// Where that is what the world is about.
  static let themeKinds: [Kind] = [.rollsBack, .commitsAgain, .goesBack, .goesBack, .goesOn, .triesOut, .triesOut]
  static let stepCountMax = 3, versionMax = 1000

  private static let versionText = "PRAGMA user_version="

  static func version(in statement: String) -> Int64? {
    statement.hasPrefix(versionText) ? Int64(statement.dropFirst(versionText.count)) : nil
  }

  static func statement(forVersion version: Int) -> String { versionText + String(version) }

  /// The stamp of the last COMMIT that was dropped or has failed, until the engine has said what became of it.
  var doubted: Int64?
  /// The engine has said that it was one.
  var isTold = false
  /// What is in the transaction is the model of its stamp: it may be committed as it is.
  var isAsStamped = false
  /// With a log, whoever reads next may have another snapshot, if the commit was one.
  var mustLook = false
  var steps: [Step] = []

  mutating func next() -> Step? { steps.isEmpty ? nil : steps.removeFirst() }

  mutating func noteChange() {
    isAsStamped = false
    mustLook = false
  }
}

extension Client {
  /// A statement was dropped, and undone. All behind the savepoint is undone with it, and what is left perhaps committed at
  /// once.
  func drawWayBackBehindDrop() {
    guard scan == nil, let last = savedModels.indices.last, choices.oneIn(2, .returnsToSavepoint) else { return }
    // What it has left on its way meets what comes next, with or without a way back in between.
    wayBack = choices.oneIn(4, .releasesBehindDrop) ? .release(last) : .goBack(to: last)
    if behind.steps.isEmpty, choices.oneIn(3, .commitsBehindWayBack) { behind.steps = [.commit] }
  }

  /// The COMMIT was dropped, and the client is about to roll back.
  func drawBehindCommit() {
    guard let engine, engine.isInTransaction else { return }
    if !isWriting {
      if choices.oneIn(2, .behindCommit) { phase = .committing }
      return
    }
    behind.mustLook = world.profile.mayHaveLog
    behind.steps = []
    let kind = choices.pick(
      world.profile.theme == .commitsAgainOften ? BehindCommit.themeKinds : BehindCommit.kinds, .behindCommit)
    if kind == .rollsBack { return }
    growth = nil
    wayBack = nil
    retry = nil
    // A scan that is to outlive the transaction sees what the COMMIT was about, and a concurrent one has no way back
    // behind it.
    let isPlain = scan == nil && !isConcurrent
    operationsLeft = 0
    switch kind {
    // A recovery may find the dropped COMMIT, with what was appended to lists before the way back.
    case .goesBack where isPlain && !savedModels.isEmpty && world.recorder == nil:
      behind.steps = [.savepoint(.goBack(to: choices.below(savedModels.count, .savepointBehindCommit)))]
      operationsLeft = choices.below(BehindCommit.stepCountMax + 1, .stepsBehindCommit)
    case .goesOn where scan == nil:
      behind.steps = drawSteps() + [.commit]
    case .triesOut where isPlain:
      let number = savedModels.count
      behind.steps = [.savepoint(.open(number))] + drawSteps() + [.savepoint(.goBack(to: number)), .commit]
    case .rollsBack, .commitsAgain, .goesBack, .goesOn, .triesOut:
      world.ledger.beginCommitAgain(stamp, versions: versions)
      phase = .committing
      return
    }
    phase = .choosing
  }

  private func drawSteps() -> [BehindCommit.Step] {
    (0...choices.below(BehindCommit.stepCountMax, .stepsBehindCommit)).map { _ in
      switch choices.below(5, .stepBehindCommit) {
      case 0: return .read
      case 1, 2: return .change
      case 3 where !isConcurrent:
        return .pragma(BehindCommit.statement(forVersion: 1 + choices.below(BehindCommit.versionMax, .newVersion)))
      case 4 where world.profile.autoVacuum == 2:
        return .pragma("PRAGMA incremental_vacuum(\(choices.below(12, .vacuumedPages)))")
      default: return .change
      }
    }
  }

  /// One of the steps behind a dropped COMMIT.
  func take(_ step: BehindCommit.Step, _ model: DatabaseModel) throws(Finding) {
    switch step {
    case .savepoint(.open): change(.open(savedModels.count))
    case .savepoint(let step):
      // It could not be opened.
      if case .goBack(let number) = step, number >= savedModels.count { return try choose() }
      change(step)
    case .pragma(let statement):
      phase = .housekeeping(statement)
      start(statement, [])
    case .change:
      let operation = retry ?? world.generator.next(choices, model, readsOnly: false, mayChangeTables: scan == nil)
      retry = nil
      start(operation, model)
    case .read:
      let isSaidAgain = retry?.isRead == true
      let operation =
        (isSaidAgain ? retry : nil) ?? world.generator.next(choices, model, readsOnly: true, mayChangeTables: false)
      if isSaidAgain { retry = nil }
      start(operation, model)
    case .commit:
      operationsLeft = 0
      guard isWriting, behind.isAsStamped else { return try choose() }
      // What was stamped is there, and nothing else but what no model knows.
      world.ledger.beginCommitAgain(stamp, versions: versions)
      phase = .committing
      try startNext(mayBegin: true)
    }
  }

  /// The dropped COMMIT was perhaps one, and this perhaps another snapshot.
  func noteLook(_ number: Int64?) throws(Finding) {
    behind.mustLook = false
    guard let doubted = behind.doubted, world.damage == .none else { return }
    if number == doubted {
      // Whoever writes on such a snapshot begins anew.
      isDeferred = true
      return
    }
    guard let number, let found = world.ledger.model(of: number), world.ledger.descends(number, from: doubted) else {
      throw Finding(
        oracle: .snapshot,
        text: "client \(name) sees transaction \(number ?? -1) behind its COMMIT of \(doubted), which was dropped")
    }
    try noteWasCommit(doubted)
    world.ledger.see(number)
    world.recorder?.close(name)
    base = number
    model = found
    versions = world.ledger.versions(of: number)
    // Nothing is left to it but to read.
    isWriting = false
    savedModels = []
    behind.steps = [.read]
  }

  private func noteWasCommit(_ doubted: Int64) throws(Finding) {
    behind = BehindCommit()
    behind.isTold = true
    if !world.ledger.acknowledge(doubted, isPromised: !world.profile.isLax(name)), world.damage == .none {
      throw Finding(
        oracle: .durability, text: "client \(name) has committed \(doubted), which another one knows nothing of")
    }
  }

  /// SQLITE_ABORT: a dropped COMMIT had come past its commit point. That is an answer.
  func isToldOfCommit() throws(Finding) -> Bool {
    if behind.isTold, case .rollingBack = phase {
      phase = .resting
      return true
    }
    guard let doubted = behind.doubted, world.ledger.doubtful.contains(doubted) else { return false }
    switch phase {
    case .committing where stamp != doubted: return false
    case .rollingBack, .committing, .choosing, .operating, .savepointing, .housekeeping, .stamping, .stampingOther,
      .lookingAgain:
      break
    case .reopening, .closing, .gone, .settingUp, .resting, .beginning, .readingStamp, .readingOther, .readingVersion, .scanning,
      .finishingScan, .checkpointing, .checking, .siding:
      return false
    }
    try noteWasCommit(doubted)
    if engine?.isInTransaction == true {
      dropScan()
      phase = .rollingBack
    } else {
      if let model = world.ledger.model(of: doubted) { scan?.noteEnd(model) }
      phase = .resting
    }
    return true
  }

  /// What the next COMMIT stands on. With a log the one that was dropped may have been one, and nobody was told; a
  /// journal's next writer is.
  var baseOfCommit: Int64 { world.profile.hasLog ? behind.doubted ?? base : base }

  /// COMMIT was refused. One that had been dropped before may be found by a recovery.
  func abandonCommit() { if behind.doubted != stamp { world.ledger.abandon(stamp) } }
}
