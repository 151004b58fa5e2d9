// The pages that one connection holds for its current snapshot and write transaction: an open-addressing table from
// page number to slot, and two lists of slots.
//
// A slot binds a page to an image. Clean slots stand in the clean list, newest first, and leave it by SIEVE (Y. Zhang
// et al., NSDI 2024: a hand that walks from old to new, spares what was visited, and moves nothing on a hit). Slots
// whose image is private to the write transaction stand in the dirty list. A slot that lost its page to a newer image
// while a cursor had it pinned, or while the current operation may still hold it, is detached and waits in the limbo
// list.
//
// No lock, no reference counting and no exclusivity check lies on the way of a hit. `unsafe` lives here.

import ApusBase

struct SlotFlags: OptionSet {
  let rawValue: UInt8
  /// The image is private to the write transaction.
  static let dirty = SlotFlags(rawValue: 1)
  /// The table no longer leads to the slot.
  static let detached = SlotFlags(rawValue: 2)
  /// The image also lies in a frame or in the file: it may leave memory although it is private.
  static let spilled = SlotFlags(rawValue: 4)
}

@unsafe
struct PageSlot {
  var number: UInt32
  var pins: Int32 = 0
  var image: PageImage
  /// The committed image below a private one, if it is still at hand (it will be journaled or restored).
  var original: PageImage?
  /// The serial of the youngest savepoint when the private image was made.
  var stamp: UInt64 = 0
  var flags: SlotFlags = []
  var wasVisited = false
  var newer: UnsafeMutablePointer<PageSlot>?
  var older: UnsafeMutablePointer<PageSlot>?

  /// Private and nowhere but in memory.
  var isInDirtyList: Bool { unsafe flags.contains(.dirty) && !flags.contains(.spilled) }
}

typealias SlotPointer = UnsafeMutablePointer<PageSlot>

@unsafe
struct SlotList {
  var newest: SlotPointer?
  var oldest: SlotPointer?
  var count = 0

  mutating func prepend(_ slot: SlotPointer) {
    unsafe slot.pointee.newer = nil
    unsafe slot.pointee.older = newest
    if let first = unsafe newest { unsafe first.pointee.newer = slot } else { unsafe oldest = slot }
    unsafe newest = slot
    unsafe count += 1
  }

  mutating func remove(_ slot: SlotPointer) {
    let newer = unsafe slot.pointee.newer
    let older = unsafe slot.pointee.older
    if let newer = unsafe newer { unsafe newer.pointee.older = older } else { unsafe newest = older }
    if let older = unsafe older { unsafe older.pointee.newer = newer } else { unsafe oldest = newer }
    unsafe slot.pointee.newer = nil
    unsafe slot.pointee.older = nil
    unsafe count -= 1
  }
}

@unsafe
struct PageTable {
  @unsafe
  struct Entry {
    var number: UInt32
    var slot: SlotPointer?
  }

  // What a hit reads. Under fault injection `lookup` is an empty table, so that every access takes the slow path.
  var lookup: UnsafeMutablePointer<Entry>
  var lookupShift: UInt32
  var lookupMask: Int
  var pageSize: Int
  var usableSize: Int
  /// The serial of the youngest open savepoint: a private image with an older stamp is still owed to it. The largest number
  /// while a commit is on its way, which every change must hear of.
  var serialInForce: UInt64 = 0

  /// Up to so many private pages nothing has to be done before a write operation; 0 where that is to be found out anew.
  var dirtyRoom = 0

  /// Something waits for the next operation's start: limbo, or more clean slots than the budget has.
  var needsTrim = false

  private var entries: UnsafeMutablePointer<Entry>
  private var shift: UInt32
  private var mask: Int
  private let emptyEntry: UnsafeMutablePointer<Entry>
  private(set) var count = 0
  private(set) var hidesHits = false

