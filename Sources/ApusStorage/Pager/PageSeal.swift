// Page checksums: a file may carry one in the last eight bytes of each page, which SQLite reserves and leaves alone.
//
//   page 1       4  "aPc1": the file carries checksums         other pages   8  XXH64 of the bytes before, seeded with the
//                4  low half of the XXH64 of all before,                        page number (big-endian)
//                   seeded with 1 (big-endian)
//
// A page that is in the wrong place fails as one with a wrong byte does. Bytes of zeros fail too. The page of the lock bytes has
// no content and no checksum. See SPEC, chapter 3.

import ApusBase

enum PageSeal {
  static let byteCount = 8
  /// "aPc1".
  static let mark: UInt32 = 0x6150_6331

  /// True for the reserved bytes of page 1 of a file with checksums.
  static func isMarked(_ reserved: ByteView) -> Bool { reserved.count >= byteCount && reserved.bigEndianUInt32(at: 0) == mark }

  /// True for page 1 of a file with checksums.
  static func isMarked(pageOne page: ByteView) -> Bool {
    page[DatabaseHeader.reservedOffset] == UInt8(byteCount) && isMarked(page.suffix(from: page.count - byteCount))
  }

  private static func hash(_ bytes: ByteView, _ number: UInt32) -> UInt64 {
    #if PlantedBugs
      if PlantedBug.isActive(.checksumWithoutNumber) { return XXHash64.hash(bytes, seed: number == 1 ? 1 : 0) }
    #endif
    return XXHash64.hash(bytes, seed: UInt64(number))
  }

  static func seal(_ page: MutableByteView, _ number: UInt32) {
    let end = page.count
    if number == 1 {
      page.setBigEndianUInt32(mark, at: end - 8)
      page.setBigEndianUInt32(UInt32(truncatingIfNeeded: hash(page.readable.slice(0, end - 4), 1)), at: end - 4)
    } else {
      page.setBigEndianUInt64(hash(page.readable.slice(0, end - 8), number), at: end - 8)
    }
  }

  static func isSealed(_ page: ByteView, _ number: UInt32) -> Bool {
    let end = page.count
    if number == 1 {
      return page.bigEndianUInt32(at: end - 8) == mark
        && page.bigEndianUInt32(at: end - 4) == UInt32(truncatingIfNeeded: hash(page.slice(0, end - 4), 1))
    }
    return page.bigEndianUInt64(at: end - 8) == hash(page.slice(0, end - 8), number)
  }

  /// Page 1 of a database in memory, whose pages carry none.
  static func clearMark(_ page: MutableByteView) {
    if isMarked(pageOne: page.readable) { page.fill(page.count - byteCount, byteCount) }
  }

  static func fault(_ number: UInt32, _ path: String) -> Fault {
    let what =
      number == 1
      ? "page 1 was written by a program that does not keep page checksums, or is damaged"
      : "the checksum of page \(number) is wrong: the page is damaged, in the wrong place, or was written by a program that does "
        + "not keep page checksums"
    return .error(
      .ioErrorData, object: path, cause: what,
      hint: "PRAGMA page_checksums = ignore reads it all the same; where PRAGMA integrity_check then says ok and the content is "
        + "right, `apus reseal` accepts the file as it is; else restore a backup")
  }
}

extension Pager {
  /// The file carries page checksums, or will when it is made.
  public var hasChecksums: Bool { store?.hasChecksums ?? false }

  /// Wrong checksums are reported; otherwise this connection overlooks them.
  public var verifiesChecksums: Bool {
    get { store?.verifiesChecksums ?? true }
    set { store?.verifiesChecksums = newValue }
  }

  /// For a database that has no page yet.
  /// - Returns: false where it is too late, or the database has no file.
  public func setChecksums(_ isOn: Bool) -> Bool {
    guard let store, !store.isTemporary, state == .none, currentPageCount == 0 else { return false }
    store.hasChecksums = isOn
    configuration.reservedBytes = isOn ? PageSeal.byteCount : 0
    configure(pageSize: configuration.pageSize, reserved: configuration.reservedBytes)
    return true
  }

  /// What is to be written gets its checksums.
  func sealBatch(_ store: FileStore) {
    if !store.hasChecksums { return }
    for image in store.batch { PageSeal.seal(image.mutableBytes, image.number) }
  }

  /// What came from the file or the log.
  @inline(__always)
  func verify(_ image: PageImage, _ store: FileStore) throws(Fault) {
    if store.hasChecksums { try verifySeal(image, store) }
  }

  @inline(never)
  private func verifySeal(_ image: PageImage, _ store: FileStore) throws(Fault) {
    if !store.verifiesChecksums || image.number == lockBytePage { return }
    if !PageSeal.isSealed(image.bytes, image.number) { throw PageSeal.fault(image.number, store.path) }
  }

  /// Gives every page the checksum of what it holds. One transaction; called again after a wait.
  /// - Precondition: this connection overlooks wrong checksums.
  /// - Throws: SQLITE_MISUSE where the file carries no checksums.
  public func resealPages(from next: inout UInt32) throws(Fault) {
    guard let store else { return }
    precondition(!store.verifiesChecksums)
    try beginWrite()
    guard store.hasChecksums else { throw .error(.misuse, object: store.path, cause: "the file carries no page checksums") }
    while next <= currentPageCount {
      if next != lockBytePage {
        try beginWriteOperation(pages: 1)
        _ = writable(try loadedPage(PageNumber(next)))
      }
      next += 1
    }
    try commit()
    endRead()
  }
}
