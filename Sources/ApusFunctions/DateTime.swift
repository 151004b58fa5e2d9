// A moment as SQLite's date and time functions carry it: as a Julian day, as a calendar date and a time of day, or as a
// number whose meaning is still open. Source: https://sqlite.org/lang_datefunc.html
//
// Dates are Gregorian, before 1582 too. The Julian day is counted in milliseconds, from noon of -4713-11-24. It wraps around
// where modifiers move it too far: what counts is whether it is valid in the end.

import ApusBase

struct DateTime {
  static let dayMilliseconds: Int64 = 86_400_000
  /// The last millisecond of the year 9999.
  static let julianMax: Int64 = 464_269_060_799_999
  /// 1970-01-01 00:00.
  static let unixEpoch: Int64 = 210_866_760_000_000

  var julian: Int64 = 0
  var year = 2000
  var month = 1
  var day = 1
  var hour = 0
  var minute = 0
  var second = 0.0
  /// Minutes east of UTC, of a time that was written with its zone.
  var zone = 0
  var hasJulian = false
  var hasDate = false
  var hasTime = false
  /// `second` holds a bare number: a Julian day or, by a modifier, a Unix time.
  var isRaw = false
  var isError = false
  /// Results show milliseconds.
  var showsSubseconds = false
  var isUTC = false
  var isLocal = false
  /// How many days the date lies behind the end of its month, as "2023-02-31" does.
  var overshoot = 0

  // MARK: Conversions

  mutating func computeJulian() {
    if hasJulian { return }
    let (y, m, d) = hasDate ? (year, month, day) : (2000, 1, 1)
    guard y >= -4713, y <= 9999, !isRaw else {
      self = DateTime()
      isError = true
      return
    }
    julian = DateTime.julianDay(y, m, d)
    hasJulian = true
    if hasTime {
      julian += Int64(hour) * 3_600_000 + Int64(minute) * 60_000 + Int64(second * 1000 + 0.5)
      if zone != 0 {
        julian -= Int64(zone) * 60_000
        forgetCalendar()
        isUTC = true
        isLocal = false
      }
      // 24:00 is the next day's midnight.
      if hour == 24 { forgetCalendar() }
    }
  }

  /// The Julian day in milliseconds at the start of a date; days beyond the month's end run on into the next.
  private static func julianDay(_ year: Int, _ month: Int, _ day: Int) -> Int64 {
    // Years that begin in March, in cycles of 400 years from 4801 BC on.
    let shifted = month <= 2 ? year + 4799 : year + 4800
    let monthFromMarch = (month + 9) % 12
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (153 * monthFromMarch + 2) / 5 + day
    return Int64(days - 32_046) * dayMilliseconds + dayMilliseconds / 2
  }

  mutating func computeDate() {
    if hasDate { return }
    if !hasJulian {
      year = 2000
      month = 1
      day = 1
    } else if !isValid {
      self = DateTime()
      isError = true
      return
    } else {
      var days = Int((julian + DateTime.dayMilliseconds / 2) / DateTime.dayMilliseconds) + 32_044
      let era = days / 146_097
      days %= 146_097
      let century = min(3, days / 36_524)
      days -= century * 36_524
      let cycle = days / 1461
      days %= 1461
      let yearOfCycle = min(3, days / 365)
      days -= yearOfCycle * 365
      let monthFromMarch = (days * 5 + 2) / 153
      day = days - (monthFromMarch * 153 + 2) / 5 + 1
      month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
      year = era * 400 + century * 100 + cycle * 4 + yearOfCycle - 4800 + (month <= 2 ? 1 : 0)
    }
    hasDate = true
  }

  mutating func computeTime() {
    if hasTime { return }
    computeJulian()
    let milliseconds = (julian &+ DateTime.dayMilliseconds / 2) % DateTime.dayMilliseconds
    second = Double(milliseconds % 60_000) / 1000
    let minutes = Int(milliseconds / 60_000)
    minute = minutes % 60
    hour = minutes / 60
    isRaw = false
    hasTime = true
  }

  mutating func computeDateAndTime() {
    computeDate()
    computeTime()
  }

  /// What is known by the Julian day alone.
  mutating func forgetCalendar() {
    hasDate = false
    hasTime = false
    zone = 0
  }

  var isValid: Bool { julian >= 0 && julian <= DateTime.julianMax }

  mutating func computeOvershoot() {
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let length = lengths[month - 1] + (month == 2 && isLeap ? 1 : 0)
    overshoot = max(0, day - length)
  }

  /// Brings the month back to 1...12, moving the year.
  mutating func normaliseMonth() {
    let years = month > 0 ? (month - 1) / 12 : (month - 12) / 12
    year += years
    month -= years * 12
  }

  mutating func setRaw(_ number: Double) {
    second = number
    isRaw = true
    if number >= 0, number < 5_373_484.5 {
      julian = Int64(number * 86_400_000 + 0.5)
      hasJulian = true
    }
  }

  mutating func setUnix(milliseconds: Int64) {
    julian = milliseconds &+ DateTime.unixEpoch
    hasJulian = true
    isUTC = true
    isLocal = false
    forgetCalendar()
  }

  // MARK: Days

  var daysAfterMonday: Int { Int((julian &+ 43_200_000) / DateTime.dayMilliseconds % 7) }
  var daysAfterSunday: Int { Int((julian &+ 129_600_000) / DateTime.dayMilliseconds % 7) }

  var daysAfterNewYear: Int {
    var start = self
    start.hasJulian = false
    start.month = 1
    start.day = 1
    start.computeJulian()
    return Int((julian - start.julian + 43_200_000) / DateTime.dayMilliseconds)
  }

  /// The Thursday of the same week, whose year is the week's.
  var thursday: DateTime {
    var moved = self
    moved.julian += Int64(3 - daysAfterMonday) * DateTime.dayMilliseconds
    moved.hasDate = false
    moved.computeDate()
    return moved
  }
}
