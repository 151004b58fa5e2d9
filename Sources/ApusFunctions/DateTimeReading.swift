// Time values as text: YYYY-MM-DD HH:MM:SS.SSS with a zone, their parts, bare numbers, 'now'.
// Source: https://sqlite.org/lang_datefunc.html#time_values

import ApusBase
import ApusVM

extension ByteView {
  /// The byte at `offset`, or NUL behind the end.
  @inline(__always)
  func byte(_ offset: Int) -> UInt8 { offset < count ? self[offset] : 0 }

  /// A number of exactly `digits` digits at `offset` from `lowest` to `highest`.
  func digits(_ offset: Int, _ digits: Int, _ lowest: Int, _ highest: Int) -> Int? {
    var value = 0
    for index in offset..<offset &+ digits {
      let byte = byte(index)
      guard isASCIIDigit(byte) else { return nil }
      value = value &* 10 &+ Int(byte &- 0x30)
    }
    return value >= lowest && value <= highest ? value : nil
  }

  /// "HH:MM" at `offset`.
  func hourAndMinute(_ offset: Int) -> (hour: Int, minute: Int)? {
    guard let hour = digits(offset, 2, 0, 24), byte(offset &+ 2) == 0x3a, let minute = digits(offset &+ 3, 2, 0, 59)
    else { return nil }
    return (hour, minute)
  }

  /// Whether it is `word`, which is in lower case; ASCII letters match in either case.
  func isWord(_ word: StaticString) -> Bool { count == word.utf8CodeUnitCount && startsWithWord(word) }

  func startsWithWord(_ word: StaticString) -> Bool {
    guard count >= word.utf8CodeUnitCount else { return false }
    var buffer = ByteBuffer()
    buffer.append(word)
    return Collation.compareNoCase(slice(0, buffer.count), buffer.bytes) == 0
  }
}

extension DateTime {
  /// Reads a time value; false where it is none.
  mutating func read(_ text: ByteView, _ context: inout FunctionContext) throws(Fault) -> Bool {
    if readDate(text) || readTime(text) { return true }
    if text.isWord("now") {
      try setNow(&context)
      return true
    }
    let scan = NumberScan(text)
    if scan.form != .none, scan.isWhole {
      setRaw(scan.real)
      return true
    }
    if text.isWord("subsec") || text.isWord("subsecond") {
      showsSubseconds = true
      try setNow(&context)
      return true
    }
    return false
  }

  mutating func setNow(_ context: inout FunctionContext) throws(Fault) {
    try context.checkWorldAllowed()
    setUnix(milliseconds: context.currentMilliseconds())
  }

  // [-]YYYY-MM-DD, and a time behind white space or a T.
  private mutating func readDate(_ text: ByteView) -> Bool {
    let isNegative = text.byte(0) == 0x2d
    let start = isNegative ? 1 : 0
    guard let y = text.digits(start, 4, 0, 9999), text.byte(start &+ 4) == 0x2d,
      let m = text.digits(start &+ 5, 2, 1, 12), text.byte(start &+ 7) == 0x2d,
      let d = text.digits(start &+ 8, 2, 1, 31)
    else { return false }
    var position = start &+ 10
    while isSQLSpace(text.byte(position)) || text.byte(position) == 0x54 { position &+= 1 }
    if !readTime(text.suffix(from: min(position, text.count))) {
      guard text.byte(position) == 0 else { return false }
      hasTime = false
    }
    hasJulian = false
    hasDate = true
    year = y
    month = m
    day = d
    computeOvershoot()
    if hasTime, hour == 24 { startNextDay() }
    // As in SQLite only now: -0001-12-31 24:00 begins the year -0002.
    if isNegative { year = -year }
    if zone != 0 { computeJulian() }
    return true
  }

  // 24:00 behind a date.
  private mutating func startNextDay() {
    hour = 0
    day += 1
    computeOvershoot()
    guard overshoot > 0 else { return }
    day = overshoot
    month += 1
    normaliseMonth()
    overshoot = 0
  }

  // HH:MM[:SS[.SSS]] and a zone.
  mutating func readTime(_ text: ByteView) -> Bool {
    guard let (h, m) = text.hourAndMinute(0) else { return false }
    var position = 5
    var seconds = 0
    var fraction = 0.0
    if text.byte(5) == 0x3a {
      guard let s = text.digits(6, 2, 0, 59) else { return false }
      seconds = s
      position = 8
      if text.byte(8) == 0x2e, isASCIIDigit(text.byte(9)) {
        position = 9
        var scale = 1.0
        while isASCIIDigit(text.byte(position)) {
          fraction = fraction * 10 + Double(text.byte(position) &- 0x30)
          scale *= 10
          position &+= 1
        }
        fraction /= scale
        // More would round up to the next second.
        if fraction > 0.999 { fraction = 0.999 }
      }
    }
    if h == 24, m != 0 || seconds != 0 || fraction != 0 { return false }
    hasJulian = false
    isRaw = false
    hasTime = true
    hour = h
    minute = m
    second = Double(seconds) + fraction
    return readZone(text, position)
  }

  // Nothing, Z, or +HH:MM; then white space up to the end.
  private mutating func readZone(_ text: ByteView, _ start: Int) -> Bool {
    var position = start
    while isSQLSpace(text.byte(position)) { position &+= 1 }
    zone = 0
    let mark = text.byte(position)
    switch mark {
    case 0: return true
    case 0x5a, 0x7a:
      position &+= 1
      isLocal = false
      isUTC = true
    case 0x2b, 0x2d:
      guard let hours = text.digits(position &+ 1, 2, 0, 14), text.byte(position &+ 3) == 0x3a,
        let minutes = text.digits(position &+ 4, 2, 0, 59)
      else { return false }
      position &+= 6
      zone = (mark == 0x2d ? -1 : 1) * (minutes + hours * 60)
      if zone == 0 {
        isLocal = false
        isUTC = true
      }
    default: return false
    }
    while isSQLSpace(text.byte(position)) { position &+= 1 }
    return text.byte(position) == 0
  }
}