  var clean = unsafe SlotList()
  var dirty = unsafe SlotList()
  private var limbo = unsafe SlotList()
  private var hand: SlotPointer?
  /// Most clean slots that stay.
  var cleanLimit: Int = .max
  /// Waits for pages of late, and trims since the last one.
  private var waitCount = 0
  private var calmTrimCount = 0
  private var freeImages: PageImageStack = unsafe PageImageStack()
  /// Slots that wait for their next page, linked by `newer`.
  private var freeSlots: SlotPointer?
  private var freeSlotCount = 0
  private static let freeSlotCountMax = 256
  /// What `shrink` has given back so far.
  private var freedByteCount = 0

  private static let bitsMin: UInt32 = 6
  /// Clean slots that an operation can be in need of at once.
  private static let neededCountMax = 96
  private static let calmTrimCountMax = 64

  init(pageSize: Int, reserved: Int) {
    let bits = unsafe PageTable.bitsMin
    unsafe entries = PageTable.makeEntries(1 << bits)
    unsafe shift = 32 - bits
    unsafe mask = (1 << bits) - 1
    unsafe emptyEntry = PageTable.makeEntries(2)
    unsafe lookup = entries
    unsafe lookupShift = shift
    unsafe lookupMask = mask
    unsafe self.pageSize = pageSize
    unsafe usableSize = pageSize - reserved
  }

  private static func makeEntries(_ count: Int) -> UnsafeMutablePointer<Entry> {
    let entries = UnsafeMutablePointer<Entry>.allocate(capacity: count)
    unsafe entries.initialize(repeating: Entry(number: 0, slot: nil), count: count)
    return unsafe entries
  }

  mutating func destroy() {
    unsafe removeAll()
    unsafe freeImages.removeAll()
    while let slot = unsafe freeSlots {
      unsafe freeSlots = slot.pointee.newer
      unsafe slot.deallocate()
    }
    unsafe entries.deallocate()
    unsafe emptyEntry.deallocate()
  }

  // MARK: Lookup

  /// The hit path. Page number zero is never in the table.
  @inline(__always)
  func find(_ number: UInt32) -> SlotPointer? {
    var index = unsafe Int((number &* 0x9e37_79b1) &>> lookupShift)
    while true {
      let entry = unsafe lookup[index]
      if unsafe entry.number == number { return unsafe entry.slot }
      if unsafe entry.number == 0 { return nil }
      index = unsafe (index &+ 1) & lookupMask
    }
  }

  /// The same without fault injection.
  func findLoaded(_ number: UInt32) -> SlotPointer? {
    var index = unsafe Int((number &* 0x9e37_79b1) &>> shift)
    while true {
      let entry = unsafe entries[index]
      if unsafe entry.number == number { return unsafe entry.slot }
      if unsafe entry.number == 0 { return nil }
      index = unsafe (index &+ 1) & mask
    }
  }

  /// Fault injection: while set, `find` finds nothing.
  mutating func hideHits(_ hides: Bool) {
    unsafe hidesHits = hides
    unsafe publishLookup()
  }

  private mutating func publishLookup() {
    unsafe lookup = hidesHits ? emptyEntry : entries
    unsafe lookupShift = hidesHits ? 31 : shift
    unsafe lookupMask = hidesHits ? 1 : mask
  }

  // MARK: Change

  /// Binds `image` (whose reference the table takes over) to its page as a clean slot.
  mutating func insertClean(_ image: PageImage) -> SlotPointer {
    let slot = unsafe makeSlot(image)
    unsafe bind(slot)
    unsafe clean.prepend(slot)
    if unsafe clean.count > cleanLimit { unsafe needsTrim = true }
    return unsafe slot
  }

  /// Binds a private image (reference taken over) to its page; any slot of the page must have been unbound before.
  mutating func insertDirty(_ image: PageImage, original: PageImage?, stamp: UInt64) -> SlotPointer {
    let slot = unsafe makeSlot(image)
    unsafe slot.pointee.original = original
    unsafe slot.pointee.stamp = stamp
    unsafe slot.pointee.flags = .dirty
    unsafe bind(slot)
    unsafe dirty.prepend(slot)
    return unsafe slot
  }

  /// Takes the slot out of the table; it lives until the next operation starts and nobody pins it any more.
  mutating func detach(_ slot: SlotPointer) {
    unsafe unbind(slot.pointee.number)
    if unsafe slot.pointee.isInDirtyList {
      unsafe dirty.remove(slot)
    } else {
      if unsafe hand == slot { unsafe hand = slot.pointee.newer }
      unsafe clean.remove(slot)
    }
    unsafe slot.pointee.flags.insert(.detached)
    unsafe limbo.prepend(slot)
    unsafe needsTrim = true
  }

