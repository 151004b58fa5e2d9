// What a concurrent transaction has read and changed, by keys (SPEC, "The logical log"). Cursors keep it; a tree is its root.
//
// Reads are ranges, and stay whatever is rolled back: their outcome was seen. Changes stand in the order in which they were
// made; a savepoint's mark is their number, and going back cuts them there. Their net effect is worked out at COMMIT.
// Where keys cannot tell what happened (the schema, the header, collations of the application, too many changes), `isKeyed`
// is false for the rest of the transaction: it counts by pages then.

import ApusBase

final class LogicalLog {
  final class Tree {
    let root: UInt32
    /// nil for a table with row ids, and for a tree that was only cleared.
    private(set) var comparer: KeyComparer?
    private(set) var isTable: Bool
    /// The tree was only cleared: its first cursor tells what it is.
    fileprivate var isBare = false
    private(set) var rowids = RangeList<Int64>()
    private(set) var keys = RangeList<KeyCut>()
    /// All of the tree was read.
    private(set) var isWhole: Bool
    private var isWholeAsserted = false
    private let keepsPlainReads: Bool
    /// The tree has sequences, and some were looked up or raised: other raises do not meet that, but whatever else changes it does.
    fileprivate var hasSequences = false
    /// Of `changes`, whether some are raises, and whether some are not.
    fileprivate var hasRaises = false
    fileprivate var hasRowChanges = false
    /// The table has a sequence: a key that has come and gone was used all the same.
    fileprivate var keepsGoneKeys = false

    fileprivate init(
      _ root: UInt32, _ description: KeyDescription?, isTable: Bool, isWhole: Bool, keepsPlainReads: Bool
    ) {
      self.root = root
      self.keepsPlainReads = keepsPlainReads
      self.isWhole = isWhole
      self.isTable = isTable
      comparer = description.map { KeyComparer($0) }
    }

    fileprivate func adopt(_ description: KeyDescription?) {
      isBare = false
      isTable = description == nil
      comparer = description.map { KeyComparer($0) }
    }

    var description: KeyDescription? { comparer?.description }
    var byteCount: Int { rowids.byteCount + keys.byteCount }

    func note(_ low: Int64, _ high: Int64, isAsserted: Bool = false) {
      if isWhole || low > high || !isAsserted && !keepsPlainReads { return }
      rowids.insert(low, high, isAsserted: isAsserted, ())
    }

    func note(_ low: KeyCut, _ high: KeyCut, isAsserted: Bool = false) {
      guard !isWhole, isAsserted || keepsPlainReads, let comparer else { return }
      if comparer.order(low, high) >= 0 { return }
      keys.insert(low, high, isAsserted: isAsserted, comparer)
    }

    func noteAll(isAsserted: Bool = false) {
      if !isAsserted, !keepsPlainReads { return }
      isWhole = true
      if isAsserted { isWholeAsserted = true }
      rowids = RangeList()
      keys = RangeList()
    }

    #if PlantedBugs
      fileprivate func forgetReads() {
        isWhole = false
        rowids = RangeList()
        keys = RangeList()
      }
    #endif

    fileprivate func join() {
      rowids.join(())
      if let comparer { keys.join(comparer) }
    }

    /// True where there is nothing left to join.
    fileprivate var isJoined: Bool { rowids.count <= 1 && keys.count <= 1 }

