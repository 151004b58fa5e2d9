// The modifiers of the date and time functions. Source: https://sqlite.org/lang_datefunc.html#modifiers

import ApusBase
import ApusVM

extension DateTime {
  /// Applies one modifier, the `index`-th argument (from 1); false where it is none.
  mutating func apply(_ text: ByteView, index: Int, _ context: borrowing FunctionContext) throws(Fault) -> Bool {
    switch text.byte(0) {
    case 0x30...0x39, 0x2b, 0x2d: return move(text)
    default: break
    }
    if text.isWord("auto") {
      guard index == 1 else { return false }
      interpretNumber()
      return true
    }
    if text.isWord("ceiling") {
      computeJulian()
      forgetCalendar()
      overshoot = 0
      return true
    }
    if text.isWord("floor") {
      computeJulian()
      julian &-= Int64(overshoot) * DateTime.dayMilliseconds
      forgetCalendar()
      return true
    }
    if text.isWord("julianday") {
      guard index == 1, hasJulian, isRaw else { return false }
      isRaw = false
      return true
    }
    if text.isWord("unixepoch") { return index == 1 && isRaw && interpretUnix() }
    if text.isWord("localtime") {
      try context.checkWorldAllowed()
      if !isLocal { becomeLocal(context) }
      isUTC = false
      isLocal = true
      return true
    }
    if text.isWord("utc") {
      try context.checkWorldAllowed()
      if !isUTC { becomeUTC(context) }
      return true
    }
    if text.isWord("subsec") || text.isWord("subsecond") {
      showsSubseconds = true
      return true
    }
    if text.startsWithWord("weekday ") { return moveToWeekday(text.suffix(from: 8)) }
    if text.startsWithWord("start of ") { return moveToStart(text.suffix(from: 9)) }
    return false
  }

  // MARK: Bare numbers

  // A number that is neither a Julian day nor a Unix time stays bare, which is an error later.
  private mutating func interpretNumber() {
    if !isRaw || hasJulian {
      isRaw = false
    } else if second >= -210_866_760_000, second <= 253_402_300_799 {
      setUnixSeconds(second)
    }
  }

  private mutating func interpretUnix() -> Bool {
    let milliseconds = second * 1000 + 210_866_760_000_000
    guard milliseconds >= 0, milliseconds < 464_269_060_800_000 else { return false }
    setUnixSeconds(second)
    return true
  }

  private mutating func setUnixSeconds(_ seconds: Double) {
    forgetCalendar()
    julian = Int64(seconds * 1000 + 210_866_760_000_000 + 0.5)
    hasJulian = true
    isRaw = false
  }

  // MARK: Zones

  // What local time the environment cannot know (before 1970, after 2038), it is asked for a like year near 2000, as
  // SQLite does. The answer is a date of the calendar, and becomes one of the year that was meant: so 29 February of a like
  // year may become 1 March. An error is forgotten, and what lay outside the calendar begins the year 0.
  private mutating func becomeLocal(_ context: borrowing FunctionContext) {
    computeJulian()
    var local = self
    var yearsMoved = 0
    if julian < DateTime.unixEpoch || julian > 213_014_145_600_000 {
      let isOutside = hasJulian && !hasDate && !isValid
      local.computeDateAndTime()
      let known = isOutside ? 0 : local.year
      yearsMoved = 2000 + known % 4 - known
      local.year = known + yearsMoved
      local.hasJulian = false
      local.computeJulian()
    }
    let seconds = local.julian / 1000
    let offset = context.localTimeOffsetSeconds(atMilliseconds: seconds * 1000 &- DateTime.unixEpoch)
    local.julian = (seconds + Int64(offset)) * 1000
    local.hasJulian = true
    local.forgetCalendar()
    local.computeDateAndTime()
    year = local.year - yearsMoved
    month = local.month
    day = local.day
    hour = local.hour
    minute = local.minute
    second = local.second + Double(julian % 1000) * 0.001
    hasDate = true
    hasTime = true
    hasJulian = false
    zone = 0
    isRaw = false
    isError = false
  }

  // Local time is a function of UTC, not the other way round: guess, and correct the guess.
  private mutating func becomeUTC(_ context: borrowing FunctionContext) {
    computeJulian()
    let original = julian
    var guess = julian
    var error: Int64 = 0
    var attempts = 0
    repeat {
      guess &-= error
      var local = DateTime()
      local.julian = guess
      local.hasJulian = true
      local.becomeLocal(context)
      local.computeJulian()
      error = local.julian &- original
      attempts += 1
    } while error != 0 && attempts <= 3
    // Nothing else is kept: 'subsec' must come behind it.
    self = DateTime()
    julian = guess
    hasJulian = true
    isUTC = true
  }

  // MARK: Fixed points

  private mutating func moveToWeekday(_ text: ByteView) -> Bool {
    let scan = NumberScan(text)
    let number = scan.real.magnitude
    guard scan.form != .none, scan.isWhole, number < 7, number == number.rounded(.down) else { return false }
    let wanted = Int(number)
    computeDateAndTime()
    zone = 0
    hasJulian = false
    computeJulian()
    // A minus sign, before a zero too, means the last such day instead of the next.
    var today = daysAfterSunday
    if scan.isNegative {
      if today < wanted { today += 7 }
    } else if today > wanted {
      today -= 7
    }
    julian &+= Int64(wanted - today) * DateTime.dayMilliseconds
    forgetCalendar()
    return true
  }

