// The fingerprint of an execution: 64 bits of FNV-1a over every event, in order. Same seed, same hash.

public struct TraceHash: Sendable {
  public private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325
  public private(set) var eventCount = 0
  /// Keeps each event as a line of text too.
  public var keepsLines = false
  public private(set) var lines: [String] = []

  public init() {}

  private mutating func mix(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }

  private mutating func mix(_ number: UInt64) {
    // Eight bytes at a time: the events are short and the disk's writes are long.
    value = (value ^ number) &* 0x9e37_79b9_7f4a_7c15
    value ^= value >> 29
  }

  public mutating func add(_ event: StaticString, _ a: UInt64, _ b: Int, _ c: Int) {
    eventCount += 1
    if keepsLines { lines.append("\(event) \(a) \(b) \(c)") }
    for byte in event.description.utf8 { mix(byte) }
    mix(a)
    mix(UInt64(bitPattern: Int64(b)))
    mix(UInt64(bitPattern: Int64(c)))
  }

  public mutating func add(_ event: StaticString, _ text: String) {
    eventCount += 1
    if keepsLines { lines.append("\(event) \(text)") }
    for byte in event.description.utf8 { mix(byte) }
    for byte in text.utf8 { mix(byte) }
  }

  public mutating func add(_ bytes: [UInt8]) {
    var word: UInt64 = 0
    for place in bytes.indices {
      word = word << 8 | UInt64(bytes[place])
      if place % 8 == 7 { mix(word) }
    }
    if bytes.count % 8 != 0 { mix(word) }
  }

  public var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