    /// The first of the commit's keys that lies in a range.
    func firstConflict(_ other: CommittedKeys.Tree) -> KeyConflict? {
      if other.isCleared, isWhole || hasSequences || rowids.count > 0 || keys.count > 0 { return KeyConflict(root: root, key: nil) }
      rowids.settle(())
      #if PlantedBugs
        let isBlind = PlantedBug.isActive(.raiseUnseen)
      #else
        let isBlind = false
      #endif
      if let raise = other.raises.first, isWhole || rowids.count > 0, !isBlind {
        let isAsserted = isWholeAsserted || rowids.ranges.contains { $0.isAsserted }
        return KeyConflict(root: root, key: .columns(of: raise, count: 1), isAsserted: isAsserted)
      }
      if hasSequences, let rowid = other.rowids.first {
        return KeyConflict(root: root, key: .rowid(rowid), isAsserted: true)
      }
      for rowid in other.rowids {
        var isAsserted = isWholeAsserted
        if !isWhole {
          guard let range = rowids.firstRange({ $0 >= rowid }) else { break }
          if range.low > rowid { continue }
          isAsserted = range.isAsserted
        }
        return KeyConflict(root: root, key: .rowid(rowid), isAsserted: isAsserted)
      }
      if let comparer { keys.settle(comparer) }
      for record in other.records {
        var isAsserted = isWholeAsserted
        if !isWhole {
          guard let comparer, let range = keys.firstRange({ comparer.order($0, entry: record) > 0 }) else { break }
          if comparer.order(range.low, entry: record) > 0 { continue }
          isAsserted = range.isAsserted
        }
        let count = other.description?.columns.count ?? .max
        return KeyConflict(root: root, key: .columns(of: record, count: count), isAsserted: isAsserted)
      }
      return nil
    }
  }

  struct Change {
    enum Kind: UInt8 { case row, clear, raise }

    var kind: Kind
    /// Of a raise: the table whose sequence it is, by its root.
    var table: UInt32 = 0
    var tree: Tree
    /// Of a raise, what the sequence is raised to.
    var rowid: Int64
    /// Where the old and the new record lie in `bytes`; a length of -1 is none.
    var start: Int
    var oldBytes: Int
    var newBytes: Int
  }

  private(set) var trees: [UInt32: Tree] = [:]
  private(set) var changes: [Change] = [] { didSet { net = nil } }
  /// What `netChanges` has worked out: a rebase asks for it, and whoever is compared with the commit.
  private var net: [NetTree]?
  private var bytes = ByteBuffer()
  /// Keys tell all that was changed.
  private(set) var isKeyed = true
  /// Pages that reads led over whose outcome is in the ranges: only commits without keys are compared with them.
  var pages = PageSet()

  /// The bounds of ranges and of changes, in bytes.
  let byteCountMax: Int
  private var noteCount = 0
  /// What of the reads is kept.
  enum Reads {
    case all
    /// Those that a change rests on: snapshot isolation.
    case asserted
    /// None: an ordinary writer, who is compared with nobody.
    case none
  }
  private let reads: Reads

  static let usualByteCount = 4 << 20

  init(byteCountMax: Int = LogicalLog.usualByteCount, reads: Reads = .all) {
    self.byteCountMax = byteCountMax
    self.reads = reads
  }

  // MARK: Reads

  /// The tree of a cursor.
  func tree(_ root: UInt32, _ description: KeyDescription?) -> Tree {
    if let known = trees[root] {
      if known.isBare { known.adopt(description) }
      if known.isTable, description == nil { return known }
      if !known.isTable, let description, let own = known.description, own.hasSameOrder(as: description) { return known }
      // Two orders for one tree: all of it counts.
      known.noteAll(isAsserted: true)
      isKeyed = false
      return known
    }
    return addTree(root, description, isTable: description == nil)
  }

  /// The tree of the sequences, for a cursor that looks up the one of `table` and raises it: none of its ranges is kept.
  func sequences(_ root: UInt32, of table: UInt32) -> Tree {
    tree(root, nil).hasSequences = true
    tree(table, nil).keepsGoneKeys = true
    return Tree(root, nil, isTable: true, isWhole: true, keepsPlainReads: false)
  }

  private func addTree(_ root: UInt32, _ description: KeyDescription?, isTable: Bool) -> Tree {
    let tree = Tree(
      root, description, isTable: isTable, isWhole: reads == .none, keepsPlainReads: reads == .all)
    trees[root] = tree
    return tree
  }

  /// A cursor notes something.
  func tick() {
    noteCount &+= 1
    if noteCount & 1023 == 0 { bound() }
  }

  /// The same, of a tree whose keys may be long.
  func tick(_ tree: Tree) {
    tick()
    if tree.byteCount > byteCountMax { bound() }
  }

  /// Joins ranges where they take more than they may.
  func bound() {
    var total = 0
    for tree in trees.values { total += tree.byteCount }
    while total > byteCountMax {
      guard let largest = trees.values.max(by: { $0.byteCount < $1.byteCount }), !largest.isJoined else { return }
      total -= largest.byteCount
      largest.join()
      total += largest.byteCount
    }
  }

