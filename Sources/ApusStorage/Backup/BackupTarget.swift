// Where a backup goes: a database in memory, or one in a file. The file is written under a rollback journal that holds all of
// what it was, or through its log where it is in WAL mode. Until the commit nobody sees anything of it.

import ApusBase
import ApusIO

/// Takes the pages of one snapshot in any order, some perhaps more than once; the last image counts. What throws may wait and is
/// called again then.
public protocol BackupTarget: AnyObject {
  func begin(pageSize: Int, reserved: Int, hasChecksums: Bool) throws(Fault)
  /// Before each `put`.
  func makeRoom(for number: UInt32) throws(Fault)
  func put(_ image: BackupPage)
  func commit(pageCount: UInt32) throws(Fault)
  /// Gives everything back; what was not committed is undone.
  func close() throws(Fault)
}

/// A committed image of a page, which never changes.
public struct BackupPage: Sendable {
  let image: PageImage

  public var number: UInt32 { image.number }
  public var bytes: ByteView { image.bytes }
}

extension BackupTarget {
  /// Page 1 as the target has it: a counter and a schema cookie that tell its readers that everything is new.
  func stamp(_ one: MutableByteView, pageCount: UInt32, change: UInt32, cookie: UInt32, isWAL: Bool) {
    one.setBigEndianUInt32(change &+ 1, at: DatabaseHeader.changeCounterOffset)
    one.setBigEndianUInt32(change &+ 1, at: DatabaseHeader.versionValidForOffset)
    one.setBigEndianUInt32(pageCount, at: DatabaseHeader.pageCountOffset)
    one.setBigEndianUInt32(cookie &+ 1, at: DatabaseHeader.schemaCookieOffset)
    if isWAL {
      one[DatabaseHeader.writeVersionOffset] = 2
      one[DatabaseHeader.readVersionOffset] = 2
    }
  }
}

/// A database in memory, or in a temporary file: it shares the images of the source.
public final class MemoryBackupTarget: BackupTarget {
  private let pager: Pager
  private var images: [UInt32: PageImage] = [:]
  private var pageSize = 0
  private var reserved = 0
  private var cookie: UInt32 = 0

  /// - Precondition: `pager` has no file of its own.
  public init(_ pager: Pager) {
    precondition(pager.isInMemory || pager.isTemporary)
    self.pager = pager
    pager.isBackupTarget = true
  }

  deinit {
    pager.isBackupTarget = false
    for image in images.values { image.release() }
  }

  public func begin(pageSize: Int, reserved: Int, hasChecksums: Bool) throws(Fault) {
    if pager.isReadOnly { throw .error(.readOnly) }
    if pager.state == .write { throw .error(.busy, cause: "the target's connection is writing") }
    if pager.pageCount > 0, pager.pageSize != pageSize {
      throw .error(
        .readOnly, cause: "its pages have \(pager.pageSize) bytes, those of the source \(pageSize)",
        hint: "take a new database as the target")
    }
    if self.pageSize != pageSize {
      // The source is another database since the last step: nothing of the old one stays.
      for image in images.values { image.release() }
      images = [:]
    }
    self.pageSize = pageSize
    self.reserved = reserved
  }

  public func makeRoom(for number: UInt32) {}

  public func put(_ page: BackupPage) {
    page.image.retain()
    images.updateValue(page.image, forKey: page.number)?.release()
  }

  public func commit(pageCount: UInt32) throws(Fault) {
    if pager.state != .none { throw .error(.busy, cause: "the target's connection uses it") }
    try pager.endConversion()
    if pager.pageCount > 0 {
      try pager.beginRead()
      defer { pager.endRead() }
      cookie = try pager.loadedPage(.one).bytes.bigEndianUInt32(at: DatabaseHeader.schemaCookieOffset)
    }
    let one = PageImage.allocate(1, byteCount: pageSize)
    if let image = images[1] {
      one.mutableBytes.copy(image.bytes, to: 0)
    } else {
      DatabaseHeader.initialize(one.mutableBytes, pageSize: pageSize, reserved: reserved, isWAL: false)
    }
    let change = one.bytes.bigEndianUInt32(at: DatabaseHeader.changeCounterOffset)
    stamp(one.mutableBytes, pageCount: max(pageCount, 1), change: change, cookie: cookie, isWAL: false)
    images.updateValue(one, forKey: 1)?.release()
    // Nobody has a log of it, and its journal mode is not the source's.
    one.mutableBytes[DatabaseHeader.writeVersionOffset] = 1
    one.mutableBytes[DatabaseHeader.readVersionOffset] = 1
    PageSeal.clearMark(one.mutableBytes)
    pager.replaceContents(images, pageCount: max(pageCount, 1), pageSize: pageSize, reserved: reserved)
    images = [:]
  }

