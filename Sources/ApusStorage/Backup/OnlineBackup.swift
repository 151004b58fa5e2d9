// A copy of a database that is taken while it is in use, a few pages at a time.
//
//   source pager --(images of one snapshot)--> target: a file under a journal, a log, or memory
//
// Between two steps the source is free. What the connection that owns the source pager commits meanwhile is copied again,
// page by page; what others commit makes the copy start over, as often as its owner permits: the last copy stays on
// one snapshot. The target changes at once, at the end. Source of the rules:
// https://sqlite.org/c3ref/backup_finish.html

import ApusBase
import ApusIO

public final class OnlineBackup {
  private let source: Pager
  private let target: any BackupTarget
  /// Ends the source's snapshot where nobody else needs it.
  private let releaseSource: () -> Void
  private let recorder = ChangeRecorder()

  private enum Phase { case copying, committing, done, finished }
  private var phase = Phase.copying
  private var hasSnapshot = false
  private var version: UInt64 = 0
  private var next: UInt32 = 1
  /// Pages that were copied and have changed since.
  private var again: [UInt32] = []
  private var againSet = PageSet()
  /// Pages that the step under way may still copy; nil between steps.
  private var budget: Int?
  private var failure: EngineError?
  /// How often the copy was begun.
  private var beginCount = 0

  /// So many times others' commits may make the copy start over; the next copy keeps its snapshot from its first step
  /// to its last one, so that it ends beside whoever writes. Beside a rollback journal that snapshot keeps writers of
  /// the source from committing. Nil, as SQLite has it: the copy starts over until nobody disturbs it.
  public var restartCountMax: Int?

  /// Pages that are still to be copied, as the last step left it.
  public private(set) var remaining = 0
  /// Pages of the source, as the last step saw it.
  public private(set) var pageCount = 0
  public var isDone: Bool { phase == .done }

  /// - Parameter releaseSource: called when a step ends.
  public init(source: Pager, target: any BackupTarget, releaseSource: @escaping () -> Void) {
    self.source = source
    self.target = target
    self.releaseSource = releaseSource
    source.recorders.append(recorder)
  }

  deinit { source.recorders.removeAll { $0 === recorder } }

  /// Copies up to `pages` pages, all where it is negative. Called again after a wait.
  /// - Returns: true when the target holds the whole database, durably.
  /// - Throws: SQLITE_BUSY while the source's own connection writes, or somebody uses the target; the step may be tried again.
  ///   SQLITE_READONLY where the target cannot take the source's page size. Every other failure is final.
  public func step(pages: Int) throws(Fault) -> Bool {
    if phase == .done { return true }
    if let failure { throw .failure(failure) }
    do throws(Fault) {
      let isDone = try advance(pages)
      budget = nil
      return isDone
    } catch {
      if case .failure(let met) = error {
        budget = nil
        endSnapshot()
        if met.code.primary != .busy && met.code.primary != .locked { failure = met }
      }
      throw error
    }
  }

  /// Ends the backup; what was not done is undone. Called again after a wait.
  public func finish() throws(Fault) {
    if phase == .finished { return }
    endSnapshot()
    try target.close()
    source.recorders.removeAll { $0 === recorder }
    if phase != .done { phase = .finished }
  }

  private func advance(_ pages: Int) throws(Fault) -> Bool {
    if phase == .copying {
      if source.state == .write { throw .error(.busy, cause: "the source's connection is writing") }
      if budget == nil { budget = pages < 0 ? .max : pages }
      try openSnapshot()
      try target.begin(pageSize: source.pageSize, reserved: source.pageSize - source.usableSize,
        hasChecksums: source.hasChecksums)
      guard try copy() else {
        if !keepsSnapshot { endSnapshot() }
        return false
      }
      endSnapshot()
      phase = .committing
    }
    try target.commit(pageCount: UInt32(pageCount))
    phase = .done
    return true
  }

  private func openSnapshot() throws(Fault) {
    if source.state == .none || !hasSnapshot {
      try source.beginRead()
      hasSnapshot = true
    }
    if source.dataVersion != version || recorder.isVoid {
      version = source.dataVersion
      beginCount += 1
      recorder.isVoid = false
      next = 1
      again = []
      againSet.removeAll()
      recorder.changed.removeAll()
    }
    recorder.changed.forEach { number in
      if number < next, !againSet.contains(number) {
        againSet.insert(number)
        again.append(number)
      }
    }
    recorder.changed.removeAll()
    note()
  }

  private var keepsSnapshot: Bool { restartCountMax.map { beginCount > $0 } ?? false }

  private func endSnapshot() {
    if hasSnapshot { releaseSource() }
    hasSnapshot = false
  }

  private func note() {
    pageCount = Int(source.pageCount)
    remaining = max(0, pageCount - Int(next) + 1) + again.count
  }

  /// - Returns: true where nothing is left to copy.
  private func copy() throws(Fault) -> Bool {
    defer { note() }
    while true {
      if next <= source.pageCount {
        if budget == 0 { return false }
        if next != source.lockBytePage { try copy(next) }
        next += 1
      } else if let number = again.last {
        if budget == 0 { return false }
        // A commit that made the file shorter has taken it away.
        if number <= source.pageCount, number != source.lockBytePage { try copy(number) }
        again.removeLast()
        againSet.remove(number)
      } else {
        return true
      }
      if let left = budget, left != .max { budget = left - 1 }
    }
  }

  private func copy(_ number: UInt32) throws(Fault) {
    source.beginOperation()
    try target.makeRoom(for: number)
    if !source.isLoaded(PageNumber(number)) {
      source.readAhead(number, count: min(OnlineBackup.readAheadPages, Int(source.pageCount - number) + 1))
    }
    target.put(source.image(of: try source.page(PageNumber(number))))
  }

  private static var readAheadPages: Int { 32 }
}

/// The pages that a pager's own commits change, for somebody who copies them.
final class ChangeRecorder {
  var changed = PageSet()
  /// Everything was replaced.
  var isVoid = false
}

/// Shows every page of a snapshot, or of the open write transaction, in order. Called again after a wait.
public final class PageWalk {
  private let pager: Pager
  private var next: UInt32 = 1

  public init(_ pager: Pager) { self.pager = pager }

  /// What the file of a database without pages becomes with its first change.
  public func showEmptyDatabase(_ body: (_ number: UInt32, _ page: ByteView) -> Void) throws(Fault) {
    body(1, pager.image(of: try pager.page(.one)).bytes)
  }

  /// - Precondition: a snapshot is open.
  public func run(_ body: (_ number: UInt32, _ page: ByteView) -> Void) throws(Fault) {
    while try run(pages: .max, body) {}
  }

  /// The same, a few pages at a time.
  /// - Returns: false at the end.
  public func run(pages: UInt32, _ body: (_ number: UInt32, _ page: ByteView) -> Void) throws(Fault) -> Bool {
    let end = next.addingReportingOverflow(pages)
    let last = min(pager.pageCount, end.overflow ? .max : end.partialValue - 1)
    while next <= last {
      pager.beginOperation()
      if !pager.isLoaded(PageNumber(next)) {
        pager.readAhead(next, count: min(32, Int(pager.pageCount - next) + 1))
      }
      body(next, pager.image(of: try pager.page(PageNumber(next))).bytes)
      next += 1
    }
    return next <= pager.pageCount
  }
}
