// A database's content as a whole: copied out page by page, replaced at once. For backups and for databases made of bytes.
// `unsafe` lives here: it walks slots and takes images out of them.

import ApusBase
import ApusIO

extension Pager {
  /// The image behind a page, whole, reserved bytes included. A committed one never changes.
  func image(of page: Page) -> BackupPage { unsafe BackupPage(image: page.slot.pointee.image) }

  /// Whoever copies this database hears of the pages that the transaction changes; before they count as committed.
  func noteChanges() {
    if recorders.isEmpty { return }
    var slot = unsafe table.pointee.dirty.oldest
    while let current = unsafe slot {
      for recorder in recorders { recorder.changed.insert(unsafe current.pointee.number) }
      unsafe slot = current.pointee.newer
    }
    let recorders = self.recorders
    store?.spilledPages.forEach { number in for recorder in recorders { recorder.changed.insert(number) } }
  }

  /// Somebody copies this database.
  public var isInBackup: Bool { !recorders.isEmpty }

  /// The path of the database's file; nil for one in memory or without a name.
  public var filePath: String? { store.flatMap { $0.isTemporary ? nil : $0.path } }

  // MARK: Databases without a file of their own

  /// Another database in place of this one. The references of the images are taken over.
  /// - Precondition: no snapshot is open, no conversion is under way, and the database has no named file.
  func replaceContents(_ images: [UInt32: PageImage], pageCount: UInt32, pageSize: Int, reserved: Int) {
    precondition(state == .none && conversion == nil)
    cursors.forgetPaths()
    if let store {
      precondition(store.isTemporary)
      release(store)
      self.store = nil
      unsafe table.pointee.cleanLimit = .max
    }
    unsafe table.pointee.removeAll()
    configuration.pageSize = pageSize
    configuration.reservedBytes = reserved
    configure(pageSize: pageSize, reserved: reserved)
    for image in images.values {
      if image.number > pageCount {
        image.release()
      } else {
        _ = unsafe table.pointee.insertClean(image)
      }
    }
    currentPageCount = pageCount
    committedPageCount = pageCount
    dataVersion += 1
    for recorder in recorders { recorder.isVoid = true }
  }

  /// A database in memory whose pages are those of `contents`, the bytes of a database file. Bytes that are none fail at the
  /// first use with SQLITE_NOTADB, as a file would.
  public static func memory(
    environment: any Environment, contents: ByteView, configuration: Configuration = Configuration()
  ) -> Pager {
    let pager = memory(environment: environment, configuration: configuration)
    if contents.count == 0 { return pager }
    guard let shape = DatabaseShape(contents) else {
      pager.brokenContents = EngineError(.notADatabase)
      return pager
    }
    let whole = contents.count / shape.pageSize
    guard whole > 0, shape.countedPages.map({ $0 <= UInt32(clamping: whole) }) ?? true else {
      pager.brokenContents = EngineError(.corrupt, cause: "the bytes are fewer than the header says")
      return pager
    }
    let pageCount = shape.countedPages ?? UInt32(clamping: whole)
    var images: [UInt32: PageImage] = [:]
    images.reserveCapacity(Int(pageCount))
    for number in 1...pageCount {
      let image = PageImage.allocate(number, byteCount: shape.pageSize)
      image.mutableBytes.copy(contents.slice(Int(number - 1) * shape.pageSize, shape.pageSize), to: 0)
      if number == 1 { PageSeal.clearMark(image.mutableBytes) }
      images[number] = image
    }
    pager.replaceContents(images, pageCount: pageCount, pageSize: shape.pageSize, reserved: shape.reserved)
    return pager
  }

  // MARK: Files

  /// The right to replace everything: nobody else reads the file, or nobody else writes to its log.
  func beginReplacing() throws(Fault) {
    try beginWrite(exclusive: true)
    // Pages come as they are, whatever was here before: with a pointer map of their own, or without one and with free pages.
    usesPointerMap = false
  }

  /// Puts every page that the file has into the journal, and makes it safe: from then on the file may be overwritten.
  func journalEverything(_ store: FileStore) throws(Fault) {
    store.replacesFile = true
    try flush(store, isCommit: false)
  }

  /// A page of another database in place of this one's.
  func replacePage(_ number: UInt32, _ bytes: ByteView) {
    currentPageCount = max(currentPageCount, number)
    _ = blankPage(number)
    guard let slot = unsafe table.pointee.findLoaded(number) else { preconditionFailure("the page was just made") }
    unsafe slot.pointee.image.mutableBytes.copy(bytes, to: 0)
  }

  /// The database ends behind this page.
  func endPages(at pageCount: UInt32) { currentPageCount = pageCount }

  func cutFile(_ store: FileStore, pageCount: UInt32, pageSize: Int) throws(Fault) {
    let (file, size) = (store.file, Int64(pageCount) * Int64(pageSize))
    try faulting { () throws(EngineError) in
      if try file.size() > size { try file.truncate(to: size) }
    }
  }

  /// The end of the journal, which is the commit, and of the transaction. The next snapshot looks at the file anew.
  func endReplacing(_ store: FileStore) throws(Fault) {
    if !store.isCommitPrepared {
      // A log that somebody left beside the file would be taken for the new database's.
      let (environment, path) = (store.environment, store.logPath)
      try faulting { () throws(EngineError) in
        if try environment.exists(path) { try environment.delete(path) }
      }
      store.isCommitPrepared = true
      store.flush = .finalize
    }
    do {
      try flush(store, isCommit: true)
    } catch {
      if case .failure(let failure) = error { store.poison = store.poison ?? failure }
      throw error
    }
    while let slot = unsafe table.pointee.dirty.oldest { unsafe table.pointee.detach(slot) }
    dropCleanPages()
    store.stamp = nil
    store.replacesFile = false
    endWrite()
    endRead()
  }

  /// Waits until requests that were given up have ended.
  func settleAbandoned(_ store: FileStore) throws(Fault) {
    while let group = store.abandoned.first {
      try settle(group, store)
      store.abandoned.removeFirst()
    }
  }
}

/// What the header of a database file says of its pages.
struct DatabaseShape {
  var pageSize: Int
  var reserved: Int
  /// nil where the header's count is not to be believed.
  var countedPages: UInt32?

  /// nil where the bytes are no database's.
  init?(_ header: ByteView) {
    guard header.count >= DatabaseHeader.byteCount, DatabaseHeader.hasMagic(header) else { return nil }
    let raw = header.bigEndianUInt16(at: DatabaseHeader.pageSizeOffset)
    pageSize = raw == 1 ? 65536 : raw
    reserved = Int(header[DatabaseHeader.reservedOffset])
    guard DatabaseHeader.isPageSize(pageSize), pageSize - reserved >= 480 else { return nil }
    let counted = header.bigEndianUInt32(at: DatabaseHeader.pageCountOffset)
    let change = header.bigEndianUInt32(at: DatabaseHeader.changeCounterOffset)
    if counted > 0, change == header.bigEndianUInt32(at: DatabaseHeader.versionValidForOffset) { countedPages = counted }
  }
}
