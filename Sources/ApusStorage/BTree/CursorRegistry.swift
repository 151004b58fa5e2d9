// The cursors that a connection has open, as an intrusive list, so that a write finds the others on its b-tree.
// `unsafe` lives here: cursors' states lie at fixed addresses that their `BTreeCursor` owns; each is in the list from its
// making to its end.

import ApusBase

/// A cursor state's place in the list.
@safe
struct CursorLink {
  var previous: UnsafeMutablePointer<CursorState>?
  var next: UnsafeMutablePointer<CursorState>?

  init() {
    unsafe previous = nil
    unsafe next = nil
  }
}

/// The list's head, in memory that the pager owns: reads cost no exclusivity check.
@safe
struct CursorRegistry {
  @unsafe
  struct Head {
    var first: UnsafeMutablePointer<CursorState>?
    var generation: UInt64 = 1
  }

  private let head: UnsafeMutablePointer<Head>

  init() {
    unsafe head = UnsafeMutablePointer<Head>.allocate(capacity: 1)
    unsafe head.initialize(to: Head())
  }

  func destroy() {
    unsafe head.deinitialize(count: 1)
    unsafe head.deallocate()
  }

  /// Counts the events after which a path from before no longer shows the tree as it is: a new snapshot, a rollback.
  @inline(__always)
  var generation: UInt64 { unsafe head.pointee.generation }

  /// A new snapshot begins, or something was rolled back: paths in memory are looked up again before they are used.
  func forgetPaths() {
    unsafe head.pointee.generation &+= 1
    var next = unsafe head.pointee.first
    while let state = unsafe next {
      unsafe state.pointee.saveAtRollback()
      unsafe next = state.pointee.link.next
    }
  }

  /// Before a rollback: every cursor saves its key while the pages still show it. May wait; repeatable.
  /// - Returns: false where one has lost its place.
  func saveAllBeforeRollback() throws(Fault) -> Bool {
    var areSaved = true
    var next = unsafe head.pointee.first
    while let state = unsafe next {
      if try unsafe !state.pointee.saveBeforeRollback() { areSaved = false }
      unsafe next = state.pointee.link.next
    }
    return areSaved
  }

  /// Pages are about to move: every cursor saves its key. May wait; repeatable.
  func saveEverything() throws(Fault) {
    var next = unsafe head.pointee.first
    while let state = unsafe next {
      try unsafe state.pointee.save()
      unsafe next = state.pointee.link.next
    }
  }

  /// What the cursors of a concurrent transaction have passed goes into its log.
  func flushNotes() {
    var next = unsafe head.pointee.first
    while let state = unsafe next {
      if unsafe state.pointee.notes != nil { unsafe state.pointee.flushNotes() }
      unsafe next = state.pointee.link.next
    }
  }

  func insert(_ state: UnsafeMutablePointer<CursorState>) {
    let first = unsafe head.pointee.first
    unsafe state.pointee.link.previous = nil
    unsafe state.pointee.link.next = first
    if let first = unsafe first { unsafe first.pointee.link.previous = state }
    unsafe head.pointee.first = state
  }

  func remove(_ state: UnsafeMutablePointer<CursorState>) {
    let previous = unsafe state.pointee.link.previous
    let next = unsafe state.pointee.link.next
    if let next = unsafe next { unsafe next.pointee.link.previous = previous }
    if let previous = unsafe previous {
      unsafe previous.pointee.link.next = next
    } else {
      unsafe head.pointee.first = next
    }
  }

  /// Makes every cursor on `root` but `writer` save its key. Repeatable: one that has saved stays so.
  /// - Parameter link: the place in the list of the cursor that is about to write.
  @inline(__always)
  func saveOthers(on root: PageNumber, but link: CursorLink) throws(Fault) {
    let before = unsafe link.previous
    let after = unsafe link.next
    if unsafe before == nil && after == nil { return }
    try unsafe saveOthers(on: root, before, after)
  }

  @unsafe
  @inline(never)
  private func saveOthers(
    on root: PageNumber, _ before: UnsafeMutablePointer<CursorState>?, _ after: UnsafeMutablePointer<CursorState>?
  ) throws(Fault) {
    #if PlantedBugs
      if PlantedBug.isActive(.skipSavingOtherCursors) { return }
    #endif
    var state = unsafe before
    while let other = unsafe state {
      if unsafe other.pointee.root == root { try unsafe other.pointee.save() }
      unsafe state = other.pointee.link.previous
    }
    unsafe state = after
    while let other = unsafe state {
      if unsafe other.pointee.root == root { try unsafe other.pointee.save() }
      unsafe state = other.pointee.link.next
    }
  }

  /// The same for a tree that is cleared or dropped, whoever does it.
  func saveAll(on root: PageNumber) throws(Fault) {
    var state = unsafe head.pointee.first
    while let other = unsafe state {
      if unsafe other.pointee.root == root { try unsafe other.pointee.save() }
      unsafe state = other.pointee.link.next
    }
  }
}

/// Values of a record that a cursor keeps to go back to. They point into the record's bytes.
@safe
struct KeyValues: ~Copyable {
  private var base: UnsafeMutablePointer<Value>
  private var room = 16
  private var count = 0

  init() { unsafe base = UnsafeMutablePointer<Value>.allocate(capacity: 16) }

  deinit { unsafe base.deallocate() }

  /// Takes the first `most` columns of `record`. False where the record is damaged.
  mutating func load(_ record: ByteView, most: Int) -> Bool {
    var reader = RecordReader(record)
    count = 0
    while count < most, let value = reader.next() {
      if count == room {
        let grown = UnsafeMutablePointer<Value>.allocate(capacity: room * 2)
        unsafe grown.update(from: base, count: room)
        unsafe base.deallocate()
        unsafe base = grown
        room *= 2
      }
      unsafe (base + count).initialize(to: value)
      count += 1
    }
    return !reader.isDamaged
  }

  /// Valid until the next `load`.
  var range: ValueRange { unsafe ValueRange(unchecked: UnsafePointer(base), count: count) }
}

extension Page {
  /// Stands where a path holds no page; never read.
  static var none: Page {
    unsafe Page(
      none: SlotPointer(bitPattern: 64).unsafelyUnwrapped, base: UnsafeMutableRawPointer(bitPattern: 64).unsafelyUnwrapped)
  }

  private init(none slot: SlotPointer, base: UnsafeMutableRawPointer) {
    unsafe self.slot = slot
    unsafe self.base = base
    byteCount = 0
    numberValue = 0
    isWritable = false
  }

  /// True where both are the same image, held by the same slot.
  @inline(__always)
  func isSameImage(as other: Page) -> Bool { unsafe slot == other.slot }
}
