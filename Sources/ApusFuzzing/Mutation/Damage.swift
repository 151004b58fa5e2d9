// Damage to files: one seed, one damaged copy. Kinds that hit the format where it hurts (page headers, child pointers, the
// freelist, the schema) stand beside plain bit flips.

import ApusBase

public struct Damage {
  private var random: SeededRandom
  public private(set) var description = ""

  public init(seed: UInt64) { random = SeededRandom(seed: seed &* 0x9e37_79b9 &+ 17) }

  /// Bytes that sit at the edges of what fields may hold.
  private static let edges: [UInt8] = [0, 1, 2, 5, 8, 10, 13, 0x7f, 0x80, 0x81, 0xfe, 0xff]

  public mutating func edge() -> UInt8 {
    random.oneIn(3) ? UInt8(truncatingIfNeeded: random.next()) : Self.edges[random.below(Self.edges.count)]
  }

  public mutating func oneIn(_ n: Int) -> Bool { random.oneIn(n) }
  public mutating func below(_ n: Int) -> Int { random.below(n) }

  /// Damages a database file.
  public mutating func apply(to bytes: inout [UInt8]) {
    var pageSize = bytes.count > 18 ? Int(bytes[16]) << 8 | Int(bytes[17]) : 4096
    if pageSize < 512 { pageSize = pageSize == 1 ? 65536 : 4096 }
    for _ in 0...(random.oneIn(4) ? random.below(3) : 0) { applyOne(to: &bytes, pageSize) }
  }