  // MARK: Changes

  /// Something was changed that has no key.
  func dropKeys() {
    isKeyed = false
    changes = []
    bytes = ByteBuffer()
  }

  /// One key's change; nil is the absence of a record.
  func add(_ tree: Tree, rowid: Int64, old: ByteView?, new: ByteView?) {
    tree.hasRowChanges = true
    if !isKeyed { return }
    // What is left of a row that was raised and changed otherwise too is no raise.
    if tree.hasRaises { return dropKeys() }
    let start = bytes.count
    if let old { bytes.append(old) }
    if let new { bytes.append(new) }
    changes.append(
      Change(kind: .row, tree: tree, rowid: rowid, start: start, oldBytes: old?.count ?? -1, newBytes: new?.count ?? -1))
    boundChanges()
  }

  /// The sequence of a table is at least `value` from now on.
  /// - Parameters:
  ///   - root: the tree of the sequences.
  ///   - table: the root of the table.
  ///   - record: the sequence's row, with that value.
  func addRaise(in root: UInt32, of table: UInt32, to value: Int64, record: ByteView) {
    let tree = tree(root, nil)
    tree.hasRaises = true
    if !isKeyed { return }
    if tree.hasRowChanges { return dropKeys() }
    let start = bytes.count
    bytes.append(record)
    changes.append(
      Change(kind: .raise, table: table, tree: tree, rowid: value, start: start, oldBytes: -1, newBytes: record.count))
    boundChanges()
  }

  private func boundChanges() {
    if bytes.count + changes.count * MemoryLayout<Change>.stride > byteCountMax { dropKeys() }
  }

  /// All entries of a tree are about to go.
  func addClear(of root: UInt32) {
    let tree = trees[root] ?? cleared(root)
    tree.noteAll(isAsserted: true)
    tree.hasRowChanges = true
    if !isKeyed { return }
    if tree.hasRaises { return dropKeys() }
    if let last = changes.last, last.kind == .clear, last.tree === tree { return }
    changes.append(Change(kind: .clear, tree: tree, rowid: 0, start: bytes.count, oldBytes: -1, newBytes: -1))
  }

  /// A tree of which nothing but its root is known: its order becomes known with the first cursor on it.
  private func cleared(_ root: UInt32) -> Tree {
    let tree = addTree(root, nil, isTable: true)
    tree.isBare = true
    return tree
  }

  /// Changes so far: what a savepoint marks.
  var changeCount: Int { changes.count }

  /// Forgets the changes behind a savepoint's mark.
  func cut(to count: Int) {
    if count >= changes.count { return }
    #if PlantedBugs
      if PlantedBug.isActive(.keepChangesAtRollbackTo), let kept = changes.last?.tree {
        // One tree's changes stay.
        let first = changes[count...].filter { $0.tree === kept }
        changes.removeSubrange(count...)
        changes += first
        return
      }
    #endif
    bytes.resize(to: changes[count].start)
    changes.removeSubrange(count...)
  }

  #if PlantedBugs
    func forgetReads() {
      pages.removeAll()
      for tree in trees.values { tree.forgetReads() }
    }
  #endif

  // MARK: Net changes

  /// What is left of the changes, tree by tree, in the order of their keys.
  func netChanges() -> [NetTree] {
    if let net { return net }
    let new = workOutNetChanges()
    net = new
    return new
  }

  private func workOutNetChanges() -> [NetTree] {
    var order: [UInt32] = []
    var byTree: [UInt32: [Change]] = [:]
    var cleared: Set<UInt32> = []
    for change in changes {
      let root = change.tree.root
      if byTree[root] == nil { order.append(root) }
      if change.kind == .clear {
        byTree[root] = []
        cleared.insert(root)
      } else {
        byTree[root, default: []].append(change)
      }
    }
    return order.compactMap { root in
      guard let tree = trees[root], let changes = byTree[root] else { return nil }
      if tree.hasRaises { return NetTree(root: root, isCleared: false, changes: [], raises: netRaises(changes)) }
      let net = tree.isTable ? netOfTable(tree, changes) : netOfIndex(tree, changes)
      if net.isEmpty, !cleared.contains(root) { return nil }
      return NetTree(root: root, description: tree.description, isCleared: cleared.contains(root), changes: net)
    }
  }

