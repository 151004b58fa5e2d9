// The hand that makes things go wrong, and its book: each injected fault must be retried, told to whom it happened, or be
// without effect; what nobody noticed is a finding (O17), and so is an error that no fault explains (O10).
//
// A fault belongs to the connection whose request met it. It is owed until that connection's statement ends: with a failure of
// an allowed code, or with a success that something else explains: the same bytes were written later, or the statement is one
// that may let the failure go (SPEC.md, chapter 13, names them).

import ApusBase

/// Numbers of the operating system's errors, as Linux has them.
enum SystemErrorNumber {
  static let interrupted: Int32 = 4, io: Int32 = 5, again: Int32 = 11, access: Int32 = 13, tableFull: Int32 = 23
  static let tooManyFiles: Int32 = 24, fileTooLarge: Int32 = 27, noSpace: Int32 = 28, readOnly: Int32 = 30
  static let noLocks: Int32 = 37, quota: Int32 = 122, cancelled: Int32 = 125
}

/// What a file is for.
enum FileRole: Sendable {
  case database, log, journal, superJournal, other

  init(_ path: String) {
    if path.hasSuffix("-wal") {
      // What is told of the database's own log is not of that of a copy.
      self = path.hasPrefix(World.copyPrefix) ? .other : .log
    } else if path.hasSuffix("-journal") {
      self = .journal
    } else if path.contains("-mj") {
      self = .superJournal
    } else {
      self = path.hasSuffix(".db") ? .database : .other
    }
  }
}

final class FaultInjector {
  struct OwedFault {
    var kind: FaultKind
    var role: FileRole
    var inode: UInt64
    /// What was to be written; empty for what is no write.
    var range: Range<Int>
    /// Transactions that have ended well since.
    var endings = 0
  }

  let rates: FaultRates
  /// The kind of file whose requests fail most of all.
  let focus: FileRole?
  /// A failure seldom comes alone: others follow it, and what else its connection has in flight comes late behind it.
  let comeInRows: Bool
  let choices: ChoiceStream
  /// Off while the file is made, while oracles look, and in the liveness phase.
  var isActive = false
  private(set) var tallies: [FaultTally] = Array(repeating: FaultTally(), count: FaultKind.allCases.count)
  /// The connection that runs; requests and calls are its.
  var actor = -1
  /// The first fault that was taken for a success where the rule of transfers is applied.
  private(set) var problem: String?
  /// How often a request or call has failed.
  private(set) var failureCount = 0
  /// A failed sync has put a file back to what the platter holds.
  var hasRevertedView = false
  /// Connections whose open transaction may have lost frames with somebody else's failed sync: what it reads of them is damage.
  private var reverted: Set<Int> = []

  // What holds for a while: see `Mishaps`.
  /// Bytes that all files together may have.
  var spaceLimit: Int?
  var fileSizeLimit: Int?
  var isReadOnly = false
  /// Syncs answer and do nothing.
  var liesAboutSyncs = false
  /// What the disk does to transfers from now on; nil: nothing. Of reads a checksum can tell, of writes that went elsewhere
  /// nobody can.
  var transferDamage: FaultKind?

  private var owed: [Int: [OwedFault]] = [:]
  /// By connection: what it has met since it was opened. A handle that asks to be opened again may say so for ever.
  private var met: [Int: [FaultKind]] = [:]
  /// By connection: what its other statements may be told, since it rested the last time with nothing left to do.
  private var recent: [Int: [FaultKind]] = [:]
  /// By connection: how many failures it has met.
  private var metCounts: [Int: Int] = [:]
  /// What may be told to anybody.
  private(set) var metByAll: [FaultKind] = []

  /// Transactions that may end well between a failed sync and the first statement that says so: the commit whose checkpoint it was,
  /// and one whose snapshot was open already.
  private static let endingsBeforeSyncIsTold = 2

  init(_ rates: FaultRates, focus: FileRole? = nil, comeInRows: Bool = false, _ choices: ChoiceSource) {
    self.rates = rates
    self.focus = focus
    self.comeInRows = comeInRows
    self.choices = choices.stream("faults")
  }

  // MARK: what happens

