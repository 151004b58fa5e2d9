// The machine's cursors: one slot each, in memory that the machine owns. A slot says what it is open on; the b-tree cursor
// or the sorter itself lies in memory of its own, at a fixed address. `unsafe` lives here.

import ApusBase
import ApusStorage

@safe
struct CursorSlot {
  enum Kind: UInt8 { case closed, table, index, pseudo, sorter, groups }

  var kind = Kind.closed
  /// True where `column` and `rowid` need no thought: a b-tree cursor that is on a row of its own.
  var isPlain = false
  /// Reads as all NULL.
  var isNullRow = false
  /// Opened on the machine's temporary pager.
  var isEphemeral = false
  /// Ephemeral, and some other slot made its b-tree.
  var isDuplicate = false
  /// Cursor of the index whose current entry says where this one belongs; -1: it is there.
  var deferredFrom: Int32 = -1
  /// Column map of a deferred seek, in the program's integer lists; -1: none.
  var deferredMap: Int32 = -1
  /// Pseudo cursor: the register with the record.
  var register: Int32 = 0
  var columnCount: Int32 = 0
  var root: UInt32 = 0
  /// Key description in the program's pool, -1 for a rowid table.
  var key: Int32 = -1
  var nextSequence: Int64 = 0
  fileprivate var tree: UnsafeMutablePointer<BTreeCursor>?
  /// The b-tree cursor that the slot had last, for the next run of the same instruction.
  fileprivate var spare: UnsafeMutablePointer<BTreeCursor>?
  fileprivate var sorter: UnsafeMutablePointer<Sorter>?
  fileprivate var groups: UnsafeMutablePointer<GroupTable>?

  /// Stands on an entry.
  @inline(__always)
  mutating func setOnRow() {
    isPlain = true
    isNullRow = false
    deferredFrom = -1
  }
}

@safe
struct CursorTable {
  private let slots: UnsafeMutablePointer<CursorSlot>
  let count: Int

  init(count: Int) {
    self.count = count
    unsafe slots = UnsafeMutablePointer<CursorSlot>.allocate(capacity: max(count, 1))
    unsafe slots.initialize(repeating: CursorSlot(), count: max(count, 1))
  }

  func destroy() {
    closeAll()
    for cursor in 0..<count {
      if let spare = unsafe slots[cursor].spare { unsafe CursorTable.destroy(spare) }
    }
    unsafe slots.deallocate()
  }

  @unsafe
  private static func destroy(_ tree: UnsafeMutablePointer<BTreeCursor>) {
    unsafe tree.deinitialize(count: 1)
    unsafe tree.deallocate()
  }

  @inline(__always)
  subscript(cursor: Int32) -> CursorSlot {
    _read {
      assert(cursor >= 0 && cursor < count)
      yield unsafe slots[Int(cursor)]
    }
    nonmutating _modify {
      assert(cursor >= 0 && cursor < count)
      yield unsafe &slots[Int(cursor)]
    }
  }

  /// The b-tree cursor of slot `cursor`.
  /// - Precondition: the slot is open on a b-tree.
  @inline(__always)
  subscript(tree cursor: Int32) -> BTreeCursor {
    _read {
      assert(cursor >= 0 && cursor < count)
      guard let tree = unsafe slots[Int(cursor)].tree else { preconditionFailure("the cursor is not open on a b-tree") }
      yield unsafe tree.pointee
    }
    nonmutating _modify {
      assert(cursor >= 0 && cursor < count)
      guard let tree = unsafe slots[Int(cursor)].tree else { preconditionFailure("the cursor is not open on a b-tree") }
      yield unsafe &tree.pointee
    }
  }

  /// Stores column `index` of the b-tree cursor's row in a register.
  /// - Returns: false, and nothing stored, where the record has fewer columns.
  @inline(__always)
  func column(_ cursor: Int32, _ index: Int, into registers: RegisterFile, _ register: Int32) throws(Fault) -> Bool {
    try unsafe self[tree: cursor].column(index, into: registers.pointer(register))
  }

  @inline(__always)
  subscript(sorter cursor: Int32) -> Sorter {
    _read {
      guard let sorter = unsafe slots[Int(cursor)].sorter else { preconditionFailure("the cursor is not a sorter") }
      yield unsafe sorter.pointee
    }
    nonmutating _modify {
      guard let sorter = unsafe slots[Int(cursor)].sorter else { preconditionFailure("the cursor is not a sorter") }
      yield unsafe &sorter.pointee
    }
  }

