// The logical log of a concurrent transaction, the history that it is compared with, and row ids: against sets of keys.

import ApusBase
import ApusIO
import Testing

@testable import ApusStorage

@Suite struct LogicalLogTests {
  private static func record(_ values: [Value]) -> [UInt8] {
    var buffer = ByteBuffer()
    let memory = UnsafeMutablePointer<Value>.allocate(capacity: max(values.count, 1))
    for (index, value) in values.enumerated() { unsafe (memory + index).initialize(to: value) }
    try? RecordCodec.encode(unsafe ValueRange(unchecked: UnsafePointer(memory), count: values.count), into: &buffer)
    unsafe memory.deallocate()
    return buffer.bytes.array
  }

  private static func record(_ numbers: [Int]) -> [UInt8] { record(numbers.map { .integer(Int64($0)) }) }

  private static func cut(_ numbers: [Int], isBehind: Bool) -> KeyCut {
    KeyCut(record(numbers), columnCount: numbers.count, isBehind: isBehind)
  }

  @Test("ranges of row ids have what was put into them, and joined ones more", arguments: UInt64(1)...20)
  func rowidRanges(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var list = RangeList<Int64>()
    var model: Set<Int64> = []
    for _ in 0..<random.below(400) {
      let low = Int64(random.below(2000))
      let high = low + Int64(random.below(6))
      list.insert(low, high, isAsserted: random.oneIn(3), ())
      for rowid in low...high { model.insert(rowid) }
    }
    func has(_ rowid: Int64) -> Bool { list.firstRange { $0 >= rowid }.map { $0.low <= rowid } ?? false }
    list.settle(())
    for rowid in Int64(-1)...2010 { #expect(has(rowid) == model.contains(rowid), "seed \(seed), row \(rowid)") }
    let count = list.count
    list.join(())
    #expect(list.count == (count + 1) / 2)
    for rowid in model { #expect(has(rowid)) }
  }

  @Test("cuts lie where the tree's order puts them: prefixes, DESC, NOCASE", arguments: UInt64(1)...20)
  func cuts(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let isDescending = seed % 2 == 0
    let comparer = KeyComparer(
      KeyDescription([KeyColumn(isDescending: isDescending), KeyColumn(), KeyColumn()]))
    func before(_ left: [Int], _ right: [Int]) -> Bool {
      if left[0] != right[0] { return isDescending ? left[0] > right[0] : left[0] < right[0] }
      return left.lexicographicallyPrecedes(right)
    }
    var entries: [[Int]] = []
    for first in 0..<4 { for second in 0..<4 { for third in 0..<3 { entries.append([first, second, third]) } } }
    entries.sort(by: before)
    func anyCut(_ random: inout SeededRandom) -> KeyCut {
      if random.oneIn(8) { return random.oneIn(2) ? .start : .end }
      let columns = 1 + random.below(3)
      return LogicalLogTests.cut((0..<columns).map { _ in random.below(4) }, isBehind: random.oneIn(2))
    }
    for _ in 0..<60 {
      let (left, right) = (anyCut(&random), anyCut(&random))
      let (behindLeft, behindRight) = (
        entries.filter { comparer.order(left, entry: LogicalLogTests.record($0)) < 0 },
        entries.filter { comparer.order(right, entry: LogicalLogTests.record($0)) < 0 }
      )
      // What lies behind a cut is a tail of the entries.
      #expect(behindLeft == Array(entries.suffix(behindLeft.count)))
      let order = comparer.order(left, right)
      if order < 0 { #expect(behindLeft.count >= behindRight.count) }
      if order > 0 { #expect(behindLeft.count <= behindRight.count) }
      if behindLeft.count > behindRight.count { #expect(order < 0) }
      #expect(comparer.order(right, left).signum() == -order.signum())
    }
  }

  @Test("ranges of an index have the entries between their cuts", arguments: UInt64(1)...20)
  func keyRanges(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let comparer = KeyComparer(KeyDescription([KeyColumn(isDescending: true), KeyColumn()]))
    var list = RangeList<KeyCut>()
    var model: Set<Int> = []
    for _ in 0..<150 {
      let (low, high) = (random.below(900), random.below(30))
      list.insert(
        LogicalLogTests.cut([-low], isBehind: false), LogicalLogTests.cut([-low - high], isBehind: true),
        isAsserted: false, comparer)
      for number in low...low + high { model.insert(-number) }
    }
    list.settle(comparer)
    for number in -940...5 {
      let entry = LogicalLogTests.record([number, 7])
      let range = list.firstRange { comparer.order($0, entry: entry) > 0 }
      #expect((range.map { comparer.order($0.low, entry: entry) < 0 } ?? false) == model.contains(number))
    }
  }

  @Test("a transaction that reads without end stays in its bounds, and forgets nothing")
  func bounds() {
    let log = LogicalLog(byteCountMax: 20_000)
    let tree = log.tree(5, nil)
    for rowid in 0..<20_000 where rowid % 2 == 0 {
      tree.note(Int64(rowid), Int64(rowid))
      if rowid % 64 == 0 { log.bound() }
    }
    log.bound()
    #expect(tree.byteCount <= 20_000)
    for rowid in stride(from: Int64(0), to: 20_000, by: 998) {
      let commit = CommittedKeys([
        .init(root: 5, description: nil, isCleared: false, rowids: [rowid], records: [])
      ])
      guard case .conflict = log.compare(commit) else {
        Issue.record("row \(rowid) was forgotten")
        continue
      }
    }
    for number in 0..<2000 {
      LogicalLogTests.record([number]).withView { log.add(tree, rowid: Int64(number), old: nil, new: $0) }
    }
    #expect(!log.isKeyed)
  }

  @Test("net changes: what is left, cut at a savepoint; equal keys that differ in bytes are a change")
  func netChanges() {
    let log = LogicalLog()
    let table = log.tree(2, nil)
    let index = log.tree(3, KeyDescription([KeyColumn(collation: .nocase), KeyColumn()]))
    func change(_ tree: LogicalLog.Tree, _ rowid: Int64, _ old: [UInt8]?, _ new: [UInt8]?) {
      (old ?? []).withView { before in
        (new ?? []).withView { after in
          log.add(tree, rowid: rowid, old: old == nil ? nil : before, new: new == nil ? nil : after)
        }
      }
    }
    let (a, b, c) = (LogicalLogTests.record([1]), LogicalLogTests.record([2]), LogicalLogTests.record([3]))
    var bytes: [[UInt8]] = []
    for text in ["x", "X"] {
      var buffer = ByteBuffer()
      buffer.append(contentsOf: text)
      bytes.append(LogicalLogTests.record([.text(buffer.bytes), .integer(1)]))
    }
    change(table, 7, nil, a)
    change(table, 7, a, b)
    change(table, 4, a, nil)
    change(index, 0, bytes[0], nil)
    change(index, 0, nil, bytes[1])
    let mark = log.changeCount
    change(table, 7, b, nil)
    change(table, 4, nil, a)
    change(table, 9, nil, c)
    var net = log.netChanges()
    #expect(net.map(\.root) == [2, 3])
    #expect(net[0].changes.map(\.rowid) == [9])
    log.cut(to: mark)
    net = log.netChanges()
    #expect(net[0].changes.map(\.rowid) == [4, 7])
    #expect(net[0].changes[0].old == a && net[0].changes[0].new == nil)
    #expect(net[0].changes[1].old == nil && net[0].changes[1].new == b)
    #expect(net[1].changes.count == 1)
    #expect(net[1].changes[0].old == bytes[0] && net[1].changes[0].new == bytes[1])
    log.addClear(of: 2)
    change(table, 4, nil, c)
    net = log.netChanges()
    #expect(net[0].isCleared && net[0].changes.map(\.rowid) == [4] && net[0].changes[0].old == nil)
  }

  @Test("the history covers the frames behind a snapshot, gaps included, and goes when nobody is open")
  func history() {
    let history = CommitHistory()
    let first = history.register()
    #expect(!history.isWatched(besides: first))
    let second = history.register()
    #expect(history.isWatched(besides: first) && history.isWatched(besides: nil))
    let keys = CommittedKeys([CommittedKeys.Tree]())
    history.add(keys, salts: 1, from: 4, to: 7)
    let third = history.register()
    history.add(keys, salts: 1, from: 9, to: 10)
    history.add(keys, salts: 2, from: 0, to: 3)
    let pieces = history.pieces(of: 3..<13, salts: 1)
    #expect(pieces.map(\.frames) == [3..<5, 5..<8, 8..<10, 10..<11, 11..<13])
    #expect(pieces.map { $0.keys != nil } == [false, true, false, true, false])
    #expect(history.pieces(of: 1..<4, salts: 2).count == 1)
    // A commit that reaches into what was compared, or out of it, is a gap.
    #expect(history.pieces(of: 6..<8, salts: 1).allSatisfy { $0.keys == nil })
    #expect(history.pieces(of: 5..<7, salts: 1).allSatisfy { $0.keys == nil })
    // Nobody sees them yet, and a transaction may begin below.
    history.leave(second)
    #expect(history.entryCount == 3)
    history.publish(salts: 1, through: 7)
    let fourth = history.register()
    history.leave(first)
    history.leave(third)
    #expect(history.entryCount == 2)
    history.publish(salts: 2, through: 3)
    #expect(history.entryCount == 2, "somebody registered before")
    history.leave(fourth)
    #expect(history.entryCount == 0)
    let small = CommitHistory(byteCountMax: 200)
    let watcher = small.register()
    for frame in 0..<UInt32(10) { small.add(keys, salts: 1, from: frame, to: frame + 1) }
    // The others are one entry without keys, of which a part is a piece, too.
    #expect(small.entryCount == 4)
    let rest = small.pieces(of: 3..<11, salts: 1)
    #expect(rest.map(\.frames) == [3..<8, 8..<9, 9..<10, 10..<11])
    #expect(rest.map { $0.keys != nil } == [false, true, true, true] && rest.allSatisfy { !$0.isForeign })
    small.add(nil, salts: 1, from: 12, to: 13)
    #expect(small.pieces(of: 11..<14, salts: 1).map(\.isForeign) == [true, false])
    small.leave(watcher)
  }

  @Test("no row id is given to two open transactions, and what is let go is given again")
  func rowids() {
    var ids = RowidAllocator()
    #expect(ids.take(2, 1, behind: 10, count: 1) == 11)
    #expect(ids.take(2, 2, behind: 10, count: 1) == 12)
    #expect(ids.take(2, 1, behind: 11, count: 1) == 13)
    #expect(ids.take(2, 2, behind: 12, count: 1) == 14)
    #expect(ids.take(3, 2, behind: 0, count: 1) == 1)
    ids.forget(2)
    #expect(ids.take(2, 1, behind: 13, count: 1) == 14)
    ids.settle(2, 20)
    #expect(ids.take(2, 3, behind: 10, count: 1) == 21)
    ids.settle(2, .max)
    #expect(ids.take(2, 3, behind: 10, count: 1) == nil)
  }

  @Test("who goes on gets row ids by blocks, which nobody else has a part of")
  func rowidBlocks() {
    let environment = MemoryEnvironment(seed: 1)
    let cache = FileCache.open(environment, FileIdentity(device: 1, inode: 1), byteCountMax: 1 << 20)
    defer { cache.close() }
    let one = ConcurrentTransaction(.init(cache), .serializable)
    let two = ConcurrentTransaction(.init(cache), .serializable)
    var taken: Set<Int64> = []
    var largest: [Int64] = [10, 10]
    for step in 0..<600 {
      let place = step % 7 == 0 ? 1 : 0
      guard let rowid = (place == 0 ? one : two).newRowid(in: 2, behind: largest[place]) else {
        Issue.record("no row id")
        return
      }
      #expect(rowid > largest[place] && taken.insert(rowid).inserted)
      // A row of an explicit id, now and then.
      largest[place] = step % 50 == 49 ? rowid + 100 : rowid
    }
    // Another table's are its own, and alone there is no gap.
    #expect((1...200).allSatisfy { one.newRowid(in: 3, behind: $0 - 1) == $0 })
    let last = (2...4).map { one.newRowid(in: 4, behind: Int64.max - 4 + Int64($0) - 1) }
    #expect(last == [Int64.max - 2, Int64.max - 1, Int64.max])
    #expect(one.newRowid(in: 4, behind: Int64.max) == nil)
  }
}
