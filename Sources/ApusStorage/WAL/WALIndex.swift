// The wal-index: which frame holds which page, and who reads up to where. It lies in memory that all processes share
// (`-shm`) and is rebuilt from the log where it cannot be trusted. Source: https://sqlite.org/walformat.html
//
//   offset   size  first region (32 KiB, native byte order)          header copy
//        0     48  header                                              0  version 3007000
//       48     48  header again                                        8  change counter of the log
//       96      4  frames copied to the database (nBackfill)          12  1 when initialised
//      100     20  read marks 0 to 4                                  13  1 for big-endian checksums
//      120      8  lock bytes                                         14  page size, 1 meaning 65536 (16 bits)
//      128      4  frames whose copying was tried                     16  last committed frame
//      136  16248  page numbers of frames 1 to 4062                   20  pages in the database
//    16384  16384  hash table: 8192 16-bit positions                  24  checksum of the last committed frame
//                                                                     32  salts, bytes as in the log
// Later regions: 4096 page numbers, then the hash table.              40  checksum of the 40 bytes before

import ApusBase
import ApusIO

struct WALIndexHeader: Equatable {
  static let byteCount = 48
  /// No log is that long; what says so is damaged.
  private static let frameCountMax: UInt32 = 0x7fff_ffff

  var change: UInt32 = 0
  var isBigEndian = false
  var pageSize = 0
  /// The last committed frame.
  var frameCount: UInt32 = 0
  /// Pages in the database after that frame; 0 where the log is empty.
  var pageCount: UInt32 = 0
  var checksum = WALChecksum()
  var salts: UInt64 = 0

  init() {}

  /// nil where the copy is not initialised, of another version or damaged.
  init?(_ view: ByteView) {
    guard view.littleEndianUInt32(at: 0) == WALFormat.version, view[12] != 0 else { return nil }
    var sum = WALChecksum()
    sum.add(view.slice(0, 40), isBigEndian: false)
    guard sum.first == view.littleEndianUInt32(at: 40), sum.second == view.littleEndianUInt32(at: 44) else {
      return nil
    }
    change = view.littleEndianUInt32(at: 8)
    isBigEndian = view[13] != 0
    let size = Int(view[14]) | Int(view[15]) << 8
    pageSize = size == 1 ? 65536 : size
    frameCount = view.littleEndianUInt32(at: 16)
    if frameCount > WALIndexHeader.frameCountMax { return nil }
    pageCount = view.littleEndianUInt32(at: 20)
    checksum = WALChecksum(first: view.littleEndianUInt32(at: 24), second: view.littleEndianUInt32(at: 28))
    salts = view.bigEndianUInt64(at: 32)
  }

  func write(_ view: MutableByteView) {
    view.setLittleEndianUInt32(WALFormat.version, at: 0)
    view.setLittleEndianUInt32(0, at: 4)
    view.setLittleEndianUInt32(change, at: 8)
    view[12] = 1
    view[13] = isBigEndian ? 1 : 0
    let size = pageSize == 65536 ? 1 : pageSize
    view[14] = UInt8(size & 0xff)
    view[15] = UInt8(size >> 8)
    view.setLittleEndianUInt32(frameCount, at: 16)
    view.setLittleEndianUInt32(pageCount, at: 20)
    view.setLittleEndianUInt32(checksum.first, at: 24)
    view.setLittleEndianUInt32(checksum.second, at: 28)
    view.setBigEndianUInt64(salts, at: 32)
    var sum = WALChecksum()
    sum.add(view.readable.slice(0, 40), isBigEndian: false)
    view.setLittleEndianUInt32(sum.first, at: 40)
    view.setLittleEndianUInt32(sum.second, at: 44)
  }
}

/// The bytes of a header's copy as they were at one look, to be compared with another.
private struct WALIndexHeaderWords: Equatable {
  private let words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

  init(_ view: ByteView) {
    func word(_ index: Int) -> UInt64 { view.bigEndianUInt64(at: index * 8) }
    words = (word(0), word(1), word(2), word(3), word(4), word(5))
  }

  static func == (left: Self, right: Self) -> Bool { left.words == right.words }
}

final class WALIndex {
  static let writeSlot = 0
  static let checkpointSlot = 1
  static let recoverSlot = 2
  static let readMarkCount = 5
  static func readSlot(_ mark: Int) -> Int { 3 + mark }
  static let markUnused: UInt32 = 0xffff_ffff

  private static let backfillOffset = 96
  private static let readMarkOffset = 100
  private static let backfillAttemptedOffset = 128
  private static let firstPagesOffset = 136
  private static let hashOffset = 16384

  #if PlantedBugs
    private let firstPageCount: UInt32
    private let pageCountPerRegion: UInt32
    private let hashSlotCount: UInt32
  #else
    private var firstPageCount: UInt32 { 4062 }
    private var pageCountPerRegion: UInt32 { 4096 }
    private var hashSlotCount: UInt32 { 8192 }
  #endif