  /// A private image became the committed one.
  mutating func makeClean(_ slot: SlotPointer) {
    unsafe dirty.remove(slot)
    unsafe slot.pointee.original?.release()
    unsafe slot.pointee.original = nil
    unsafe slot.pointee.flags = []
    unsafe clean.prepend(slot)
    if unsafe clean.count > cleanLimit { unsafe needsTrim = true }
  }

  /// Frees what the last operation no longer needs, and evicts down to the budget.
  mutating func trim() {
    var next = unsafe limbo.oldest
    while let slot = unsafe next {
      unsafe next = slot.pointee.newer
      if unsafe slot.pointee.pins == 0 {
        unsafe limbo.remove(slot)
        unsafe free(slot)
      }
    }
    if unsafe waitCount > 0 {
      unsafe calmTrimCount += 1
      if unsafe calmTrimCount > PageTable.calmTrimCountMax { unsafe waitCount = 0 }
    }
    unsafe evict()
    unsafe needsTrim = limbo.count > 0 || clean.count > cleanLimit
  }

  /// An operation waits for a page, and is tried again from its beginning.
  mutating func noteWait() {
    unsafe waitCount = min(waitCount + 1, PageTable.neededCountMax)
    unsafe calmTrimCount = 0
  }

  /// How many clean slots stay now. An operation that needs more than the budget allows would lose one of its pages for
  /// each that it has waited for, and never come to its end: so one more stays with each wait, until all are there.
  private var stayingCount: Int {
    let needed = unsafe PageTable.neededCountMax
    return unsafe waitCount == 0 || cleanLimit >= needed ? cleanLimit : min(cleanLimit + waitCount, needed)
  }

  private mutating func evict() {
    var steps = unsafe 2 * clean.count
    let limit = unsafe stayingCount
    while unsafe clean.count > limit && steps > 0 {
      steps -= 1
      guard let slot = unsafe hand ?? clean.oldest else { return }
      unsafe hand = slot.pointee.newer
      if unsafe slot.pointee.pins > 0 { continue }
      if unsafe slot.pointee.wasVisited {
        unsafe slot.pointee.wasVisited = false
        continue
      }
      unsafe clean.remove(slot)
      unsafe unbind(slot.pointee.number)
      unsafe free(slot)
    }
  }

  /// A private image was written to the log or the file: it may leave memory.
  mutating func markSpilled(_ slot: SlotPointer) {
    unsafe dirty.remove(slot)
    unsafe slot.pointee.flags.insert(.spilled)
    unsafe slot.pointee.original?.release()
    unsafe slot.pointee.original = nil
    unsafe clean.prepend(slot)
    if unsafe clean.count > cleanLimit { unsafe needsTrim = true }
  }

  /// A spilled image is about to change.
  mutating func markUnspilled(_ slot: SlotPointer) {
    if unsafe hand == slot { unsafe hand = slot.pointee.newer }
    unsafe clean.remove(slot)
    unsafe slot.pointee.flags.remove(.spilled)
    unsafe dirty.prepend(slot)
  }

  /// A private image that was read back from where it was spilled to.
  mutating func insertSpilled(_ image: PageImage) -> SlotPointer {
    let slot = unsafe insertClean(image)
    unsafe slot.pointee.flags = [.dirty, .spilled]
    return unsafe slot
  }

  /// Calls `body` with each slot of the clean list; it may detach that slot.
  mutating func forEachClean(_ body: (inout PageTable, SlotPointer) -> Void) {
    var next = unsafe clean.oldest
    while let slot = unsafe next {
      unsafe next = slot.pointee.newer
      unsafe body(&self, slot)
    }
  }

  /// Takes every clean slot out: another snapshot begins.
  mutating func dropClean() {
    while let slot = unsafe clean.oldest { unsafe detach(slot) }
    unsafe trim()
  }

