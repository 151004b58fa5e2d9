// What can go wrong in the virtual world, by the numbers of the fault model in SPEC.md, chapter 13; how likely each is in a run;
// and which error codes each may become.

import ApusBase

public enum FaultKind: Int, CaseIterable, Sendable {
  case delay, powerCut, processKill, shortRead, shortWrite, notCarriedOut
  case readError, stickyReadError, writeError, syncKeepsView, syncRevertsView, syncToldOnce
  case diskFull, fileTooLarge, tooManyFiles, readOnlyFileSystem, refusedOpen
  case nameCallError, truncateError, lockError
  case sizeAhead, databaseRot, logRot, misdirectedWrite, misdirectedRead, lostWrite, lyingFlush
  case strayClose, foreignHolder, clockStep, outsideChange, cancellation, pageBudget, stall

  /// Its number in the fault model, and what it is.
  public var name: String {
    switch self {
    case .delay: "F1 late completion"
    case .powerCut: "F2-F4, F14 power cut"
    case .processKill: "F5 process kill"
    case .shortRead: "F6 short read"
    case .shortWrite: "F7 short write"
    case .notCarriedOut: "F8 request not carried out"
    case .readError: "F9 read error"
    case .stickyReadError: "F9 bad sector"
    case .writeError: "F10 write error"
    case .syncKeepsView: "F11 failed sync, view kept"
    case .syncRevertsView: "F11 failed sync, view reverts"
    case .syncToldOnce: "F11 failed sync, told once"
    case .diskFull: "F12 disk full"
    case .fileTooLarge: "F13 file too large"
    case .tooManyFiles: "F13 too many open files"
    case .readOnlyFileSystem: "F13 read-only file system"
    case .refusedOpen: "F26 open refused"
    case .nameCallError: "F10 unlink fails"
    case .truncateError: "F10 truncate fails"
    case .lockError: "F13 no locks available"
    case .sizeAhead: "F15 size ahead of data"
    case .databaseRot: "F16 rot in the database"
    case .logRot: "F17 rot in the log"
    case .misdirectedWrite: "F18 misdirected write"
    case .misdirectedRead: "F19 misdirected read"
    case .lostWrite: "F20 lost write"
    case .lyingFlush: "F21 lying flush"
    case .strayClose: "F22 another handle closed"
    case .foreignHolder: "F23 foreign lock holder"
    case .clockStep: "F24 clock step"
    case .outsideChange: "F25 file changed outside"
    case .cancellation: "F27 statement dropped"
    case .pageBudget: "F28 page budget"
    case .stall: "F29 stalled request"
    }
  }

  /// The codes that a statement which meets it may fail with; none where it must not be noticed at all.
  var allowedCodes: [ResultCode] {
    switch self {
    case .delay, .powerCut, .processKill, .shortRead, .shortWrite, .notCarriedOut, .sizeAhead, .strayClose, .clockStep,
      .cancellation, .stall, .lyingFlush:
      []
    case .readError, .stickyReadError: [.ioErrorRead]
    case .writeError: [.ioErrorWrite]
    case .syncKeepsView, .syncRevertsView, .syncToldOnce: [.ioErrorFsync, .ioErrorDirectoryFsync]
    case .diskFull, .fileTooLarge, .pageBudget: [.full]
    case .tooManyFiles, .refusedOpen: [.cannotOpen]
    case .readOnlyFileSystem:
      [.ioErrorWrite, .ioErrorDelete, .ioErrorTruncate, .cannotOpen, .readOnly, .readOnlyRollback, .readOnlyRecovery]
    case .nameCallError: [.ioErrorDelete]
    case .truncateError: [.ioErrorTruncate]
    case .lockError: [.ioErrorLock]
    case .foreignHolder: [.busy, .busyRecovery, .busySnapshot]
    case .databaseRot, .logRot, .misdirectedWrite, .misdirectedRead, .lostWrite, .outsideChange: Self.damageCodes
    }
  }

  /// How damage is told: never as anything else. `internal` is a rebase that does not find what the transaction had read.
  static let damageCodes: [ResultCode] = [
    .internal, .ioErrorData, .corrupt, .corruptIndex, .notADatabase, .ioErrorShortRead, .readOnlyDatabaseMoved, .cannotOpen,
  ]
}

/// One request, call or moment in so many meets the fault; 0 none.
public struct FaultRates: Sendable {
  private var oneIn: [Int] = Array(repeating: 0, count: FaultKind.allCases.count)

  public init() {}

  public subscript(kind: FaultKind) -> Int {
    get { oneIn[kind.rawValue] }
    set { oneIn[kind.rawValue] = newValue }
  }

  /// None of them can happen.
  public var isEmpty: Bool { !oneIn.contains { $0 > 0 } }

  /// The kinds that can happen.
  public var kinds: [FaultKind] { FaultKind.allCases.filter { self[$0] > 0 } }
}

/// What became of the faults of one kind.
public struct FaultTally: Sendable {
  public var injected = 0
  /// Repeated or gone on with, below the statement.
  public var retried = 0
  /// Told to the statement's owner.
  public var surfaced = 0
  /// Without a trace: written over, given up with the statement, or about something that nobody needed.
  public var healed = 0

  public init() {}

  public static func += (left: inout FaultTally, right: FaultTally) {
    left.injected += right.injected
    left.retried += right.retried
    left.surfaced += right.surfaced
    left.healed += right.healed
  }
}

/// What a run has exercised: faults by kind, and the engine's buggify points.
public struct Coverage: Sendable {
  public var faults: [FaultTally] = Array(repeating: FaultTally(), count: FaultKind.allCases.count)
  /// By `BuggifyPoint`: how often the run came to it with the point switched on, and how often it fired.
  public var buggifyHits: [Int] = []

  public init() {}

  public mutating func add(_ other: Coverage) {
    for index in faults.indices { faults[index] += other.faults[index] }
    if buggifyHits.isEmpty { buggifyHits = Array(repeating: 0, count: other.buggifyHits.count) }
    for (index, count) in other.buggifyHits.enumerated() { buggifyHits[index] += count }
  }

  /// Fault kinds and buggify points that no run has met.
  public var missing: [String] {
    FaultKind.allCases.filter { faults[$0.rawValue].injected == 0 }.map(\.name) + missingPoints
  }

  private var missingPoints: [String] {
    #if PlantedBugs
      BuggifyPoint.allCases.filter { !buggifyHits.indices.contains($0.rawValue) || buggifyHits[$0.rawValue] == 0 }
        .map { "buggify \($0)" }
    #else
      []
    #endif
  }

  /// A line for each fault kind and each point: how often it was met, and what became of it.
  public var lines: [String] {
    var lines = FaultKind.allCases.compactMap { kind -> String? in
      let tally = faults[kind.rawValue]
      if tally.injected == 0 { return nil }
      return "\(kind.name): \(tally.injected) (retried \(tally.retried), told \(tally.surfaced), without effect \(tally.healed))"
    }
    #if PlantedBugs
      for point in BuggifyPoint.allCases where buggifyHits.indices.contains(point.rawValue) && buggifyHits[point.rawValue] > 0 {
        lines.append("buggify \(point): \(buggifyHits[point.rawValue])")
      }
    #endif
    return lines + ["never met: \(missing.joined(separator: ", "))"]
  }
}