  let memory: any SharedMemory
  private var regions: [MutableByteView] = []

  #if PlantedBugs
    /// With a small limit everything stays in its place; less of it is used.
    init(_ memory: any SharedMemory, _ limits: SmallLimits = SmallLimits()) {
      self.memory = memory
      pageCountPerRegion = limits.regionFrameCount ?? 4096
      firstPageCount = limits.regionFrameCount.map { $0 - 2 } ?? 4062
      hashSlotCount = 2 * pageCountPerRegion
    }
  #else
    init(_ memory: any SharedMemory) { self.memory = memory }
  #endif

  private func region(_ index: Int) throws(Fault) -> MutableByteView {
    while regions.count <= index {
      let (memory, next) = (self.memory, regions.count)
      let view = try faulting { () throws(EngineError) in try memory.region(next, extend: true) }
      guard let view else { throw .error(.ioErrorSharedMemoryMap) }
      regions.append(view)
    }
    return regions[index]
  }

  /// A region that is there because frames in it are committed.
  private func knownRegion(_ index: Int) throws(Fault) -> ByteView {
    if index < regions.count { return regions[index].readable }
    let memory = self.memory
    guard try faulting({ () throws(EngineError) in try memory.region(index, extend: false) }) != nil else {
      throw .error(.corrupt, cause: "the wal-index is shorter than its header says")
    }
    return try region(index).readable
  }

  // MARK: Header

  /// The published header; nil where the two copies differ or are not valid.
  func readHeader() throws(Fault) -> WALIndexHeader? {
    let view = try region(0).readable
    let first = WALIndexHeaderWords(view.slice(0, WALIndexHeader.byteCount))
    memory.barrier()
    let second = view.slice(WALIndexHeader.byteCount, WALIndexHeader.byteCount)
    if WALIndexHeaderWords(second) != first { return nil }
    guard let header = WALIndexHeader(second) else { return nil }
    // What was parsed must be what was compared.
    memory.barrier()
    return WALIndexHeaderWords(second) == first ? header : nil
  }

  /// Publishes a header: the second copy first, so that readers (first copy first) never take a mixture.
  func writeHeader(_ header: WALIndexHeader) throws(Fault) {
    let view = try region(0)
    header.write(view.slice(WALIndexHeader.byteCount, WALIndexHeader.byteCount))
    memory.barrier()
    header.write(view.slice(0, WALIndexHeader.byteCount))
  }

  var backfill: UInt32 {
    get throws(Fault) { try region(0).readable.littleEndianUInt32(at: WALIndex.backfillOffset) }
  }

  func setBackfill(_ frame: UInt32) throws(Fault) {
    try region(0).setLittleEndianUInt32(frame, at: WALIndex.backfillOffset)
  }

  func setBackfillAttempted(_ frame: UInt32) throws(Fault) {
    try region(0).setLittleEndianUInt32(frame, at: WALIndex.backfillAttemptedOffset)
  }

  func readMark(_ mark: Int) throws(Fault) -> UInt32 {
    try region(0).readable.littleEndianUInt32(at: WALIndex.readMarkOffset + 4 * mark)
  }

  func setReadMark(_ mark: Int, _ frame: UInt32) throws(Fault) {
    try region(0).setLittleEndianUInt32(frame, at: WALIndex.readMarkOffset + 4 * mark)
  }

  // MARK: Frames

  private func regionIndex(_ frame: UInt32) -> Int {
    Int((frame + pageCountPerRegion - firstPageCount - 1) / pageCountPerRegion)
  }

  /// The frame before the first one of a region, and where its page numbers lie.
  private func layout(_ index: Int) -> (before: UInt32, pages: Int) {
    index == 0
      ? (0, WALIndex.firstPagesOffset)
      : (firstPageCount + UInt32(index - 1) * pageCountPerRegion, 0)
  }

  private func hash(_ page: UInt32) -> UInt32 { (page &* 383) & (hashSlotCount - 1) }

  private static func hashSlot(_ view: ByteView, _ slot: UInt32) -> UInt32 {
    let offset = hashOffset + 2 * Int(slot)
    return UInt32(view[offset]) | UInt32(view[offset + 1]) << 8
  }