  /// Of each table the largest value, with its row.
  private func netRaises(_ changes: [Change]) -> [NetRaise] {
    var net: [NetRaise] = []
    for change in changes {
      let raise = NetRaise(table: change.table, value: change.rowid, record: new(change) ?? [])
      guard let known = net.firstIndex(where: { $0.table == raise.table }) else {
        net.append(raise)
        continue
      }
      if net[known].value < raise.value { net[known] = raise }
    }
    return net
  }

  private func old(_ change: Change) -> [UInt8]? {
    change.oldBytes < 0 ? nil : bytes.bytes.slice(change.start, change.oldBytes).array
  }

  private func new(_ change: Change) -> [UInt8]? {
    change.newBytes < 0 ? nil : bytes.bytes.slice(change.start + max(change.oldBytes, 0), change.newBytes).array
  }

  private func netOfTable(_ tree: Tree, _ changes: [Change]) -> [NetChange] {
    let order = changes.indices.sorted {
      changes[$0].rowid != changes[$1].rowid ? changes[$0].rowid < changes[$1].rowid : $0 < $1
    }
    var net: [NetChange] = []
    var place = 0
    while place < order.count {
      let first = changes[order[place]]
      while place + 1 < order.count, changes[order[place + 1]].rowid == first.rowid { place += 1 }
      let change = NetChange(rowid: first.rowid, key: [], old: old(first), new: new(changes[order[place]]))
      if change.old != change.new || tree.keepsGoneKeys && change.old == nil { net.append(change) }
      place += 1
    }
    return net
  }

  private func netOfIndex(_ tree: Tree, _ changes: [Change]) -> [NetChange] {
    guard let comparer = tree.comparer else { return [] }
    let keys = changes.map { change in
      (new(change) ?? old(change) ?? []).withView {
        RecordPrefix.copy($0, columnCountMax: comparer.description.uniqueCount).record
      }
    }
    let order = changes.indices.sorted {
      let order = comparer.order(keys[$0], keys[$1])
      return order != 0 ? order < 0 : $0 < $1
    }
    var net: [NetChange] = []
    var place = 0
    while place < order.count {
      let first = order[place]
      while place + 1 < order.count, comparer.order(keys[order[place + 1]], keys[first]) == 0 { place += 1 }
      let change = NetChange(
        rowid: 0, key: keys[order[place]], old: old(changes[first]), new: new(changes[order[place]]))
      place += 1
      #if PlantedBugs
        if PlantedBug.isActive(.cancelEqualKeys), change.old != nil, change.new != nil { continue }
      #endif
      if change.old != change.new { net.append(change) }
    }
    return net
  }

  // MARK: Comparing

  enum Comparison {
    case passes
    case conflict(KeyConflict)
    /// The orders of a tree differ: pages must tell.
    case unknown
  }

  func compare(_ commit: CommittedKeys) -> Comparison {
    for other in commit.trees {
      guard let own = trees[other.root] else { continue }
      if !own.isWhole, !other.isCleared {
        switch (own.description, other.description) {
        case (nil, nil): if !own.isTable { return .unknown }
        case (let own?, let other?): if !own.hasSameOrder(as: other) { return .unknown }
        case (nil, _?), (_?, nil): return .unknown
        }
      }
      if let conflict = own.firstConflict(other) { return .conflict(conflict) }
    }
    return .passes
  }
}

/// A key's record before the transaction and behind it. They differ, but in a table with a sequence both may be missing.
struct NetChange {
  var rowid: Int64
  /// The columns that make an index's entry unique.
  var key: [UInt8]
  var old: [UInt8]?
  var new: [UInt8]?
}

/// A sequence that a transaction has raised.
struct NetRaise {
  /// The root of the table whose sequence it is.
  var table: UInt32
  var value: Int64
  /// The row with that value: the table's name, and the value.
  var record: [UInt8]
}

struct NetTree {
  var root: UInt32
  var description: KeyDescription?
  /// All that was in the tree goes before the changes.
  var isCleared: Bool
  var changes: [NetChange]
  /// Where there are any, there is nothing else.
  var raises: [NetRaise] = []
}