  private mutating func moveToStart(_ unit: ByteView) -> Bool {
    guard hasJulian || hasDate || hasTime else { return false }
    computeDate()
    hasTime = true
    hour = 0
    minute = 0
    second = 0
    isRaw = false
    zone = 0
    hasJulian = false
    if unit.isWord("month") {
      day = 1
    } else if unit.isWord("year") {
      month = 1
      day = 1
    } else if !unit.isWord("day") {
      return false
    }
    return true
  }

  // MARK: Moves

  // NNN units, ±HH:MM[:SS.SSS], or ±YYYY-MM-DD[ HH:MM[:SS.SSS]].
  private mutating func move(_ text: ByteView) -> Bool {
    var end = 1
    scan: while end < text.count {
      let byte = text[end]
      if byte == 0x3a || isSQLSpace(byte) { break }
      if byte == 0x2d {
        if end == 5, text.digits(1, 4, 0, 14712) != nil { break scan }
        if end == 6, text.digits(1, 5, 0, 14712) != nil { break scan }
      }
      end &+= 1
    }
    let number = NumberScan(text.slice(0, end))
    guard number.form != .none, number.isWhole else { return false }
    if text.byte(end) == 0x2d { return moveByDate(text, yearDigits: end &- 1) }
    if text.byte(end) == 0x3a { return moveByTime(text, isNegative: text.byte(0) == 0x2d) }
    return move(by: number.real, text.suffix(from: end))
  }

  private mutating func moveByDate(_ text: ByteView, yearDigits: Int) -> Bool {
    let isNegative = text.byte(0) == 0x2d
    guard isNegative || text.byte(0) == 0x2b else { return false }
    let rest = 1 &+ yearDigits
    guard let years = text.digits(1, yearDigits, 0, 14712), text.byte(rest) == 0x2d,
      let months = text.digits(rest &+ 1, 2, 0, 11), text.byte(rest &+ 3) == 0x2d,
      let days = text.digits(rest &+ 4, 2, 0, 30)
    else { return false }
    computeDateAndTime()
    hasJulian = false
    year += isNegative ? -years : years
    month += isNegative ? -months : months
    normaliseMonth()
    computeOvershoot()
    computeJulian()
    hasTime = false
    hasDate = false
    julian &+= Int64(isNegative ? -days : days) * DateTime.dayMilliseconds
    let end = rest &+ 6
    if text.byte(end) == 0 { return true }
    guard isSQLSpace(text.byte(end)), text.hourAndMinute(end &+ 1) != nil else { return false }
    return moveByTime(text.suffix(from: end &+ 1), isNegative: isNegative)
  }

  private mutating func moveByTime(_ text: ByteView, isNegative: Bool) -> Bool {
    var time = DateTime()
    guard time.readTime(isASCIIDigit(text.byte(0)) ? text : text.suffix(from: 1)) else { return false }
    time.computeJulian()
    var distance = time.julian - DateTime.dayMilliseconds / 2
    distance %= DateTime.dayMilliseconds
    computeJulian()
    forgetCalendar()
    julian &+= isNegative ? -distance : distance
    return true
  }

  private struct Unit {
    let name: StaticString
    let limit: Double
    let seconds: Double
  }

  // Moves further than `limit` leave the range of dates anyhow.
  private static let units = [
    Unit(name: "second", limit: 4.6427e+14, seconds: 1), Unit(name: "minute", limit: 7.7379e+12, seconds: 60),
    Unit(name: "hour", limit: 1.2897e+11, seconds: 3600), Unit(name: "day", limit: 5_373_485, seconds: 86_400),
    Unit(name: "month", limit: 176_546, seconds: 2_592_000), Unit(name: "year", limit: 14_713, seconds: 31_536_000),
  ]

  private mutating func move(by amount: Double, _ rest: ByteView) -> Bool {
    var start = 0
    while isSQLSpace(rest.byte(start)) { start &+= 1 }
    var name = rest.suffix(from: min(start, rest.count))
    guard name.count >= 3, name.count <= 10 else { return false }
    if name[name.count &- 1] | 0x20 == 0x73 { name = name.slice(0, name.count &- 1) }
    computeJulian()
    overshoot = 0
    for (index, unit) in DateTime.units.enumerated() where name.isWord(unit.name) {
      guard amount > -unit.limit, amount < unit.limit else { break }
      var rest = amount
      if index >= 4 {
        computeDateAndTime()
        let whole = Int(amount)
        if index == 4 {
          month += whole
          normaliseMonth()
        } else {
          year += whole
        }
        if !isError { computeOvershoot() }
        hasJulian = false
        rest -= Double(whole)
      }
      computeJulian()
      julian &+= Int64(rest * 1000 * unit.seconds + (amount < 0 ? -0.5 : 0.5))
      forgetCalendar()
      return true
    }
    forgetCalendar()
    return false
  }
}