  /// The newest frame up to `limit` that holds the page; 0 where none does.
  func find(_ page: UInt32, limit: UInt32) throws(Fault) -> UInt32 {
    if limit == 0 { return 0 }
    var index = regionIndex(limit)
    while index >= 0 {
      let view = try knownRegion(index)
      let (before, pages) = layout(index)
      var slot = hash(page)
      var found: UInt32 = 0
      var probes: UInt32 = 0
      while true {
        let position = WALIndex.hashSlot(view, slot)
        if position == 0 { break }
        let frame = before + position
        if frame <= limit && position <= pageCountPerRegion
          && view.littleEndianUInt32(at: pages + 4 * Int(position - 1)) == page
        {
          found = max(found, frame)
        }
        slot = (slot + 1) & (hashSlotCount - 1)
        probes += 1
        if probes > hashSlotCount { throw .error(.corrupt, cause: "the wal-index has a full hash table") }
      }
      if found != 0 { return found }
      #if PlantedBugs
        if PlantedBug.isActive(.findInNewestRegion) { return 0 }
      #endif
      index -= 1
    }
    return 0
  }

  /// The page that a frame holds.
  func page(ofFrame frame: UInt32) throws(Fault) -> UInt32 {
    let index = regionIndex(frame)
    let (before, pages) = layout(index)
    return try region(index).readable.littleEndianUInt32(at: pages + 4 * Int(frame - before - 1))
  }

  /// Makes the regions for frames up to `frame`, so that `append` does not fail.
  func reserve(_ frame: UInt32) throws(Fault) { _ = try region(regionIndex(max(frame, 1))) }

  func append(_ frame: UInt32, page: UInt32) throws(Fault) {
    let index = regionIndex(frame)
    let view = try region(index)
    let (before, pages) = layout(index)
    let position = frame - before
    if position == 1 { view.fill(pages, WALIndex.hashOffset - pages + 2 * Int(hashSlotCount)) }
    // What a writer left that rolled back or died goes first.
    if view.readable.littleEndianUInt32(at: pages + 4 * Int(position - 1)) != 0 { try truncate(to: frame - 1) }
    var slot = hash(page)
    var probes: UInt32 = 0
    while WALIndex.hashSlot(view.readable, slot) != 0 {
      slot = (slot + 1) & (hashSlotCount - 1)
      probes += 1
      if probes > hashSlotCount { throw .error(.corrupt, cause: "the wal-index has a full hash table") }
    }
    view.setLittleEndianUInt32(page, at: pages + 4 * Int(position - 1))
    view[WALIndex.hashOffset + 2 * Int(slot)] = UInt8(position & 0xff)
    view[WALIndex.hashOffset + 2 * Int(slot) + 1] = UInt8(position >> 8)
  }

  /// Forgets the frames behind `frame` in its region; later regions are cleared when their first frame is appended.
  func truncate(to frame: UInt32) throws(Fault) {
    if frame == 0 { return }
    let index = regionIndex(frame)
    let view = try region(index)
    let (before, pages) = layout(index)
    let limit = frame - before
    for slot in 0..<hashSlotCount where WALIndex.hashSlot(view.readable, slot) > limit {
      view[WALIndex.hashOffset + 2 * Int(slot)] = 0
      view[WALIndex.hashOffset + 2 * Int(slot) + 1] = 0
    }
    let kept = pages + 4 * Int(limit)
    view.fill(kept, WALIndex.hashOffset - kept)
  }

  /// What a recovery has found, the page of each frame from the first on. Connections that read by the index meanwhile find their
  /// frames at any moment: of what is as it should be no word is touched, and what is not is of no frame that anybody reads.
  func replaceFrames(by pages: ArraySlice<UInt32>) throws(Fault) {
    var first = pages.startIndex
    var index = 0
    while first < pages.endIndex {
      let (before, offset) = layout(index)
      let capacity = Int(index == 0 ? firstPageCount : pageCountPerRegion)
      precondition(first - pages.startIndex == Int(before))
      let end = min(first + capacity, pages.endIndex)
      try replaceRegion(index, offset, capacity, by: pages[first..<end])
      first = end
      index += 1
    }
  }

  private func replaceRegion(_ index: Int, _ offset: Int, _ capacity: Int, by pages: ArraySlice<UInt32>) throws(Fault) {
    let view = try region(index)
    var slots = [UInt16](repeating: 0, count: Int(hashSlotCount))
    // Half of the slots at most are taken: each search ends.
    for (position, page) in pages.enumerated() {
      var slot = hash(page)
      while slots[Int(slot)] != 0 { slot = (slot + 1) & (hashSlotCount - 1) }
      slots[Int(slot)] = UInt16(position + 1)
    }
    for position in 0..<capacity {
      let page = position < pages.count ? pages[pages.startIndex + position] : 0
      view.replaceWord(page, at: offset + 4 * position)
    }
    memory.barrier()
    for pair in 0..<slots.count / 2 {
      view.replaceWord(UInt32(slots[2 * pair]) | UInt32(slots[2 * pair + 1]) << 16, at: WALIndex.hashOffset + 4 * pair)
    }
  }
}

extension MutableByteView {
  fileprivate func replaceWord(_ value: UInt32, at offset: Int) {
    if readable.littleEndianUInt32(at: offset) != value { setLittleEndianUInt32(value, at: offset) }
  }
}