  func meets(_ kind: FaultKind) -> Bool { isActive && choices.oneIn(rates[kind], .fault) }

  /// Whether a request or call on such a file meets the fault; syncs of directories know no file. What needs two failures in a
  /// row, of one and the same file, comes where most of them fall on one kind of it.
  func meets(_ kind: FaultKind, on role: FileRole) -> Bool {
    let rate = rates[kind]
    guard isActive, rate > 0 else { return false }
    if rowLeft > 0, kind.comesInRows {
      rowLeft -= 1
      return choices.oneIn(min(rate, Self.inRowOneIn), .fault)
    }
    guard let focus else { return choices.oneIn(rate, .fault) }
    return choices.oneIn(role == focus ? max(min(rate, 2), rate / Self.focusTimes) : rate * Self.focusTimes, .fault)
  }

  private static let focusTimes = 5

  /// Behind one failure in so many as many requests and calls fail with one chance in so many.
  private static let startsRowOneIn = 3, rowLength = 12, inRowOneIn = 4
  private var rowLeft = 0

  /// Whether the sync of a dropped statement fails, which nobody waits for.
  func meets(_ kind: FaultKind, onAbandonedOf role: FileRole) -> Bool {
    if !comeInRows || rates[kind] == 0 { return meets(kind, on: role) }
    return isActive && choices.oneIn(min(rates[kind], Self.abandonedOneIn), .fault)
  }

  private static let abandonedOneIn = 6

  // MARK: turning points of a statement

  /// Behind so many syncs that the connection asks for, and so many requests and calls that change something, the next one fails.
  private struct Turn {
    var syncsLeft: Int
    var requestsLeft: Int
  }

  /// Few requests stand at a place where all hangs on one: behind a sync, before the next. With the same chance for each of them it
  /// is seldom those that fail.
  var failsAtTurns = false
  private var turns: [Int: Turn] = [:]

  /// One statement in so many fails so; and one COMMIT.
  private static let turnOneIn = 12, turnOfCommitOneIn = 5
  private static let turnSyncCounts = [0, 1, 1, 1, 2, 2, 3, 4, 7, 10], turnRequestsMax = 3

  /// The connection begins a statement.
  func drawTurn(of connection: Int, isCommit: Bool) {
    if !failsAtTurns { return }
    turns[connection] = nil
    guard isActive, choices.oneIn(isCommit ? Self.turnOfCommitOneIn : Self.turnOneIn, .failsAtTurn) else { return }
    turns[connection] = Turn(
      syncsLeft: choices.pick(Self.turnSyncCounts, .turnSyncs), requestsLeft: choices.below(Self.turnRequestsMax, .turnRequests))
  }

  func noteSyncAsked(by connection: Int) { turns[connection]?.syncsLeft -= 1 }

  /// The connection's request or call changes something, and may fail so: whether it does.
  func meetsTurn(_ kind: FaultKind, of connection: Int) -> Bool {
    guard isActive, rates[kind] > 0, let turn = turns[connection], turn.syncsLeft <= 0 else { return false }
    turns[connection]?.requestsLeft -= 1
    if turn.requestsLeft > 0 { return false }
    turns[connection] = nil
    return true
  }

  /// Something happened below the statement, which must not notice.
  func noteRetried(_ kind: FaultKind) {
    tallies[kind.rawValue].injected += 1
    tallies[kind.rawValue].retried += 1
  }

  /// Something happened to the world, to be noticed by whoever it concerns.
  func noteForAll(_ kind: FaultKind) {
    tallies[kind.rawValue].injected += 1
    if !kind.allowedCodes.isEmpty, !metByAll.contains(kind) { metByAll.append(kind) }
  }

  /// What was told to everybody is over.
  func forgetForAll(_ kind: FaultKind) { metByAll.removeAll { $0 == kind } }

