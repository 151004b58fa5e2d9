// What rows of proofs hold: contents that follow from a seed alone, so that bytes of another row, of an older version
// or of no row at all are seen wherever they stand.

import ApusBase
import ApusHarness

enum Payload {
  /// Letters: they may stand in SQL text, and in a database of any encoding.
  static func letters(seed: UInt64, count: Int) -> [UInt8] {
    var random = SeededRandom(seed: seed), word: UInt64 = 0
    return (0..<count).map { index in
      word = index % 8 == 0 ? random.next() : word >> 8
      return UInt8(97 + (word & 0xff) % 26)
    }
  }

  /// Where a value is not what it should be, for a person.
  static func difference(expected: [UInt8], found: HarnessValue) -> String {
    switch found {
    case .text(let bytes), .blob(let bytes):
      let place = zip(expected, bytes).enumerated().first { $0.element.0 != $0.element.1 }?.offset
      return "\(bytes.count) bytes, not \(expected.count)" + (place.map { "; they differ from byte \($0) on" } ?? "")
    case .null, .integer, .real: return "\(found), not \(expected.count) bytes"
    }
  }
}
