// Pages: looked up, loaded, copied before they change, pinned. `unsafe` lives here.

import ApusBase
import ApusIO

extension Pager {
  /// The page as this connection sees it now. Valid until `beginOperation`, longer where pinned.
  /// - Throws: `.wait` while it is read; SQLITE_CORRUPT where the database has no such page.
  @inline(__always)
  public func page(_ number: PageNumber) throws(Fault) -> Page {
    if let slot = unsafe table.pointee.find(number.rawValue) {
      if unsafe !slot.pointee.wasVisited { unsafe slot.pointee.wasVisited = true }
      return unsafe Page(slot, byteCount: table.pointee.usableSize, isWritable: false)
    }
    return try missingPage(number)
  }

  /// The same for a b-tree.
  /// - Parameter isKeyed: what a concurrent transaction learns from the page is told by keys.
  @inline(__always)
  func page(_ number: PageNumber, isKeyed: Bool) throws(Fault) -> Page {
    if let slot = unsafe table.pointee.find(number.rawValue) {
      if unsafe !slot.pointee.wasVisited { unsafe slot.pointee.wasVisited = true }
      return unsafe Page(slot, byteCount: table.pointee.usableSize, isWritable: false)
    }
    return try missingPage(number, isKeyed: isKeyed, isPlain: true)
  }

  @inline(never)
  private func missingPage(_ number: PageNumber, isKeyed: Bool = false, isPlain: Bool = false) throws(Fault) -> Page {
    precondition(state != .none)
    if unsafe !table.pointee.hidesHits { return try absentPage(number) }
    if faultInjection != nil { try injectFault(at: number.rawValue) }
    // Page 1 has much that most results do not depend on: who reads it says so (`noteHeaderRead`).
    if number != .one { noteLook(at: number.rawValue, isKeyed: isKeyed, isPlain: isPlain) }
    return try loadedPage(number)
  }

  /// The same without fault injection: for what `beginWriteOperation` has loaded.
  func loadedPage(_ number: PageNumber) throws(Fault) -> Page {
    if let slot = unsafe table.pointee.findLoaded(number.rawValue) {
      unsafe slot.pointee.wasVisited = true
      return unsafe Page(slot, byteCount: usableSize, isWritable: false)
    }
    return try absentPage(number)
  }

  /// A page that the table does not have.
  @inline(__always)
  private func absentPage(_ number: PageNumber) throws(Fault) -> Page {
    if number.isNone || number.rawValue > currentPageCount {
      if number == .one && currentPageCount == 0 { return pageOneOfEmptyDatabase() }
      throw .corrupt(number, "the database has no such page")
    }
    return try loadPage(number)
  }

  /// A file of no bytes reads as a database with an empty schema; the first write makes it so.
  private func pageOneOfEmptyDatabase() -> Page {
    let image = PageImage.allocate(1, byteCount: pageSize)
    DatabaseHeader.initialize(
      image.mutableBytes, pageSize: pageSize, reserved: pageSize - usableSize,
      isWAL: false)
    return unsafe Page(table.pointee.insertClean(image), byteCount: usableSize, isWritable: false)
  }

  /// True where the page is in this connection's table.
  func isLoaded(_ number: PageNumber) -> Bool { unsafe table.pointee.findLoaded(number.rawValue) != nil }

  // MARK: Operations

  /// Starts an operation: images that only the previous one held may go.
  @inline(__always)
  public func beginOperation() {
    if unsafe table.pointee.needsTrim { unsafe table.pointee.trim() }
  }

  /// Starts an operation that will make up to `pages` pages private, `allocate` and `free` included.
  @inline(__always)
  public func beginWriteOperation(pages: Int) throws(Fault) {
    beginOperation()
    if unsafe table.pointee.dirty.count &+ pages <= table.pointee.dirtyRoom, let one = unsafe table.pointee.find(1) {
      // Without a freelist, page 1 is all that an operation needs.
      let bytes = unsafe ByteView(unchecked: UnsafeRawPointer(one.pointee.image.base), count: table.pointee.usableSize)
      if bytes.bigEndianUInt32(at: DatabaseHeader.freelistCountOffset) == 0 { return }
    }
    try prepareWriteOperation(pages)
  }

