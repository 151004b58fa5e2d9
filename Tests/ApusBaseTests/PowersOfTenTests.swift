import Testing

@testable import ApusBase

/// A natural number of any size, least significant word first; the obviously right way to check a table.
private struct Natural: Comparable {
  var words: [UInt32] = [1]

  static func multiplied(_ a: Natural, by factor: UInt32) -> Natural {
    var words: [UInt32] = []
    var carry: UInt64 = 0
    for word in a.words {
      carry += UInt64(word) * UInt64(factor)
      words.append(UInt32(truncatingIfNeeded: carry))
      carry >>= 32
    }
    if carry > 0 { words.append(UInt32(carry)) }
    return Natural(words: words)
  }

  static func power(_ base: UInt32, _ exponent: Int) -> Natural {
    (0..<exponent).reduce(Natural()) { product, _ in multiplied(product, by: base) }
  }

  static func * (a: Natural, b: Natural) -> Natural {
    var words = [UInt32](repeating: 0, count: a.words.count + b.words.count)
    for (i, x) in a.words.enumerated() {
      var carry: UInt64 = 0
      for (j, y) in b.words.enumerated() {
        carry += UInt64(x) * UInt64(y) + UInt64(words[i + j])
        words[i + j] = UInt32(truncatingIfNeeded: carry)
        carry >>= 32
      }
      words[i + b.words.count] = UInt32(carry)
    }
    while words.count > 1, words.last == 0 { words.removeLast() }
    return Natural(words: words)
  }

  static func < (a: Natural, b: Natural) -> Bool {
    a.words.count != b.words.count
      ? a.words.count < b.words.count : a.words.reversed().lexicographicallyPrecedes(b.words.reversed())
  }
}

@Suite("Powers of ten")
struct PowersOfTenTests {
  @Test("every entry is its power of ten, cut off to 128 bits")
  func entries() {
    for power in PowersOfTen.exponentMin...PowersOfTen.exponentMax {
      let high = PowersOfTen.high(power)
      let low = PowersOfTen.low(power)
      func natural(_ high: UInt64, _ low: UInt64) -> Natural {
        Natural(words: [low, high].flatMap { [UInt32(truncatingIfNeeded: $0), UInt32($0 >> 32)] })
      }
      // entry <= 10^power * 2^binary < entry + 1, with the negative powers on the other side.
      let binary = 127 - PowersOfTen.binaryLogarithm(power)
      let left = Natural.power(10, max(0, -power)) * Natural.power(2, max(0, -binary))
      let right = Natural.power(10, max(0, power)) * Natural.power(2, max(0, binary))
      let (next, carry) = low.addingReportingOverflow(1)
      #expect(high >> 63 == 1, "power \(power)")
      #expect(!(right < natural(high, low) * left), "power \(power)")
      #expect(right < natural(carry ? high + 1 : high, next) * left, "power \(power)")
    }
  }
}
