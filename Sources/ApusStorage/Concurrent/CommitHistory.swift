// The history of a file's commits as far as this process knows their keys: what open concurrent transactions are compared
// with. One object a file and process; it belongs to the file's cache.
//
//   entries   in the order of the log, each with the frames that it covers: (from, to] of the log with its salts; without keys
//             where they are not known, or were too many
//   open      the concurrent transactions, each with the number of the newest published entry when it registered, which it does
//             before it opens its snapshot
//
// An entry is kept until it is published, and while a transaction is open that registered before that. What is not here
// (commits of other processes, and those of this one from before somebody was open) is a gap, and a gap is compared by pages. Its
// memory is worked on under one mutex, never over a request or a wait.

import ApusBase
import ApusIO
import Synchronization

final class CommitHistory: Sendable {
  struct Entry: Sendable {
    var number: UInt64
    var salts: UInt64
    var from: UInt32
    var to: UInt32
    var keys: CommittedKeys?
  }

  /// Frames of one log.
  struct Stretch {
    var salts: UInt64
    var frames: Range<UInt32>
  }

  /// Commits behind a snapshot, oldest first; without keys where they are not known.
  struct Piece {
    var frames: Range<UInt32>
    var keys: CommittedKeys?
    /// No commit that this process knows of.
    var isForeign = false
  }

  fileprivate struct State: Sendable {
    var entries: [Entry] = []
    var byteCount = 0
    var newest: UInt64 = 0
    /// Everybody sees the entries up to it.
    var published: UInt64 = 0
    var open: [UInt64: UInt64] = [:]
    /// What was pending, by no entry, when the first of the open ones registered: commits of this process without keys.
    var unnoted: Stretch?
    var nextTransaction: UInt64 = 1
    var rowids = RowidAllocator()
    var counters = ConflictCounters()
  }

  /// Beyond it the oldest entries lose their keys.
  static let byteCountMax = 16 << 20
  /// So many commits without a concurrent transaction, and none is expected.
  fileprivate static let quietCountMax = 64

  private let state = ThreadMutex(State())
  private let openCount = Atomic<Int>(0)
  /// Commits in a row without a concurrent transaction open.
  private let quietCount = Atomic<Int>(CommitHistory.quietCountMax)
  private let byteCountMax: Int

  init(byteCountMax: Int = CommitHistory.byteCountMax) { self.byteCountMax = byteCountMax }

  // MARK: Transactions

  /// A concurrent transaction begins.
  /// - Parameter pending: what this process has written and not published; its snapshot may lie below that.
  /// - Returns: its number, for the other calls.
  func register(pending: Stretch? = nil) -> UInt64 {
    state.withLock { state in
      if state.open.isEmpty { state.unnoted = pending }
      let number = state.nextTransaction
      state.nextTransaction += 1
      state.open[number] = state.published
      openCount.store(state.open.count, ordering: .relaxed)
      quietCount.store(0, ordering: .relaxed)
      return number
    }
  }

  /// It has ended; its commit, if there was one, was added before.
  func leave(_ transaction: UInt64, isCommitted: Bool = false, isRebased: Bool = false) {
    state.withLock { state in
      if isCommitted {
        state.counters.commitCount += 1
        if isRebased { state.counters.rebaseCount += 1 }
      }
      state.open[transaction] = nil
      openCount.store(state.open.count, ordering: .relaxed)
      state.rowids.forget(transaction)
      state.trim()
    }
  }

  /// A concurrent transaction is open: one load for each ordinary one.
  var hasOpen: Bool { openCount.load(ordering: .relaxed) > 0 }

  /// Nobody has to be open: one may begin on the state below a commit that is written and not published.
  var mayBeOpened: Bool { quietCount.load(ordering: .relaxed) < Self.quietCountMax }

  /// Somebody but `transaction` would be compared with a commit.
  func isWatched(besides transaction: UInt64?) -> Bool {
    state.withLock { state in
      transaction.map { state.open[$0] != nil } == true ? state.open.count > 1 : !state.open.isEmpty
    }
  }

  #if PlantedBugs
    private let lastIsolation = Atomic<Int>(0)