  @inline(never)
  private func prepareWriteOperation(_ pages: Int) throws(Fault) {
    // A COMMIT that was dropped behind its commit point has ended the transaction.
    guard state == .write else { throw .error(.abort, cause: "the write transaction has ended") }
    if let store, store.isCommitPrepared { try abandonCommit(store) }
    // What a dropped COMMIT or PRAGMA was about.
    if freePool != nil { try putBackFreePages() }
    try makeRoom(pages)
    #if PlantedBugs
      if environment.fires(.evictCleanPages), !isStepSlow { _ = unsafe table.pointee.shrink(dropsClean: store != nil) }
    #endif
    if usesPointerMap { try writeManyPointerEdits() }
    try loadFreelist(pages: pages)
    unsafe table.pointee.dirtyRoom = dirtyRoom
  }

  /// The next write operation looks whether there is something to do first.
  func endDirtyRoom() { unsafe table.pointee.dirtyRoom = 0 }

  // MARK: Change

  /// The page's private image. A committed image is copied first; a private one is copied again where a cursor has it
  /// pinned or an open savepoint still needs it.
  public func writable(_ page: Page) -> Page {
    precondition(state == .write)
    var slot = unsafe page.slot
    if unsafe slot.pointee.flags.contains(.detached) {
      guard let current = unsafe table.pointee.findLoaded(page.numberValue) else {
        preconditionFailure("the page was evicted within its operation")
      }
      unsafe slot = unsafe current
    }
    return unsafe Page(privateSlot(slot), byteCount: usableSize, isWritable: true)
  }

  /// True where another image has taken this one's place since it was looked up.
  @inline(__always)
  func isSuperseded(_ page: Page) -> Bool { unsafe page.slot.pointee.flags.contains(.detached) }

  /// The page for writing, where its image is private already, nobody but the caller has it pinned, once, and no savepoint
  /// or commit is concerned: what appending a row after another comes to. Needs no `beginWriteOperation`.
  @inline(__always)
  func writableInPlace(_ page: Page) -> Page? {
    let slot = unsafe page.slot
    guard unsafe slot.pointee.flags == .dirty, unsafe slot.pointee.pins == 1,
      unsafe slot.pointee.stamp >= table.pointee.serialInForce, unsafe slot.pointee.image.isUnique
    else { return nil }
    return unsafe Page(slot, byteCount: table.pointee.usableSize, isWritable: true)
  }

  private func privateSlot(_ slot: SlotPointer) -> SlotPointer {
    #if PlantedBugs
      noteChangeOfPage()
    #endif
    let isPrivate = unsafe slot.pointee.flags.contains(.dirty)
    let isSaved = unsafe slot.pointee.stamp >= savepointSerialInForce
    let isSpilled = unsafe slot.pointee.flags.contains(.spilled)
    // An image that somebody else holds (an undo entry, a spill under way) stays as it is.
    if unsafe isPrivate && isSaved && slot.pointee.pins == 0 && slot.pointee.image.isUnique {
      if isSpilled { unsafe table.pointee.markUnspilled(slot) }
      return unsafe slot
    }
    let number = unsafe slot.pointee.number
    let image = unsafe table.pointee.makeImage(number)
    unsafe image.base.copyMemory(from: slot.pointee.image.base, byteCount: pageSize)
    if unsafe isPrivate && !isSpilled && slot.pointee.pins == 0 && slot.pointee.image.isUnique {
      // Only the savepoint needs what was there: it takes the copy.
      remember(number, copy: image)
      unsafe slot.pointee.stamp = savepointSerialInForce
      return unsafe slot
    }
    var original: PageImage?
    if isPrivate {
      original = unsafe slot.pointee.original
      unsafe slot.pointee.original = nil
      // A frame before the savepoint is as good as the image.
      if !isSaved { unsafe remember(number, privateImage: isSpilled && isInLog ? nil : slot.pointee.image) }
    } else {
      if keepsOriginals {
        original = unsafe slot.pointee.image
        original?.retain()
      }
      if !savepoints.isEmpty { remember(number, privateImage: nil) }
    }
    unsafe table.pointee.detach(slot)
    return unsafe table.pointee.insertDirty(image, original: original, stamp: savepointSerialInForce)
  }