  /// The connection's request or call fails.
  /// - Parameter role: of a file that is not there.
  func noteFailure(
    _ kind: FaultKind, of connection: Int, _ file: DiskFile?, _ range: Range<Int> = 0..<0, role: FileRole = .other
  ) {
    failureCount += 1
    if comeInRows, rowLeft == 0, choices.oneIn(Self.startsRowOneIn, .failsAgain) { rowLeft = Self.rowLength }
    metCounts[connection, default: 0] += 1
    tallies[kind.rawValue].injected += 1
    noteMet(kind, connection)
    owed[connection, default: []].append(
      OwedFault(kind: kind, role: file?.role ?? role, inode: file?.inode ?? 0, range: range))
  }

  /// A sync that fails is told to those whose commits it was to cover.
  func noteSharedFailure(_ kind: FaultKind, of connection: Int) {
    metCounts[connection, default: 0] += 1
    noteMet(kind, connection)
  }

  private func noteMet(_ kind: FaultKind, _ connection: Int) {
    if !met[connection, default: []].contains(kind) { met[connection, default: []].append(kind) }
    if !recent[connection, default: []].contains(kind) { recent[connection, default: []].append(kind) }
  }

  /// The connection begins something new, with no request under way: what it met before was told, or is over. A failed sync is told
  /// with what comes on top of it.
  func noteFreshStart(of connection: Int) { recent[connection]?.removeAll { !$0.isSync && $0 != .stickyReadError } }

  /// The connection has opened a log. A sync of it, or of its directory, that has failed may not have come to the ears of who asked
  /// for it: until then commits go on top of those that it was to cover, and are told with them.
  func noteOpenedLog(_ connection: Int) {
    for fault in owed.values.joined() where fault.kind.isSync && (fault.role == .log || fault.role == .other) {
      noteSharedFailure(fault.kind, of: connection)
    }
  }

  /// The same; where the statement was dropped before, only a failed sync must be told.
  func noteFailure(_ kind: FaultKind, of request: DiskRequest, _ file: DiskFile?, _ range: Range<Int> = 0..<0) {
    noteFailure(kind, of: request.actor, file, range)
    guard request.isAbandoned, !kind.isSync else { return }
    _ = owed[request.actor]?.popLast()
    tallies[kind.rawValue].healed += 1
  }

  /// What it reads may come from frames that a failed sync has taken, until somebody is told.
  func hasLostFrames(_ connection: Int) -> Bool { reverted.contains(connection) }

  /// What the connection has written to the log, and not synced, may be gone for itself too.
  func noteReverted(_ connection: Int) { reverted.insert(connection) }

  /// A part of a transfer was all that was done, and counted as the whole.
  func noteTakenForWhole(_ kind: FaultKind, _ done: Int, of byteCount: Int) {
    problem = problem ?? "\(kind.name): \(done) bytes of \(byteCount) passed for all of them"
  }

  /// The connection has written `range`: what failed there before is made good.
  func noteWritten(_ range: Range<Int>, _ file: DiskFile, by connection: Int) {
    guard let faults = owed[connection], !faults.isEmpty else { return }
    owed[connection] = faults.filter { fault in
      guard fault.inode == file.inode, !fault.range.isEmpty, range.contains(fault.range.lowerBound) else { return true }
      tallies[fault.kind.rawValue].retried += 1
      return false
    }
  }

  // MARK: what becomes of it

  /// Whether something may have failed under the connection's statements.
  func hasMet(_ connection: Int) -> Bool { !(met[connection] ?? []).isEmpty || !metByAll.isEmpty }

  /// The same, since it rested the last time with nothing left to do.
  func hasMetLately(_ connection: Int) -> Bool { !(recent[connection] ?? []).isEmpty || !metByAll.isEmpty }

  /// Whether something may have failed under the connection's statements since it had met `count` failures.
  func hasMet(_ connection: Int, since count: Int) -> Bool { metCount(connection) > count || !metByAll.isEmpty }

  /// Failures that the connection has met.
  func metCount(_ connection: Int) -> Int { metCounts[connection] ?? 0 }

  /// Why the error is no finding; nil where it is one.
  func excuse(_ error: EngineError, of connection: Int) -> FaultKind? {
    if reverted.contains(connection), FaultKind.damageCodes.contains(error.code) { return .syncRevertsView }
    let isForGood = error.hint?.contains("open it again") == true
    return ((isForGood ? met : recent)[connection] ?? []).first { $0.allowedCodes.contains(error.code) }
      ?? metByAll.first { $0.allowedCodes.contains(error.code) }
  }

