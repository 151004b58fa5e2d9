// The affinity of a declared type. Source: https://sqlite.org/datatype3.html#determination_of_column_affinity

import ApusBase

public enum TypeAffinity {
  /// The affinity of a declared type: the first rule that matches somewhere in the text wins, in SQLite's order.
  public static func of(_ type: String) -> Affinity { estimate(type).affinity }

  /// Also the estimated size in units of four bytes: text and blobs count their declared length, numbers one.
  static func estimate(_ type: String) -> (affinity: Affinity, size: Int) {
    var window: UInt32 = 0
    var affinity = Affinity.numeric
    var place = 0
    var sizePlace: Int?
    let bytes = Array(type.utf8)
    for byte in bytes {
      window = window << 8 | UInt32(byte &- 0x41 < 26 ? byte | 0x20 : byte)
      place += 1
      switch window {
      case 0x6368_6172:  // char
        affinity = .text
        sizePlace = place
      case 0x636c_6f62, 0x7465_7874:  // clob, text
        affinity = .text
      case 0x626c_6f62 where affinity == .numeric || affinity == .real:  // blob
        affinity = .blob
        if place < bytes.count, bytes[place] == 0x28 { sizePlace = place }
      case 0x7265_616c, 0x666c_6f61, 0x646f_7562:  // real, floa, doub
        if affinity == .numeric { affinity = .real }
      default:
        if window & 0x00ff_ffff == 0x0069_6e74 { return (.integer, 1) }  // int
      }
    }
    guard affinity == .text || affinity == .blob else { return (affinity, 1) }
    var length = 16
    if let start = sizePlace {
      length = 0
      var index = start
      while index < bytes.count {
        if bytes[index] &- 0x30 < 10 {
          while index < bytes.count, bytes[index] &- 0x30 < 10, length < 1_000_000 {
            length = length * 10 + Int(bytes[index] &- 0x30)
            index += 1
          }
          break
        }
        index += 1
      }
    }
    return (affinity, min(length / 4 + 1, 255))
  }
}