  private var isInLog: Bool { store?.wal != nil }

  /// True where the committed image below a private one stays at hand: it is the only one there is, or goes into the journal
  /// soon. A larger transaction reads it from the file again, which nobody changes before the journal is safe.
  private var keepsOriginals: Bool {
    guard let store else { return true }
    return unsafe store.wal == nil && table.pointee.dirty.count < min(Pager.keptOriginalsMax, dirtyLimit / 2)
  }

  private static var keptOriginalsMax: Int { 64 }

  /// A private, zeroed image of a page whose content does not matter: a free page, or one behind the file's end.
  func blankPage(_ number: UInt32) -> Page {
    let slot: SlotPointer
    if let old = unsafe table.pointee.findLoaded(number) {
      unsafe slot = privateSlot(old)
    } else {
      let image = unsafe table.pointee.makeImage(number)
      if !savepoints.isEmpty { remember(number, privateImage: nil) }
      unsafe slot = table.pointee.insertDirty(image, original: nil, stamp: savepointSerialInForce)
    }
    unsafe slot.pointee.image.mutableBytes.fill(0, pageSize)
    return unsafe Page(slot, byteCount: usableSize, isWritable: true)
  }

  /// Freeing a page, or cutting it off the end, changes no byte of it, but the page may be used again: a savepoint needs its
  /// private image. What was spilled lies in the file alone, where the next content overwrites it; what was committed goes from
  /// there with the file's end, when a COMMIT is dropped behind that.
  func keepForUndo(_ number: UInt32) {
    if let slot = unsafe table.pointee.findLoaded(number), unsafe slot.pointee.flags.contains(.dirty) {
      _ = unsafe writable(Page(slot, byteCount: usableSize, isWritable: false))
    } else if let store, store.wal == nil, !savepoints.isEmpty, number <= committedPageCount,
      !store.spilledPages.contains(number)
    {
      remember(number, privateImage: nil)
    }
  }

  /// Another state of the file: nothing that is in memory counts.
  func dropCleanPages() { unsafe table.pointee.dropClean() }

  // MARK: Pins

  @inline(__always)
  public func pin(_ page: Page) { unsafe page.slot.pointee.pins &+= 1 }

  @inline(__always)
  public func unpin(_ page: Page) {
    precondition(unsafe page.slot.pointee.pins > 0)
    unsafe page.slot.pointee.pins &-= 1
  }

  /// Slots that somebody pins; zero when no cursor is open.
  public var pinnedPageCount: Int { unsafe table.pointee.pinnedCount }

  // MARK: Header fields

  /// The header's 32-bit value number `index`: 0 the freelist's length, 1 the schema cookie, 15 the last (offset 96).
  public func meta(_ index: Int) throws(Fault) -> UInt32 {
    precondition(index >= 0 && index <= 15)
    return try page(.one).bytes.bigEndianUInt32(at: 36 + 4 * index)
  }

  /// The file's header was looked at when it was opened; a log may hold a later one, which whoever reads the catalog asks about.
  /// - Throws: SQLITE_NOTADB where page 1 of the snapshot is no page 1.
  public func checkHeader() throws(Fault) {
    if !DatabaseHeader.isSound(try page(.one).bytes) { throw .error(.notADatabase, object: filePath ?? "") }
  }

  public func setMeta(_ index: Int, _ value: UInt32) throws(Fault) {
    precondition(index >= 1 && index <= 15)
    // A COMMIT that was dropped holds page 1 as it was.
    guard state == .write else { throw .error(.abort, cause: "the write transaction has ended") }
    if let store, store.isCommitPrepared { try abandonCommit(store) }
    let one = try page(.one)
    noteUnkeyedChange()
    writable(one).mutableBytes.setBigEndianUInt32(value, at: 36 + 4 * index)
  }
}
