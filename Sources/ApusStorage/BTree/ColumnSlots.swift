// Where the columns of a cursor's current record lie, as far as its header was parsed.
// `unsafe` lives here: one array that its cursor owns, grown by doubling. What is read is bounds-checked; what is
// written was made room for, record by record.

@safe
struct ColumnSlots: ~Copyable {
  struct Slot {
    var offset: UInt32
    var type: UInt32
  }

  private var base: UnsafeMutablePointer<Slot>
  private var room: Int

  /// Room that there always is: headers shorter than this need no `reserve`.
  static let roomMin = 128

  init() {
    room = ColumnSlots.roomMin
    unsafe base = UnsafeMutablePointer<Slot>.allocate(capacity: room)
  }

  deinit { unsafe base.deallocate() }

  /// - Precondition: the slot was set since the record was loaded.
  @inline(__always)
  subscript(index: Int) -> Slot {
    precondition(UInt(bitPattern: index) < UInt(bitPattern: room))
    return unsafe base[index]
  }

  @inline(__always)
  mutating func reserve(_ count: Int) {
    if count > room { grow(to: count) }
  }

  /// - Precondition: `reserve` has made room for it, or it is one of the first `roomMin`.
  @inline(__always)
  mutating func set(_ index: Int, offset: Int, type: UInt64) {
    assert(UInt(bitPattern: index) < UInt(bitPattern: room))
    unsafe (base + index).initialize(
      to: Slot(offset: UInt32(truncatingIfNeeded: offset), type: UInt32(truncatingIfNeeded: type)))
  }

  private mutating func grow(to count: Int) {
    let grown = UnsafeMutablePointer<Slot>.allocate(capacity: max(count, room * 2))
    unsafe grown.update(from: base, count: room)
    unsafe base.deallocate()
    unsafe base = grown
    room = max(count, room * 2)
  }
}