  /// The connection's statement has failed with an error that a fault explains.
  func noteSurfaced(_ connection: Int) {
    for fault in owed[connection] ?? [] { tallies[fault.kind.rawValue].surfaced += 1 }
    owed[connection] = nil
  }

  /// The connection's statement has ended well.
  /// - Parameters:
  ///   - endsTransaction: it was a COMMIT.
  ///   - forgives: whether the statement may let this failure go.
  /// - Returns: the fault that it should have told.
  func noteSuccess(_ connection: Int, endsTransaction: Bool = false, forgives: (OwedFault) -> Bool) -> String? {
    if endsTransaction { reverted.remove(connection) }
    guard let faults = owed[connection], !faults.isEmpty else { return nil }
    var kept: [OwedFault] = []
    for var fault in faults {
      switch fault.kind {
      case .syncKeepsView, .syncRevertsView, .syncToldOnce:
        if endsTransaction { fault.endings += 1 }
        if fault.endings > Self.endingsBeforeSyncIsTold { return "\(fault.kind.name) of the \(fault.role)" }
        kept.append(fault)
      case let kind:
        if !forgives(fault) { return "\(kind.name) of the \(fault.role)" }
        tallies[kind.rawValue].healed += 1
      }
    }
    owed[connection] = kept.isEmpty ? nil : kept
    return nil
  }

  /// The connection has asked for a sync of the log that has failed, and has told nobody yet.
  func owesSync(_ connection: Int) -> Bool { owed[connection]?.contains { $0.kind.isSync && $0.role == .log } ?? false }

  /// The connection's statement was dropped; its requests may fail unheard.
  func noteDropped(_ connection: Int) { heal(connection) { !$0.kind.isSync } }

  /// The connection is gone.
  func noteEnd(of connection: Int) {
    heal(connection) { _ in true }
    met[connection] = nil
    recent[connection] = nil
    reverted.remove(connection)
  }

  private func heal(_ connection: Int, where isHealed: (OwedFault) -> Bool) {
    guard let faults = owed[connection] else { return }
    for fault in faults where isHealed(fault) { tallies[fault.kind.rawValue].healed += 1 }
    owed[connection] = faults.filter { !isHealed($0) }
  }

  /// True while some limit of the world stands in the connections' way.
  var hasEpisode: Bool { spaceLimit != nil || fileSizeLimit != nil || isReadOnly }

  /// The world is as it should be from now on.
  func calm() {
    isActive = false
    spaceLimit = nil
    fileSizeLimit = nil
    isReadOnly = false
  }
}

extension FaultKind {
  /// Requests and calls that fail behind each other, with nothing lost but what they were to do.
  fileprivate var comesInRows: Bool {
    switch self {
    case .readError, .writeError, .nameCallError, .truncateError, .lockError, .tooManyFiles, .refusedOpen: true
    case .delay, .powerCut, .processKill, .shortRead, .shortWrite, .notCarriedOut, .stickyReadError, .syncKeepsView,
      .syncRevertsView, .syncToldOnce, .diskFull, .fileTooLarge, .readOnlyFileSystem, .sizeAhead, .databaseRot, .logRot,
      .misdirectedWrite, .misdirectedRead, .lostWrite, .lyingFlush, .strayClose, .foreignHolder, .clockStep, .outsideChange,
      .cancellation, .pageBudget, .stall:
      false
    }
  }

  var isSync: Bool {
    switch self {
    case .syncKeepsView, .syncRevertsView, .syncToldOnce: true
    case .delay, .powerCut, .processKill, .shortRead, .shortWrite, .notCarriedOut, .readError, .stickyReadError, .writeError,
      .diskFull, .fileTooLarge, .tooManyFiles, .readOnlyFileSystem, .refusedOpen, .nameCallError, .truncateError,
      .lockError, .sizeAhead, .databaseRot, .logRot, .misdirectedWrite, .misdirectedRead, .lostWrite, .lyingFlush,
      .strayClose, .foreignHolder, .clockStep, .outsideChange, .cancellation, .pageBudget, .stall:
      false
    }
  }
}
