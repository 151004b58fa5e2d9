// Makes the bytes of a database believable again after they have changed: what every reader looks at first is right, so that the
// change is found deep inside. Each part is left broken now and then.

import ApusBase

struct DatabaseRepair {
  private var bytes: [UInt8]
  private var random: SeededRandom
  private var pageSize = 512

  static func repair(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
    var repair = DatabaseRepair(bytes: bytes, random: random)
    repair.run()
    bytes = repair.bytes
    random = repair.random
  }

  private init(bytes: [UInt8], random: SeededRandom) {
    self.bytes = bytes
    self.random = random
  }

  /// Each repair is left out once in this many times.
  private static let omission = 12
  private mutating func isDue() -> Bool { !random.oneIn(Self.omission) }

  private mutating func run() {
    guard bytes.count >= 100 else { return }
    if isDue() { bytes.replaceSubrange(0..<16, with: Array("SQLite format 3".utf8) + [0]) }
    var size = word16(16) == 1 ? 65536 : word16(16)
    if isDue(), size < 512 || size & (size - 1) != 0 {
      size = 512 << random.below(4)
      put16(16, size & 0xffff)
    }
    pageSize = max(512, min(size, 65536))
    if isDue() {
      // The versions of the format: 1 with a rollback journal, 2 with a log.
      for place in 18...19 where bytes[place] == 0 || bytes[place] > 2 { bytes[place] = 1 }
      if bytes[19] != bytes[18] { bytes[19] = bytes[18] }
      if bytes[20] > 32 { bytes[20] = random.oneIn(2) ? 0 : 8 }
      bytes.replaceSubrange(21..<24, with: [64, 32, 32])
      if word32(44) > 4 || word32(44) == 0 { put32(44, 4) }
      if word32(56) > 3 || word32(56) == 0 { put32(56, 1) }
    }
    if isDue(), bytes.count % pageSize != 0 {
      let whole = (bytes.count + pageSize / 2) / pageSize * pageSize
      if whole <= bytes.count {
        bytes.removeSubrange(whole...)
      } else {
        bytes += [UInt8](repeating: 0, count: whole - bytes.count)
      }
    }
    if isDue() {
      put32(28, bytes.count / pageSize)
      put32(92, word32(24))
    }
    for page in 0..<bytes.count / pageSize where isDue() { repairPage(page) }
    if isDue() { repairFreelist() }
    sealPages()
  }

  /// The cell pointers of a B-tree page point into it, and its content begins where the first cell does.
  private mutating func repairPage(_ page: Int) {
    let start = page * pageSize, header = start + (page == 0 ? 100 : 0)
    let isInner = [2, 5].contains(bytes[header])
    guard isInner || [10, 13].contains(bytes[header]) else { return }
    let pointers = header + (isInner ? 12 : 8)
    let roomForCells = (start + pageSize - pointers) / 6
    var count = word16(header + 3)
    if count > roomForCells {
      count = random.below(roomForCells + 1)
      put16(header + 3, count)
    }
    let contentMin = pointers - start + 2 * count
    var content = pageSize
    for index in 0..<count {
      var place = word16(pointers + 2 * index)
      if place < contentMin || place > pageSize - 4 {
        place = contentMin + random.below(max(1, pageSize - 4 - contentMin))
        put16(pointers + 2 * index, place)
      }
      content = min(content, place)
    }
    if word16(header + 5) > content { put16(header + 5, content & 0xffff) }
    if isInner {
      let pageCount = bytes.count / pageSize
      repairChild(header + 8, pageCount)
      for index in 0..<count { repairChild(start + word16(pointers + 2 * index), pageCount) }
    }
    // Free blocks: in order and inside the page, or none.
    let block = word16(header + 1)
    if block != 0, block < content || block > pageSize - 4 { put16(header + 1, 0) }
  }

  private mutating func repairChild(_ place: Int, _ pageCount: Int) {
    guard place + 4 <= bytes.count else { return }
    if word32(place) < 2 || word32(place) > pageCount { put32(place, 1 + random.below(pageCount)) }
  }

  /// The first trunk lies in the file, and the number of free pages is what the trunks say.
  private mutating func repairFreelist() {
    let pageCount = bytes.count / pageSize
    if word32(32) > pageCount {
      put32(32, 0)
      put32(36, 0)
    }
    var trunk = word32(32), count = 0
    for _ in 0..<pageCount where trunk > 0 && trunk <= pageCount {
      let start = (trunk - 1) * pageSize
      let leaves = word32(start + 4)
      if leaves > (pageSize - 8) / 4 { break }
      count += 1 + leaves
      trunk = word32(start)
    }
    put32(36, count)
  }

  /// The page checksums of a file that carries them (SPEC, chapter 3).
  private mutating func sealPages() {
    let pageCount = bytes.count / pageSize
    guard pageCount > 0, bytes[20] == 8, word32(pageSize - 8) == Self.mark, isDue() else { return }
    for page in 0..<pageCount {
      let start = page * pageSize, end = start + pageSize
      let covered = Array(bytes[start..<end - (page == 0 ? 4 : 8)])
      let hash = unsealedHash(covered, seed: UInt64(page + 1))
      if page == 0 {
        put32(end - 4, Int(truncatingIfNeeded: hash & 0xffff_ffff))
      } else {
        put32(end - 8, Int(truncatingIfNeeded: hash >> 32))
        put32(end - 4, Int(truncatingIfNeeded: hash & 0xffff_ffff))
      }
    }
  }

  /// "aPc1".
  private static let mark = 0x6150_6331

  private func unsealedHash(_ bytes: [UInt8], seed: UInt64) -> UInt64 {
    (try? withView(of: bytes) { (view) throws(FuzzFinding) in XXHash64.hash(view, seed: seed) }) ?? 0
  }

  private func word16(_ at: Int) -> Int { at + 2 <= bytes.count ? Int(bytes[at]) << 8 | Int(bytes[at + 1]) : 0 }
  private func word32(_ at: Int) -> Int { word16(at) << 16 | word16(at + 2) }
  private mutating func put16(_ at: Int, _ value: Int) {
    guard at + 2 <= bytes.count else { return }
    bytes[at] = UInt8(truncatingIfNeeded: value >> 8)
    bytes[at + 1] = UInt8(truncatingIfNeeded: value)
  }
  private mutating func put32(_ at: Int, _ value: Int) {
    put16(at, value >> 16)
    put16(at + 2, value)
  }
}