    /// What the last transaction of the process had asked for.
    func leaked(_ isolation: ConcurrentIsolation) -> ConcurrentIsolation {
      ConcurrentIsolation(rawValue: Int64(lastIsolation.exchange(Int(isolation.rawValue), ordering: .relaxed))) ?? isolation
    }
  #endif

  // MARK: The conflict report

  /// A transaction is lost.
  func countLoss(_ kind: ConcurrentConflicts.Kind, table: String?) {
    state.withLock { $0.counters.addLoss(kind, table: table) }
  }

  /// A concurrent transaction has committed that was not registered: it began with the turn.
  func countCommit() { state.withLock { $0.counters.commitCount += 1 } }

  var conflicts: ConcurrentConflicts { state.withLock { $0.counters.report() } }

  /// For tests.
  var entryCount: Int { state.withLock { $0.entries.count } }

  // MARK: Commits

  /// Commits behind `frame` have failed.
  func forget(salts: UInt64, behind frame: UInt32) {
    state.withLock { state in
      var kept: [Entry] = []
      for entry in state.entries {
        if entry.salts == salts && entry.to > frame {
          state.byteCount -= entry.keys?.byteCount ?? 0
        } else {
          kept.append(entry)
        }
      }
      state.entries = kept
      if let unnoted = state.unnoted, unnoted.salts == salts {
        state.unnoted?.frames = unnoted.frames.clamped(to: 0..<frame + 1)
      }
    }
  }

  /// A commit was appended; the write lock is held.
  /// - Parameter keys: nil where they are not known.
  func add(_ keys: CommittedKeys?, salts: UInt64, from: UInt32, to: UInt32) {
    // Nobody is compared with it who would learn from that whose commit it was.
    if keys == nil, !hasOpen { return }
    state.withLock { state in
      state.newest += 1
      state.entries.append(Entry(number: state.newest, salts: salts, from: from, to: to, keys: keys))
      guard let keys else { return }
      state.byteCount += keys.byteCount
      for tree in keys.trees {
        if let largest = tree.rowids.last { state.rowids.settle(tree.root, largest) }
      }
      while state.byteCount > byteCountMax, state.dropOldestKeys() {}
    }
  }

  /// Commits up to frame `through` are visible.
  func publish(salts: UInt64, through: UInt32) {
    if !hasOpen {
      if !mayBeOpened { return }
      quietCount.add(1, ordering: .relaxed)
    }
    state.withLock { state in
      var position = state.entries.count
      while position > 0, state.entries[position - 1].salts != salts || state.entries[position - 1].to > through {
        position -= 1
      }
      guard position > 0, state.entries[position - 1].number > state.published else { return }
      state.published = state.entries[position - 1].number
      #if PlantedBugs
        if PlantedBug.isActive(.publishTooFar) { state.published = state.newest }
      #endif
      if state.open.isEmpty { state.trim() }
    }
  }

  /// What the frames of the log are, piece by piece. The pieces cover them without a gap.
  func pieces(of frames: Range<UInt32>, salts: UInt64) -> [Piece] {
    state.withLock { state in
      var pieces: [Piece] = []
      var next = frames.lowerBound
      for entry in state.entries where entry.salts == salts && entry.to >= next && entry.to < frames.upperBound {
        if entry.from &+ 1 < next {
          // Entries without keys are joined: this one may begin before the snapshot.
          if entry.keys != nil { continue }
          pieces.append(Piece(frames: next..<entry.to + 1, keys: nil))
          next = entry.to + 1
          continue
        }
        if entry.from &+ 1 > next {
          #if PlantedBugs
            let passes = PlantedBug.isActive(.trimOneTooEarly) || PlantedBug.isActive(.publishTooFar)
          #else
            let passes = false
          #endif
          if !passes { pieces += state.gap(next..<entry.from + 1, salts: salts) }
        }
        pieces.append(Piece(frames: entry.from + 1..<entry.to + 1, keys: entry.keys))
        next = entry.to + 1
      }
      if next < frames.upperBound { pieces += state.gap(next..<frames.upperBound, salts: salts) }
      return pieces
    }
  }

