// A write-ahead log that lies and is believed.

import ApusBase

/// Lies in a write-ahead log whose checksums are right, so that recovery believes them.
enum LogForgery {
  /// Makes the header's marks and every checksum right, whatever the frames say.
  static func repair(_ bytes: inout [UInt8], pageSize wanted: Int, _ random: inout SeededRandom) {
    guard bytes.count > 32 else { return }
    if !random.oneIn(12) {
      put(0x377f_0682 | UInt32(bytes[3] & 1), &bytes, 0)
      put(3_007_000, &bytes, 4)
    }
    if !random.oneIn(6) { put(UInt32(wanted), &bytes, 8) }
    let pageSize = Int(word(bytes, 8))
    guard pageSize >= 512, pageSize <= 65536 else { return }
    let frameBytes = 24 + pageSize
    sign(&bytes, (bytes.count - 32) / frameBytes, frameBytes)
  }

  static func forge(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
    guard bytes.count > 32 else { return }
    let size = word(bytes, 8), pageSize = size == 1 ? 65536 : Int(size)
    guard pageSize >= 512, pageSize <= 65536 else { return }
    let frameBytes = 24 + pageSize, frameCount = (bytes.count - 32) / frameBytes
    guard frameCount > 0 else { return }
    for _ in 0...random.below(4) {
      let frame = 32 + random.below(frameCount) * frameBytes
      let numbers: [UInt32] = [0, 1, 2, 3, 0x7fff_ffff, 0xffff_ffff, UInt32(random.below(100_000))]
      switch random.below(5) {
      case 0: put(numbers[random.below(numbers.count)], &bytes, frame)
      case 1: put(numbers[random.below(numbers.count)], &bytes, frame + 4)
      case 2: for place in 0..<pageSize { bytes[frame + 24 + place] = 0 }
      default:
        for _ in 0...random.below(20) {
          let place = random.oneIn(2) ? random.below(min(pageSize, 120)) : random.below(pageSize)
          bytes[frame + 24 + place] = UInt8(truncatingIfNeeded: random.next())
        }
      }
    }
    sign(&bytes, frameCount, frameBytes)
  }

  private static func word(_ bytes: [UInt8], _ at: Int) -> UInt32 {
    UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8 | UInt32(bytes[at + 3])
  }

  private static func put(_ value: UInt32, _ bytes: inout [UInt8], _ at: Int) {
    for place in 0..<4 { bytes[at + place] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * place)) }
  }

  /// Makes every checksum right again. Source: https://sqlite.org/walformat.html
  private static func sign(_ bytes: inout [UInt8], _ frameCount: Int, _ frameBytes: Int) {
    let isBigEndian = bytes[3] & 1 != 0
    var sums: (UInt32, UInt32) = (0, 0)
    func add(_ range: Range<Int>, _ bytes: [UInt8]) {
      var at = range.lowerBound
      while at + 8 <= range.upperBound {
        let first = word(bytes, at), second = word(bytes, at + 4)
        sums.0 &+= (isBigEndian ? first : first.byteSwapped) &+ sums.1
        sums.1 &+= (isBigEndian ? second : second.byteSwapped) &+ sums.0
        at += 8
      }
    }
    add(0..<24, bytes)
    put(sums.0, &bytes, 24)
    put(sums.1, &bytes, 28)
    for number in 0..<frameCount {
      let frame = 32 + number * frameBytes
      for place in 0..<8 { bytes[frame + 8 + place] = bytes[16 + place] }
      add(frame..<frame + 8, bytes)
      add(frame + 24..<frame + frameBytes, bytes)
      put(sums.0, &bytes, frame + 16)
      put(sums.1, &bytes, frame + 20)
    }
  }
}
