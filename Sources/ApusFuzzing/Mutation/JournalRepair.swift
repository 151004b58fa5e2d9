// Makes the checksums of a rollback journal right again, so that playback believes its records.
// Source: https://sqlite.org/fileformat2.html#the_rollback_journal

import ApusBase

enum JournalRepair {
  private static let magic: [UInt8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]

  static func repair(_ bytes: inout [UInt8], pageSize wanted: Int, _ random: inout SeededRandom) {
    guard bytes.count >= 28 else { return }
    if !random.oneIn(12) { bytes.replaceSubrange(0..<8, with: magic) }
    if !random.oneIn(6) { put(wanted, &bytes, 24) }
    var sector = word(bytes, 20)
    if sector < 32 || sector > 65536 || sector & (sector - 1) != 0 {
      sector = 512
      if !random.oneIn(6) { put(sector, &bytes, 20) }
    }
    let pageSize = word(bytes, 24)
    guard (512...65536).contains(pageSize) else { return }
    let recordBytes = pageSize + 8
    var start = 0
    // One header after the other, each at a sector's start.
    while start + 28 <= bytes.count, Array(bytes[start..<start + 8]) == magic {
      let nonce = UInt32(truncatingIfNeeded: word(bytes, start + 12))
      var record = start + sector
      let room = max(0, (bytes.count - record) / recordBytes)
      if word(bytes, start + 8) > room, !random.oneIn(4) {
        put(random.oneIn(2) ? room : 0xffff_ffff, &bytes, start + 8)
      }
      for _ in 0..<min(room, word(bytes, start + 8)) {
        if !random.oneIn(40) { put(Int(sum(bytes, record + 4, pageSize, nonce)), &bytes, record + 4 + pageSize) }
        record += recordBytes
      }
      let next = (record + sector - 1) / sector * sector
      if next <= start { break }
      start = next
    }
  }

  private static func sum(_ bytes: [UInt8], _ start: Int, _ pageSize: Int, _ nonce: UInt32) -> UInt32 {
    stride(from: pageSize - 200, to: 0, by: -200).reduce(nonce) { $0 &+ UInt32(bytes[start + $1]) }
  }

  private static func word(_ bytes: [UInt8], _ at: Int) -> Int {
    guard at + 4 <= bytes.count else { return 0 }
    return Int(bytes[at]) << 24 | Int(bytes[at + 1]) << 16 | Int(bytes[at + 2]) << 8 | Int(bytes[at + 3])
  }

  private static func put(_ value: Int, _ bytes: inout [UInt8], _ at: Int) {
    guard at + 4 <= bytes.count else { return }
    for place in 0..<4 { bytes[at + place] = UInt8(truncatingIfNeeded: value >> (24 - 8 * place)) }
  }
}