  private mutating func applyOne(to bytes: inout [UInt8], _ pageSize: Int) {
    let pageCount = max(1, bytes.count / pageSize)
    guard bytes.count >= 512 else { return }
    func start(_ page: Int) -> Int { min(page * pageSize, bytes.count - 1) }
    /// Where the B-tree header of a page stands.
    func header(_ page: Int) -> Int { start(page) + (page == 0 ? 100 : 0) }
    func put(_ value: UInt8, _ at: Int) { if at < bytes.count { bytes[at] = value } }
    func putPage(_ number: Int, _ at: Int) {
      for shift in 0..<4 { put(UInt8(truncatingIfNeeded: number >> (24 - 8 * shift)), at + shift) }
    }
    let kind = random.below(20)
    switch kind {
    case 0:
      let size = random.oneIn(3) ? random.below(pageCount) * pageSize : random.below(bytes.count)
      bytes.removeSubrange(size...)
      note("truncated to \(size)")
    case 1, 2:
      let count = 1 + random.below(64)
      for _ in 0..<count {
        let at = random.below(bytes.count)
        bytes[at] ^= 1 << UInt8(random.below(8))
      }
      note("\(count) bits flipped")
    case 3:
      let page = random.below(pageCount), count = 1 + random.below(64)
      for _ in 0..<count {
        let at = min(start(page) + random.below(pageSize), bytes.count - 1)
        bytes[at] ^= 1 << UInt8(random.below(8))
      }
      note("\(count) bits flipped in page \(page + 1)")
    case 4:
      let page = random.below(pageCount)
      for at in start(page)..<min(start(page) + pageSize, bytes.count) { bytes[at] = 0 }
      note("page \(page + 1) zeroed")
    case 5, 6:
      let left = random.below(pageCount), right = random.below(pageCount), isCopy = kind == 6
      for offset in 0..<pageSize {
        let a = start(left) + offset, b = start(right) + offset
        guard a < bytes.count, b < bytes.count else { break }
        if isCopy { bytes[a] = bytes[b] } else { bytes.swapAt(a, b) }
      }
      note("page \(left + 1) \(isCopy ? "overwritten by" : "swapped with") \(right + 1)")
    case 7:
      let count = 1 + random.below(4)
      for _ in 0..<count { put(edge(), random.below(100)) }
      note("\(count) bytes of the file header")
    case 8:
      let page = random.below(min(pageCount, 30)), count = 1 + random.below(20)
      for _ in 0..<count {
        let at = start(page) + random.below(pageSize)
        put(random.oneIn(2) ? edge() : UInt8(32 + random.below(95)), at)
      }
      note("\(count) bytes of page \(page + 1)")
    case 9:
      for _ in 0...random.below(6) {
        let page = random.below(pageCount)
        for _ in 0...random.below(3) { put(edge(), header(page) + random.below(12)) }
      }
      note("page headers")
    case 10:
      for _ in 0...random.below(6) {
        let page = random.below(pageCount)
        for _ in 0...random.below(6) { put(edge(), header(page) + 8 + random.below(40)) }
      }
      note("cell pointers")
    case 11:
      // Right children, and the pages that cells name: cycles and strangers.
      for _ in 0...random.below(4) {
        let page = random.below(pageCount), target = 1 + random.below(random.oneIn(2) ? pageCount : min(pageCount, 40))
        putPage(target, header(page) + 8)
        let pointer = header(page) + 12 + 2 * random.below(4)
        if pointer + 1 < bytes.count {
          putPage(1 + random.below(pageCount), start(page) + Int(bytes[pointer]) << 8 + Int(bytes[pointer + 1]))
        }
      }
      note("child pointers")
    case 12:
      putPage(random.oneIn(4) ? Int(truncatingIfNeeded: random.next() >> 32) : 1 + random.below(pageCount), 32)
      putPage(random.below(pageCount), 36)
      let page = random.below(pageCount)
      putPage(random.below(pageCount), start(page))
      putPage(random.below(pageSize), start(page) + 4)
      note("freelist")
    case 13:
      // A boundary, or one byte beside it: of the file header, of a sector, of a page and its parts.
      let page = random.below(pageCount) * pageSize
      let places = [
        0, 1, 16, 18, 99, 100, 101, 107, 108, 512, 1024, page, page + 4, page + 8, page + 12, page + pageSize / 2,
      ]
      let size = max(0, min(places[random.below(places.count)] + random.below(3) - 1, bytes.count))
      bytes.removeSubrange(size...)
      note("cut off at \(size)")
    case 14:
      let first = random.oneIn(3) ? random.below(200) : random.below(bytes.count)
      let count = min(1 + random.below(random.oneIn(2) ? 64 : 3 * pageSize), bytes.count - first)
      let value: UInt8 = random.oneIn(2) ? 0 : edge()
      for at in first..<first + count { bytes[at] = value }
      note("\(count) bytes at \(first) are \(value)")
    case 15:
      // One page under two parents, or in a tree and a chain: whatever names a page comes to name the same one.
      let target = 1 + random.below(pageCount)
      for _ in 0...1 + random.below(4) {
        let page = random.below(pageCount)
        switch random.below(4) {
        case 0: putPage(target, header(page) + 8)
        case 1: putPage(target, start(page))
        case 2: putPage(target, 32)
        default:
          let pointer = header(page) + 8 + 2 * random.below(12)
          guard pointer + 1 < bytes.count else { continue }
          let cell = start(page) + Int(bytes[pointer]) << 8 + Int(bytes[pointer + 1])
          // The left child in front of a cell, or the head of its chain behind it.
          putPage(target, random.oneIn(2) ? cell : max(0, cell + random.below(60)))
        }
      }
      note("page \(target) in several places")
    case 16, 17:
      // Numbers of nine bytes, or of all ones, where a cell or a record's header has its own.
      for _ in 0...random.below(4) {
        let page = random.below(pageCount), pointer = header(page) + (random.oneIn(2) ? 8 : 12) + 2 * random.below(8)
        guard pointer + 1 < bytes.count else { break }
        let cell =
          start(page) + Int(bytes[pointer]) << 8 + Int(bytes[pointer + 1]) + [0, 0, 1, 2, 3, 4, 5][random.below(7)]
        let length = 1 + random.below(9)
        for place in 0..<length {
          put(place == length - 1 && random.oneIn(2) ? 0x7f : random.oneIn(4) ? 0x80 : 0xff, cell + place)
        }
      }
      note("long numbers")
    case 18:
      // Cells that overlap, point into the header, or behind the page.
      let page = random.below(pageCount)
      for _ in 0...random.below(12) {
        let pointer = header(page) + 8 + 2 * random.below(20)
        let target = [0, 4, 8, 100, pageSize - 1, pageSize - 4, pageSize, 0xffff, random.below(pageSize)][
          random.below(9)]
        put(UInt8(truncatingIfNeeded: target >> 8), pointer)
        put(UInt8(truncatingIfNeeded: target), pointer + 1)
      }
      note("cells of page \(page + 1) elsewhere")
    default:
      let page = random.below(pageCount)
      // The first bytes of a cell: payload length, rowid, record header.
      for _ in 0...random.below(8) {
        let pointer = header(page) + 8 + 2 * random.below(8)
        guard pointer + 1 < bytes.count else { break }
        put(edge(), start(page) + Int(bytes[pointer]) << 8 + Int(bytes[pointer + 1]) + random.below(12))
      }
      note("cells of page \(page + 1)")
    }
  }

  /// Damages a journal or a log.
  public mutating func applyToLog(_ bytes: inout [UInt8], _ name: String) {
    guard bytes.count > 64 else { return }
    switch random.below(name == "-wal" ? 6 : 5) {
    case 0:
      let size = random.below(bytes.count)
      bytes.removeSubrange(size...)
      note("\(name) truncated to \(size)")
    case 1:
      for _ in 0...random.below(3) { bytes[random.below(32)] = edge() }
      note("\(name): header")
    case 4:
      // A boundary of a sector, a header, a frame or a record, or one byte beside it.
      let pageSize = Int(bytes[10]) << 8 | Int(bytes[11])
      let frame = name == "-wal" ? 32 + random.below(200) * (24 + max(pageSize, 512)) : 512 * (1 + random.below(400))
      let size = max(
        0, min([28, 32, 56, 512, frame, frame + 8, frame + 24][random.below(7)] + random.below(3) - 1, bytes.count))
      bytes.removeSubrange(size...)
      note("\(name) cut off at \(size)")
    case 5:
      LogForgery.forge(&bytes, &random)
      note("\(name): forged")
    case 2:
      for _ in 0...random.below(64) { bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8)) }
      note("\(name): bits")
    default:
      for _ in 0...random.below(12) { bytes[random.below(min(bytes.count, 600))] = edge() }
      note("\(name): beginning")
    }
  }

  private mutating func note(_ text: String) { description += description.isEmpty ? text : ", \(text)" }
}