  mutating func removeAll() {
    while let slot = unsafe dirty.oldest { unsafe detach(slot) }
    while let slot = unsafe clean.oldest { unsafe detach(slot) }
    while let slot = unsafe limbo.oldest {
      unsafe limbo.remove(slot)
      unsafe free(slot)
    }
    unsafe needsTrim = false
  }

  // MARK: Giving memory back

  /// Gives back what nobody needs to have in memory: images that wait for their next use, spare slots, room for more
  /// entries, and, where they can be read again, clean images that no cursor has pinned.
  /// - Returns: bytes of images that were freed.
  mutating func shrink(dropsClean: Bool) -> Int {
    let before = unsafe freedByteCount
    var next = unsafe limbo.oldest
    while let slot = unsafe next {
      unsafe next = slot.pointee.newer
      if unsafe slot.pointee.pins > 0 { continue }
      unsafe limbo.remove(slot)
      unsafe discard(slot)
    }
    unsafe next = dropsClean ? clean.oldest : nil
    while let slot = unsafe next {
      unsafe next = slot.pointee.newer
      if unsafe slot.pointee.pins > 0 { continue }
      unsafe clean.remove(slot)
      unsafe unbind(slot.pointee.number)
      unsafe discard(slot)
    }
    if dropsClean { unsafe hand = nil }
    while let image = unsafe freeImages.pop() { unsafe letGo(image) }
    while let slot = unsafe freeSlots {
      unsafe freeSlots = slot.pointee.newer
      unsafe slot.deallocate()
    }
    unsafe freeSlotCount = 0
    unsafe needsTrim = limbo.count > 0 || clean.count > cleanLimit
    unsafe narrow()
    return unsafe freedByteCount - before
  }

  private mutating func discard(_ slot: SlotPointer) {
    if let original = unsafe slot.pointee.original { unsafe letGo(original) }
    unsafe letGo(slot.pointee.image)
    unsafe slot.deallocate()
  }

  private mutating func letGo(_ image: PageImage) {
    if image.isUnique { unsafe freedByteCount += image.byteCount + PageImage.headerByteCount }
    image.release()
  }

  /// Bytes of the images that only this table holds: what `shrink` could free at most.
  var ownByteCount: Int {
    var total = unsafe freeImages.count * (pageSize + PageImage.headerByteCount)
    for unsafe list in unsafe [clean, dirty, limbo] {
      var next = unsafe list.oldest
      while let slot = unsafe next {
        unsafe next = slot.pointee.newer
        for case let image? in unsafe [slot.pointee.image, slot.pointee.original] where image.isUnique {
          total += image.byteCount + PageImage.headerByteCount
        }
      }
    }
    return total
  }

  /// Images in the table, limbo included.
  var heldSlotCount: Int { unsafe clean.count + dirty.count + limbo.count }

  /// How many slots a cursor has pinned, for tests.
  var pinnedCount: Int {
    var pinned = 0
    for unsafe list in unsafe [clean, dirty, limbo] {
      var next = unsafe list.oldest
      while let slot = unsafe next {
        unsafe next = slot.pointee.newer
        if unsafe slot.pointee.pins > 0 { pinned += 1 }
      }
    }
    return pinned
  }

  // MARK: Images

  /// A private image for `number`, undefined bytes, one reference.
  mutating func makeImage(_ number: UInt32) -> PageImage {
    if let image = unsafe freeImages.pop() {
      unsafe image.header.pointee.number = number
      unsafe image.header.pointee.version = 0
      return image
    }
    return unsafe PageImage.allocate(number, byteCount: pageSize)
  }

  /// Gives a reference back; an image that nobody else holds is kept for the next copy.
  mutating func recycle(_ image: PageImage) {
    #if PlantedBugs
      image.poisonIfUnique()
    #endif
    if unsafe image.byteCount == pageSize && image.isUnique && freeImages.push(image, cleanLimit: cleanLimit) { return }
    image.release()
  }

  // MARK: Helpers