  public func close() { pager.isBackupTarget = false }
}

/// A database in a file, through a pager of its own: other connections, those of this process too, see what they would see of
/// another process.
public final class FileBackupTarget: BackupTarget {
  private let pager: Pager
  /// The pager through which the target's connection sees the file.
  private var other: Pager?
  private enum Phase { case opening, journaling, open, finishing, syncing, ending, done, closed }
  private var phase = Phase.opening
  private var pageSize = 0
  private var reserved = 0
  private var hasChecksums = false
  private var cookie: UInt32 = 0
  private var change: UInt32 = 0
  /// Page 1, which is written last.
  private var one: PageImage?
  /// What the header of the new file says, once page 1 is complete.
  private var newStamp: FileStamp?
  // Pages that are collected for one write, and writes in flight.
  private var batch: [PageImage] = []
  private var writes: [RequestGroup] = []
  private var written = PageSet()
  /// The pager goes with this target.
  private let ownsPager: Bool
  /// The pager's journal mode, where a journal on the disk has to take its place meanwhile.
  private var keptMode: JournalMode?

  private static var batchPages: Int { 32 }
  private static var writesMax: Int { 4 }

  /// - Parameter pager: of this target alone; its file need not exist.
  public init(_ pager: Pager) {
    precondition(!pager.isInMemory && !pager.isTemporary)
    self.pager = pager
    ownsPager = true
    // What was answered is there behind a power cut: a journal that comes back would undo it.
    if pager.configuration.synchronous == .full { pager.configuration.synchronous = .extra }
    // A crash must leave what was there.
    if pager.configuration.journalMode == .memory || pager.configuration.journalMode == .off {
      pager.configuration.journalMode = .delete
    }
  }

  /// For a pager that is in a write transaction that has changed nothing: the transaction becomes the replacement. Who gives this
  /// up before the commit rolls the pager back.
  init(replacing pager: Pager) {
    precondition(!pager.isInMemory && !pager.isTemporary && pager.state == .write)
    self.pager = pager
    ownsPager = false
    if pager.configuration.journalMode == .memory || pager.configuration.journalMode == .off {
      keptMode = pager.configuration.journalMode
      pager.configuration.journalMode = .delete
    }
  }

  /// Marks the pager of the target's connection.
  public func hold(_ other: Pager) {
    other.isBackupTarget = true
    self.other = other
  }

  deinit {
    other?.isBackupTarget = false
    one?.release()
    for image in batch { image.release() }
    if let store = pager.store { for group in writes { store.abandon(group) } }
    if let keptMode { pager.configuration.journalMode = keptMode }
    if ownsPager { pager.close() }
  }

  /// The log, where the target is in WAL mode: then it is written as any transaction is.
  private var isLog: Bool { pager.store?.wal != nil }

  public func begin(pageSize: Int, reserved: Int, hasChecksums: Bool) throws(Fault) {
    guard let store = pager.store else { return }
    if phase != .opening, pageSize != self.pageSize || reserved != self.reserved || hasChecksums != self.hasChecksums {
      throw .error(
        .readOnly, object: store.path,
        cause: "the source had pages of \(self.pageSize) bytes when the backup began, and has \(pageSize) now",
        hint: "begin the backup anew")
    }
    if phase == .opening {
      self.pageSize = pageSize
      self.reserved = reserved
      self.hasChecksums = hasChecksums
      if pager.state == .none { _ = pager.setPageSize(pageSize) }
      do { try pager.beginReplacing() } catch {
        if case .failure = error, pager.state == .read { pager.endRead() }
        throw error
      }
      let hasOtherShape =
        pager.pageSize != pageSize || pager.pageSize - pager.usableSize != reserved || pager.hasChecksums != hasChecksums
      if isLog, hasOtherShape {
        try pager.rollback()
        pager.endRead()
        throw .error(
          .readOnly, object: store.path,
          cause: "its pages have \(pager.pageSize) bytes, \(pager.pageSize - pager.usableSize) of them reserved, those of the "
            + "source \(pageSize) and \(reserved), and it is in WAL mode",
          hint: "PRAGMA journal_mode = delete on the target")
      }
      let header = try pager.loadedPage(.one).bytes
      if pager.committedPageCount > 0 {
        cookie = header.bigEndianUInt32(at: DatabaseHeader.schemaCookieOffset)
        change = header.bigEndianUInt32(at: DatabaseHeader.changeCounterOffset)
      }
      phase = isLog ? .open : .journaling
    }
    if phase == .journaling {
      try pager.journalEverything(store)
      phase = .open
    }
  }