  // MARK: Row ids

  /// Row ids for new rows, larger than `largest` and than each that another open transaction was given.
  /// - Returns: the first of `count`, or of as many as there are; nil where there is none.
  func newRowids(in root: UInt32, for transaction: UInt64, behind largest: Int64, count: Int64) -> Int64? {
    state.withLock { $0.rowids.take(root, transaction, behind: largest, count: count) }
  }

  /// The same for an ordinary transaction, which is alone in its turn.
  func newRowid(in root: UInt32, behind largest: Int64) -> Int64? {
    let highest = state.withLock { max($0.rowids.largestOpen(root), largest) }
    return highest == .max ? nil : highest + 1
  }
}

extension CommitHistory.State {
  /// Frames that no entry covers: commits of other processes, and those of this one that were pending when nobody noted any.
  fileprivate func gap(_ frames: Range<UInt32>, salts: UInt64) -> [CommitHistory.Piece] {
    guard let unnoted, unnoted.salts == salts, unnoted.frames.overlaps(frames) else {
      return [CommitHistory.Piece(frames: frames, keys: nil, isForeign: true)]
    }
    let own = unnoted.frames.clamped(to: frames)
    let parts = [(frames.lowerBound..<own.lowerBound, true), (own, false), (own.upperBound..<frames.upperBound, true)]
    return parts.filter { !$0.0.isEmpty }.map { CommitHistory.Piece(frames: $0.0, keys: nil, isForeign: $0.1) }
  }

  /// The oldest entry that has keys goes on without them, as one with those before it.
  /// - Returns: false where none has.
  fileprivate mutating func dropOldestKeys() -> Bool {
    guard let place = entries.firstIndex(where: { $0.keys != nil }) else { return false }
    byteCount -= entries[place].keys?.byteCount ?? 0
    entries[place].keys = nil
    if place > 0, entries[place - 1].salts == entries[place].salts, entries[place - 1].to == entries[place].from {
      entries[place].from = entries[place - 1].from
      entries.remove(at: place - 1)
    }
    return true
  }

  /// Lets the entries go that no open transaction needs.
  fileprivate mutating func trim() {
    var oldest = open.values.min() ?? published
    #if PlantedBugs
      if PlantedBug.isActive(.trimOneTooEarly) { oldest += 1 }
    #else
      oldest += 0
    #endif
    var count = 0
    while count < entries.count, entries[count].number <= oldest {
      byteCount -= entries[count].keys?.byteCount ?? 0
      count += 1
    }
    entries.removeFirst(count)
    if open.isEmpty, entries.isEmpty { rowids = RowidAllocator() }
  }
}

/// Row ids of new rows: of each table the largest that each open transaction was given, and the largest of those that have
/// committed. So no two get the same one, and whoever rolls back gives his back.
struct RowidAllocator: Sendable {
  private struct Table: Sendable {
    var settled = Int64.min
    var open: [UInt64: Int64] = [:]
  }

  private var tables: [UInt32: Table] = [:]

  /// - Parameter count: at least one.
  mutating func take(_ root: UInt32, _ transaction: UInt64, behind largest: Int64, count: Int64) -> Int64? {
    var highest = largest
    if let table = tables[root] {
      highest = max(highest, table.settled)
      for (other, rowid) in table.open where other != transaction { highest = max(highest, rowid) }
    }
    if highest == .max { return nil }
    let last = highest > .max - count ? .max : highest + count
    tables[root, default: Table()].open[transaction] = max(last, tables[root]?.open[transaction] ?? .min)
    return highest + 1
  }

  /// The largest that an open transaction was given.
  func largestOpen(_ root: UInt32) -> Int64 { tables[root]?.open.values.max() ?? .min }

  /// A row of this id is committed.
  mutating func settle(_ root: UInt32, _ rowid: Int64) {
    tables[root, default: Table()].settled = max(rowid, tables[root]?.settled ?? .min)
  }

  mutating func forget(_ transaction: UInt64) {
    for root in tables.keys { tables[root]?.open[transaction] = nil }
  }
}