  private mutating func makeSlot(_ image: PageImage) -> SlotPointer {
    let slot: SlotPointer
    if let free = unsafe freeSlots {
      unsafe slot = free
      unsafe freeSlots = free.pointee.newer
      unsafe freeSlotCount &-= 1
    } else {
      unsafe slot = SlotPointer.allocate(capacity: 1)
    }
    unsafe slot.initialize(to: PageSlot(number: image.number, image: image))
    return unsafe slot
  }

  private mutating func free(_ slot: SlotPointer) {
    unsafe slot.pointee.original?.release()
    unsafe recycle(slot.pointee.image)
    if unsafe freeSlotCount < PageTable.freeSlotCountMax {
      unsafe slot.pointee.newer = freeSlots
      unsafe freeSlots = slot
      unsafe freeSlotCount &+= 1
    } else {
      unsafe slot.deallocate()
    }
  }

  private mutating func bind(_ slot: SlotPointer) {
    if unsafe (count + 1) * 2 > mask + 1 { unsafe grow() }
    unsafe place(slot)
    unsafe count += 1
  }

  private mutating func place(_ slot: SlotPointer) {
    let number = unsafe slot.pointee.number
    var index = unsafe Int((number &* 0x9e37_79b1) &>> shift)
    while unsafe entries[index].number != 0 {
      precondition(unsafe entries[index].number != number)
      index = unsafe (index &+ 1) & mask
    }
    unsafe entries[index] = Entry(number: number, slot: slot)
  }

  private mutating func unbind(_ number: UInt32) {
    var index = unsafe Int((number &* 0x9e37_79b1) &>> shift)
    while unsafe entries[index].number != number {
      precondition(unsafe entries[index].number != 0)
      index = unsafe (index &+ 1) & mask
    }
    // Entries behind the hole that could not lie at their place move up, so that no tombstone is needed.
    var hole = index
    var probe = unsafe (index &+ 1) & mask
    while unsafe entries[probe].number != 0 {
      let home = unsafe Int((entries[probe].number &* 0x9e37_79b1) &>> shift)
      #if PlantedBugs
        if PlantedBug.isActive(.loseEntryBehindHole), home == hole {
          probe = unsafe (probe &+ 1) & mask
          continue
        }
      #endif
      if unsafe ((probe &- home) & mask) >= ((probe &- hole) & mask) {
        unsafe entries[hole] = entries[probe]
        hole = probe
      }
      probe = unsafe (probe &+ 1) & mask
    }
    unsafe entries[hole] = Entry(number: 0, slot: nil)
    unsafe count -= 1
  }

  private mutating func grow() { unsafe rebuild(bits: 33 - shift) }

  /// As few entries as a table that had grown by itself would have.
  private mutating func narrow() {
    var bits = unsafe PageTable.bitsMin
    while unsafe (count + 1) * 2 > 1 << bits { bits += 1 }
    if unsafe bits < 32 - shift { unsafe rebuild(bits: bits) }
  }

  private mutating func rebuild(bits: UInt32) {
    let old = unsafe entries
    let oldCount = unsafe mask + 1
    unsafe entries = PageTable.makeEntries(1 << bits)
    unsafe mask = (1 << bits) - 1
    unsafe shift = 32 - bits
    for index in 0..<oldCount {
      if let slot = unsafe old[index].slot { unsafe place(slot) }
    }
    unsafe old.deallocate()
    unsafe publishLookup()
  }
}

/// A few images that wait for their next use, so that copying a page is not an allocation.
@unsafe
private struct PageImageStack {
  private static let countMax = 64
  /// Linked by `older`, which an image that is in no cache does not use.
  private var top: UnsafeMutablePointer<PageImageHeader>?
  private(set) var count = 0

  mutating func push(_ image: PageImage, cleanLimit: Int) -> Bool {
    guard unsafe count < min(PageImageStack.countMax, max(2, cleanLimit / 8)) else { return false }
    unsafe image.header.pointee.older = top
    unsafe top = image.header
    unsafe count &+= 1
    return true
  }

  mutating func pop() -> PageImage? {
    guard let header = unsafe top else { return nil }
    unsafe top = header.pointee.older
    unsafe header.pointee.older = nil
    unsafe count &-= 1
    return unsafe PageImage(header)
  }

  mutating func removeAll() {
    while let image = unsafe pop() { image.release() }
  }
}