  public func makeRoom(for number: UInt32) throws(Fault) {
    guard let store = pager.store else { return }
    if isLog {
      pager.beginOperation()
      return try pager.makeRoom(1)
    }
    if written.contains(number) {
      // Of two images of one page in flight nobody knows which comes last.
      if !batch.isEmpty { writeBatch(store) }
      while let group = writes.first {
        try group.finish(store.queue)
        writes.removeFirst()
      }
      written.remove(number)
    }
    if batch.count < FileBackupTarget.batchPages { return }
    if writes.count >= FileBackupTarget.writesMax {
      try writes[0].finish(store.queue)
      writes.removeFirst()
    }
    writeBatch(store)
  }

  public func put(_ page: BackupPage) {
    if page.number == 1 {
      let copy = PageImage.allocate(1, byteCount: pageSize)
      copy.mutableBytes.copy(page.bytes, to: 0)
      one?.release()
      one = copy
      return
    }
    if isLog { return pager.replacePage(page.number, page.bytes) }
    written.insert(page.number)
    page.image.retain()
    batch.append(page.image)
  }

  private func writeBatch(_ store: FileStore) {
    batch.sort { $0.number < $1.number }
    let group = RequestGroup()
    var position = 0
    while position < batch.count {
      let first = batch[position].number
      var views: [ByteView] = []
      while position < batch.count, batch[position].number == first + UInt32(views.count) {
        group.hold(batch[position])
        views.append(batch[position].bytes)
        batch[position].release()
        position += 1
      }
      group.add(store.queue.write(store.file, at: Int64(first - 1) * Int64(pageSize), from: views))
    }
    batch = []
    store.queue.submit()
    writes.append(group)
  }

  public func commit(pageCount: UInt32) throws(Fault) {
    guard let store = pager.store else { return }
    let pageCount = max(pageCount, 1)
    if phase == .open {
      if one == nil {
        let empty = PageImage.allocate(1, byteCount: pageSize)
        DatabaseHeader.initialize(empty.mutableBytes, pageSize: pageSize, reserved: reserved, isWAL: isLog)
        one = empty
      }
      if let one { stamp(one.mutableBytes, pageCount: pageCount, change: change, cookie: cookie, isWAL: isLog) }
      if isLog {
        if let one { pager.replacePage(1, one.bytes) }
        pager.endPages(at: pageCount)
      } else {
        if let one, PageSeal.isMarked(pageOne: one.bytes) { PageSeal.seal(one.mutableBytes, 1) }
        // Page 1 is not in the batch: nothing that is in flight concerns it.
        if let one {
          batch.append(one)
          newStamp = FileStamp(one.bytes)
        }
        one = nil
        writeBatch(store)
      }
      phase = .finishing
    }
    if isLog {
      try pager.commit()
      pager.endRead()
      phase = .done
      return
    }
    if phase == .finishing {
      while let group = writes.first {
        try group.finish(store.queue)
        writes.removeFirst()
      }
      try pager.cutFile(store, pageCount: pageCount, pageSize: pageSize)
      let group = RequestGroup()
      if pager.configuration.synchronous != .off { group.add(store.queue.sync(store.file, .full)) }
      writes.append(group)
      phase = .syncing
    }
    if phase == .syncing {
      while let group = writes.first {
        try group.finish(store.queue)
        writes.removeFirst()
      }
      phase = .ending
    }
    if phase == .ending {
      // Said before: who drops the statement behind the commit point has committed all the same.
      store.replacedStamp = newStamp
      try pager.endReplacing(store)
      phase = .done
    }
  }

  public func close() throws(Fault) {
    guard let store = pager.store, phase != .closed else { return }
    for group in writes { store.abandon(group) }
    writes = []
    // What is in flight would land in the file behind the rollback.
    store.reap()
    if !store.abandoned.isEmpty, pager.state == .write, !isLog { try pager.settleAbandoned(store) }
    for image in batch { image.release() }
    batch = []
    if pager.state == .write { try pager.rollback() }
    if pager.state == .read { pager.endRead() }
    try pager.shutDown()
    other?.isBackupTarget = false
    phase = .closed
  }
}
