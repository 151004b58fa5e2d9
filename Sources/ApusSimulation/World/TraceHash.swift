// The fingerprint of an execution: 128 bits over every event, in order. Same seed, same hash. `unsafe` lives here: the bytes of an
// event's name are read where the program has them, within their count.

import ApusBase

/// One event, as the trace shows it.
public struct TraceEvent: Sendable {
  /// The turn of the scheduler that it happened in; 0 before the first.
  public var step: Int
  public var name: String
  /// What the numbers are is the event's own: inode, offset and length of a read or a write.
  public var numbers: [Int]
  public var text = ""
  /// What a write wrote.
  public var bytes: [UInt8] = []
}

public struct TraceHash: Sendable {
  private var low: UInt64 = 0xcbf2_9ce4_8422_2325
  private var high: UInt64 = 0x9e37_79b9_7f4a_7c15
  public private(set) var eventCount = 0
  /// Keeps each event, to be shown.
  public var keepsEvents = false
  public private(set) var events: [TraceEvent] = []
  /// Where the run stands.
  public var step = 0
  /// The path that a file was made or opened under, by inode, where events are kept.
  public private(set) var paths: [UInt64: String] = [:]

  /// What the clients said, with its values, where events are kept.
  public private(set) var script: [(step: Int, client: Int, sql: String)] = []

  public init() {}

  mutating func say(_ client: Int, _ sql: () -> String) {
    if keepsEvents { script.append((step: step, client: client, sql: sql())) }
  }

  private mutating func mix(_ number: UInt64) {
    low = (low ^ number) &* 0x100_0000_01b3
    low ^= low >> 29
    high = (high ^ low) &* 0x9e37_79b9_7f4a_7c15
    high ^= high >> 32
  }

  /// The name of an event: a number of its own.
  private mutating func mix(_ name: StaticString) {
    // Its bytes where they stand: a string made of them would be a copy for each event.
    name.withUTF8Buffer { text in
      var word = UInt64(text.count)
      for unsafe byte in unsafe text { word = word << 8 ^ UInt64(byte) ^ word >> 56 }
      mix(word)
    }
  }

  public mutating func add(_ event: StaticString, _ a: UInt64, _ b: Int, _ c: Int) {
    eventCount += 1
    if keepsEvents {
      events.append(TraceEvent(step: step, name: "\(event)", numbers: [Int(truncatingIfNeeded: a), b, c]))
    }
    mix(event)
    mix(a)
    mix(UInt64(bitPattern: Int64(b)))
    mix(UInt64(bitPattern: Int64(c)))
  }

  public mutating func add(_ event: StaticString, _ text: String) {
    eventCount += 1
    if keepsEvents { events.append(TraceEvent(step: step, name: "\(event)", numbers: [], text: text)) }
    mix(event)
    for byte in text.utf8 { mix(UInt64(byte)) }
  }

  /// The bytes of the event before.
  public mutating func add(_ bytes: [UInt8]) {
    if keepsEvents, let last = events.indices.last { events[last].bytes = bytes }
    let span = unsafe bytes.span.bytes
    var start = 0
    while start + 8 <= span.byteCount {
      mix(UInt64(bigEndian: span.word(at: start)))
      start += 8
    }
    for byte in bytes[start...] { mix(UInt64(byte)) }
  }

  /// No event: what file a number means.
  public mutating func name(_ inode: UInt64, _ path: String) {
    if keepsEvents { paths[inode] = path }
  }

  public var text: String { Self.digits(high) + Self.digits(low) }

  private static func digits(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension RawSpan {
  /// The eight bytes from `offset` on, as they lie in memory.
  fileprivate func word(at offset: Int) -> UInt64 {
    precondition(offset >= 0 && offset + 8 <= byteCount)
    return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
  }
}