  @inline(__always)
  subscript(groups cursor: Int32) -> GroupTable {
    _read {
      guard let groups = unsafe slots[Int(cursor)].groups else { preconditionFailure("no table of groups") }
      yield unsafe groups.pointee
    }
    nonmutating _modify {
      guard let groups = unsafe slots[Int(cursor)].groups else { preconditionFailure("no table of groups") }
      yield unsafe &groups.pointee
    }
  }

  func open(_ cursor: Int32, groups: consuming GroupTable) {
    close(cursor)
    let memory = UnsafeMutablePointer<GroupTable>.allocate(capacity: 1)
    unsafe memory.initialize(to: groups)
    unsafe slots[Int(cursor)].groups = memory
    unsafe slots[Int(cursor)].kind = .groups
  }

  /// Opens slot `cursor` on a tree of the database; its last cursor is used again where it was one on the same tree.
  func open(_ cursor: Int32, _ pager: Pager, root: PageNumber, key: KeyDescription?, isWritable: Bool) {
    let slot = unsafe slots + Int(cursor)
    if unsafe slot.pointee.isEphemeral || slot.pointee.tree == nil { close(cursor) }
    let kind: CursorSlot.Kind = key == nil ? .table : .index
    let last = unsafe slot.pointee.tree ?? slot.pointee.spare
    var memory = unsafe last
    if let last = unsafe last, unsafe !last.pointee.reopen(pager: pager, root: root, key: key, isWritable: isWritable) {
      unsafe CursorTable.destroy(last)
      unsafe memory = nil
    }
    unsafe slot.pointee = CursorSlot()
    unsafe slot.pointee.kind = kind
    if let memory = unsafe memory {
      unsafe slot.pointee.tree = memory
      return
    }
    unsafe put(BTreeCursor(pager: pager, root: root, key: key, isWritable: isWritable), slot)
  }

  /// Opens slot `cursor` on an ephemeral tree.
  func open(_ cursor: Int32, tree: consuming BTreeCursor, kind: CursorSlot.Kind) {
    close(cursor)
    unsafe put(tree, slots + Int(cursor))
    unsafe slots[Int(cursor)].kind = kind
    unsafe slots[Int(cursor)].isEphemeral = true
  }

  @unsafe
  private func put(_ tree: consuming BTreeCursor, _ slot: UnsafeMutablePointer<CursorSlot>) {
    let memory = UnsafeMutablePointer<BTreeCursor>.allocate(capacity: 1)
    unsafe memory.initialize(to: tree)
    unsafe slot.pointee.tree = memory
  }

  func open(_ cursor: Int32, sorter: consuming Sorter) {
    close(cursor)
    let memory = UnsafeMutablePointer<Sorter>.allocate(capacity: 1)
    unsafe memory.initialize(to: sorter)
    unsafe slots[Int(cursor)].sorter = memory
    unsafe slots[Int(cursor)].kind = .sorter
  }

  func close(_ cursor: Int32) {
    let slot = unsafe slots + Int(cursor)
    if unsafe slot.pointee.kind == .closed { return }
    var spare = unsafe slot.pointee.spare
    if let tree = unsafe slot.pointee.tree {
      // An ephemeral tree ends with its statement's run, and its pager with it.
      if unsafe slot.pointee.isEphemeral {
        unsafe CursorTable.destroy(tree)
      } else {
        if let spare = unsafe spare { unsafe CursorTable.destroy(spare) }
        unsafe tree.pointee.park()
        unsafe spare = tree
      }
    }
    if let sorter = unsafe slot.pointee.sorter {
      unsafe sorter.deinitialize(count: 1)
      unsafe sorter.deallocate()
    }
    if let groups = unsafe slot.pointee.groups {
      unsafe groups.deinitialize(count: 1)
      unsafe groups.deallocate()
    }
    unsafe slot.pointee = CursorSlot()
    unsafe slot.pointee.spare = spare
  }

  /// Gives back what closed slots keep for their next use.
  func freeSpares() {
    for cursor in 0..<count {
      guard let spare = unsafe slots[cursor].spare else { continue }
      unsafe CursorTable.destroy(spare)
      unsafe slots[cursor].spare = nil
    }
  }

  func closeAll() {
    for cursor in 0..<Int32(count) { close(cursor) }
  }
}
