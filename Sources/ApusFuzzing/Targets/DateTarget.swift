// Dates and times: moments and modifiers as text, read, changed and printed as SQLite does it.

import ApusBase
import ApusHarness

final class DateTarget: FuzzTarget {
  static let name = "date"
  static let summary = "date functions on any text: SQLite's answers"
  static let byteCountMax = 128
  static let dictionary = [
    "now", "auto", "unixepoch", "julianday", "start of month", "start of year", "start of day", "weekday 0",
    "weekday 6", "utc",
    "localtime", " days", " hours", " minutes", " seconds", " months", " years", "+1 day", "-1 month", "+12.5",
    "2000-02-29",
    "23:59:59.999", "T", "Z", "+05:30", "-00:00", "1e10", "2451545.0", "9999-12-31", "0000-01-01", "-4713-11-24", "|",
  ]
  /// Formats that SQLite 3.40 knows too.
  private static let sql = """
    SELECT date(?1, ?2, ?3), time(?1, ?2), datetime(?1, ?2, ?3), julianday(?1, ?2), unixepoch(?1, ?2),
    strftime('%d %f %H %j %J %m %M %s %S %w %W %Y %%', ?1, ?2, ?3), date(?1, '+0 days'), datetime(?1, ?3, ?2),
    date(?1, ?3)
    """
  /// Fields that depend on the moment or on the place, and what SQLite learned after 3.40.
  private static let uncompared: Set<String> = [
    "now", "utc", "localtime", "subsec", "subsecond", "ceiling", "floor",
  ]

  /// A field as C sees it: up to its first NUL.
  private static func word(_ field: [UInt8]) -> String {
    String(decoding: field.prefix { $0 != 0 }, as: UTF8.self).lowercased()
  }

  /// "24:00" was a time of 3.40.
  static func hasHour24(_ field: [UInt8]) -> Bool {
    field.indices.contains { place in
      guard field[place...].starts(with: Array("24:".utf8)) else { return false }
      return place == 0 || !isASCIIDigit(field[place - 1]) && field[place - 1] != UInt8(ascii: ":")
    }
  }

  /// "+0001-02-03": years, months and days in one modifier, since SQLite 3.43.
  private static func isDateModifier(_ modifier: [UInt8]) -> Bool {
    let text = modifier.drop { $0 == 0x20 || (0x09...0x0d).contains($0) }
    return (text.first == UInt8(ascii: "-") || text.first == UInt8(ascii: "+"))
      && text.dropFirst().contains(UInt8(ascii: "-"))
  }

  /// "weekday -1": the last Monday instead of the next; none in 3.40.
  private static func isBackwardWeekday(_ modifier: [UInt8]) -> Bool {
    let text = String(decoding: modifier, as: UTF8.self).lowercased()
    return text.hasPrefix("weekday ") && text.contains("-")
  }

  private static let julianDayOfYear0 = 1_721_059.5

  private let engines: StatementInBoth

  init() throws(EngineFailure) { engines = try StatementInBoth(Self.sql) }

  static func seeds() -> [FuzzSeed] {
    let texts = [
      "2000-02-29", "2024-12-31 23:59:59.999", "2024-01-01T00:00Z", "12:34", "2451545.5", "1700000000|unixepoch",
      "2001-03-31|-1 month",
      "2001-03-31|start of year|+3.5 days", "0000-01-01", "9999-12-31|+1 day", "-4713-11-24 12:00", "2024-02-30",
      "1e9|auto",
      "2024-05-05 12:00:00+05:30|weekday 0", "2024-01-31|+1 month|weekday 3", "12:00:60", "24:00", "2024-13-01",
      "5373484.5|julianday",
      "2000-01-01|+12:30:30.5", "2000-01-01|-0001-01-01",
    ]
    return texts.enumerated().map { FuzzSeed("moment-\($0.offset)", $0.element) }
  }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    let fields = input.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false).map(Array.init)
    func field(_ index: Int) -> HarnessValue { index < fields.count ? .text(fields[index]) : .text("+0 days") }
    // A moment is a number too, where it looks like one.
    var moment = field(0)
    let text = String(decoding: fields.first ?? [], as: UTF8.self)
    if let number = Int64(text) {
      moment = .integer(number)
    } else if let number = Double(text), number.isFinite {
      moment = .real(number)
    }
    let parameters = [moment, field(1), field(2)]
    var answers: [[[HarnessValue]]] = []
    for statement in engines.statements {
      do throws(EngineFailure) {
        answers.append(try statement.rows(with: parameters))
      } catch {
        answers.append([[.text("\(error)")]])
      }
    }
    let lower = String(decoding: input, as: UTF8.self).lowercased()
    if fields.contains(where: { Self.uncompared.contains(Self.word($0)) || Self.hasHour24($0) }) { return }
    if fields.dropFirst().contains(where: { Self.isDateModifier($0) || Self.isBackwardWeekday($0) }) { return }
    // More than 999 milliseconds of a second are rounded up by 3.40, into the next day too, and are 999 since.
    if lower.split(separator: ".").dropFirst().contains(where: { $0.hasPrefix("999") && $0.dropFirst(3).first?.isNumber == true })
    {
      return
    }
    // Before the year 0, SQLite 3.40 counts days otherwise than 3.54 and we do; also where a later modifier leads out
    // of there. It is SQLite's word that counts: what we take for an old date is on trial.
    let hasOldDate = answers[0][0].contains { value in
      switch value {
      case .text(let date): date.first == UInt8(ascii: "-")
      case .real(let bits): Double(bitPattern: bits) < Self.julianDayOfYear0
      case .null, .integer, .blob: false
      }
    }
    if hasOldDate { return }
    if answers[0] != answers[1] {
      throw FuzzFinding("a moment differs", "\(parameters):\n  expected \(answers[0])\n  found    \(answers[1])")
    }
  }
}
