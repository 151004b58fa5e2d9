// One conversion of a format string, between the percent sign and its letter: flags, width, precision.
//
//   % [-+ #!0,]* [width][.precision] [l|ll] letter      with width and precision digits or *

import ApusBase

struct FormatSpecification {
  var isLeft = false
  /// What a number that is not negative begins with: '+', ' ' or nothing.
  var positiveSign: UInt8 = 0
  var isAlternate = false
  /// The flag `!`: characters instead of bytes, 26 digits instead of 16, a point always.
  var isExtended = false
  var hasZeros = false
  var hasThousands = false
  var width = 0
  /// Negative where none was given.
  var precision = -1

  static let sizeMax = 0x7fff_ffff

  /// Reads the specification at `position`, just behind the percent sign, and moves behind its letter.
  /// - Parameter nextInteger: the next argument, for `*`.
  /// - Returns: the letter; zero where the format ends before it.
  mutating func read(_ format: ByteView, _ position: inout Int, nextInteger: () -> Int64) -> UInt8 {
    func peek() -> UInt8 { position < format.count ? format[position] : 0 }
    flags: while true {
      switch peek() {
      case 0x2d: isLeft = true
      case 0x2b: positiveSign = 0x2b
      case 0x20: positiveSign = 0x20
      case 0x23: isAlternate = true
      case 0x21: isExtended = true
      case 0x30: hasZeros = true
      case 0x2c: hasThousands = true
      default: break flags
      }
      position &+= 1
    }
    if peek() == 0x2a {
      position &+= 1
      // As an int of C, whose smallest value has no opposite.
      let clipped = Int(Int32(truncatingIfNeeded: nextInteger()))
      width = clipped < 0 ? (clipped >= -FormatSpecification.sizeMax ? -clipped : 0) : clipped
      isLeft = isLeft || clipped < 0
    } else {
      width = FormatSpecification.number(format, &position)
    }
    if peek() == 0x2e {
      position &+= 1
      if peek() == 0x2a {
        position &+= 1
        let clipped = Int(Int32(truncatingIfNeeded: nextInteger()))
        precision = clipped < 0 ? (clipped >= -FormatSpecification.sizeMax ? -clipped : -1) : clipped
      } else {
        precision = FormatSpecification.number(format, &position)
      }
    }
    if peek() == 0x6c {
      position &+= 1
      if peek() == 0x6c { position &+= 1 }
    }
    let letter = peek()
    if letter != 0 { position &+= 1 }
    return letter
  }

  private static func number(_ format: ByteView, _ position: inout Int) -> Int {
    var value: UInt32 = 0
    while position < format.count, isASCIIDigit(format[position]) {
      value = value &* 10 &+ UInt32(format[position] &- 0x30)
      position &+= 1
    }
    return Int(value & 0x7fff_ffff)
  }
}
