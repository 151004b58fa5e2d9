// date, time, datetime, julianday, unixepoch, strftime, timediff. Source: https://sqlite.org/lang_datefunc.html

import ApusBase
import ApusVM

enum DateTimeFunctions {
  private static let traits: FunctionTraits = [.deterministic, .innocuous, .slowChange]

  static let definitions: [FunctionDefinition] = [
    .scalar("date", .any, traits, date),
    .scalar("time", .any, traits, time),
    .scalar("datetime", .any, traits, dateTime),
    .scalar("julianday", .any, traits, julianDay),
    .scalar("unixepoch", .any, traits, unixEpoch),
    .scalar("strftime", .any, traits, formatted),
    .scalar("timediff", .exactly(2), traits, difference),
    .scalar("current_date", .exactly(0), .innocuous, date),
    .scalar("current_time", .exactly(0), .innocuous, time),
    .scalar("current_timestamp", .exactly(0), .innocuous, dateTime),
  ]

  /// The moment that a time value and its modifiers mean; nil where they mean none.
  private static func moment(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) -> DateTime? {
    var moment = DateTime()
    if arguments.count == 0 {
      try moment.setNow(&context)
      return moment
    }
    let value = arguments[0]
    switch value.kind {
    case .null: return nil
    case .integer, .real: moment.setRaw(value.asReal)
    case .text, .blob:
      guard try moment.read(value.bytes.untilNUL(), &context) else { return nil }
    }
    for index in 1..<max(1, arguments.count) {
      if arguments[index].isNull { return nil }
      let modifier = context.text(arguments[index]).untilNUL()
      guard try moment.apply(modifier, index: index, context) else { return nil }
    }
    moment.computeJulian()
    guard !moment.isError, moment.isValid else { return nil }
    // A date such as 2023-02-31 is brought into the calendar.
    if arguments.count == 1, moment.hasDate, moment.day > 28 { moment.hasDate = false }
    return moment
  }

  // MARK: Functions

  static func julianDay(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    guard let moment = try moment(&context, arguments) else { return context.setNull() }
    context.setReal(Double(moment.julian) / 86_400_000)
  }

  static func unixEpoch(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    guard let moment = try moment(&context, arguments) else { return context.setNull() }
    if moment.showsSubseconds {
      context.setReal(Double(moment.julian - DateTime.unixEpoch) / 1000)
    } else {
      context.setInteger(moment.julian / 1000 - DateTime.unixEpoch / 1000)
    }
  }

  static func date(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    guard var moment = try moment(&context, arguments) else { return context.setNull() }
    moment.computeDate()
    context.output.removeAll()
    appendDate(moment, &context.output)
    try context.setOutputText()
  }

  static func time(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    guard var moment = try moment(&context, arguments) else { return context.setNull() }
    moment.computeTime()
    context.output.removeAll()
    appendTime(moment, &context.output)
    try context.setOutputText()
  }

  static func dateTime(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    guard var moment = try moment(&context, arguments) else { return context.setNull() }
    moment.computeDateAndTime()
    context.output.removeAll()
    appendDate(moment, &context.output)
    context.output.append(0x20)
    appendTime(moment, &context.output)
    try context.setOutputText()
  }

  private static func appendDate(_ moment: DateTime, _ output: inout ByteBuffer) {
    if moment.year < 0 { output.append(0x2d) }
    output.append(number: abs(moment.year), digits: 4)
    output.append(0x2d)
    output.append(number: moment.month, digits: 2)
    output.append(0x2d)
    output.append(number: moment.day, digits: 2)
  }

  private static func appendTime(_ moment: DateTime, _ output: inout ByteBuffer) {
    output.append(number: moment.hour, digits: 2)
    output.append(0x3a)
    output.append(number: moment.minute, digits: 2)
    output.append(0x3a)
    if moment.showsSubseconds {
      appendSeconds(Int(1000 * moment.second + 0.5), &output)
    } else {
      output.append(number: Int(moment.second), digits: 2)
    }
  }

  // Digit by digit, as SQLite writes them: of a second below zero (local time outside the calendar) they are none.
  private static func appendSeconds(_ milliseconds: Int, _ output: inout ByteBuffer) {
    func append(_ digit: Int) { output.append(UInt8(0x30 + digit % 10)) }
    append(milliseconds / 10_000)
    append(milliseconds / 1000)
    output.append(0x2e)
    append(milliseconds / 100)
    append(milliseconds / 10)
    append(milliseconds)
  }

  // MARK: strftime

  static func formatted(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    if arguments.count == 0 || arguments[0].isNull { return context.setNull() }
    guard var moment = try moment(&context, arguments.dropFirst(1)) else { return context.setNull() }
    moment.computeDateAndTime()
    let format = context.text(arguments[0], .second).untilNUL()
    context.output.removeAll()
    var position = 0
    while position < format.count {
      let byte = format[position]
      position &+= 1
      if byte != 0x25 {
        context.output.append(byte)
        continue
      }
      let letter = format.byte(position)
      position &+= 1
      guard append(letter, moment, &context.output) else { return context.setNull() }
      try context.checkLength(context.output.count)
    }
    try context.setOutputText()
  }

  // False where the letter means nothing.
  private static func append(_ letter: UInt8, _ moment: DateTime, _ output: inout ByteBuffer) -> Bool {
    let hour12 = moment.hour % 12 == 0 ? 12 : moment.hour % 12
    switch letter {
    case UInt8(ascii: "d"): output.append(number: moment.day, digits: 2)
    case UInt8(ascii: "e"): output.append(number: moment.day, digits: 2, pad: 0x20)
    case UInt8(ascii: "f"): output.append(seconds: min(moment.second, 59.999))
    case UInt8(ascii: "F"):
      output.append(number: moment.year, digits: 4)
      output.append(0x2d)
      output.append(number: moment.month, digits: 2)
      output.append(0x2d)
      output.append(number: moment.day, digits: 2)
    case UInt8(ascii: "G"): output.append(number: moment.thursday.year, digits: 4)
    case UInt8(ascii: "g"): output.append(number: moment.thursday.year % 100, digits: 2)
    case UInt8(ascii: "V"): output.append(number: moment.thursday.daysAfterNewYear / 7 + 1, digits: 2)
    case UInt8(ascii: "H"): output.append(number: moment.hour, digits: 2)
    case UInt8(ascii: "k"): output.append(number: moment.hour, digits: 2, pad: 0x20)
    case UInt8(ascii: "I"): output.append(number: hour12, digits: 2)
    case UInt8(ascii: "l"): output.append(number: hour12, digits: 2, pad: 0x20)
    case UInt8(ascii: "j"): output.append(number: moment.daysAfterNewYear + 1, digits: 3)
    case UInt8(ascii: "J"): output.append(general: Double(moment.julian) / 86_400_000)
    case UInt8(ascii: "m"): output.append(number: moment.month, digits: 2)
    case UInt8(ascii: "M"): output.append(number: moment.minute, digits: 2)
    case UInt8(ascii: "p"): output.append(moment.hour >= 12 ? "PM" : "AM")
    case UInt8(ascii: "P"): output.append(moment.hour >= 12 ? "pm" : "am")
    case UInt8(ascii: "R"), UInt8(ascii: "T"):
      output.append(number: moment.hour, digits: 2)
      output.append(0x3a)
      output.append(number: moment.minute, digits: 2)
      if letter == UInt8(ascii: "T") {
        output.append(0x3a)
        output.append(number: Int(moment.second), digits: 2)
      }
    case UInt8(ascii: "s"): appendUnix(moment, &output)
    case UInt8(ascii: "S"): output.append(number: Int(moment.second), digits: 2)
    case UInt8(ascii: "u"): output.append(number: moment.daysAfterMonday + 1, digits: 1)
    case UInt8(ascii: "w"): output.append(number: moment.daysAfterSunday, digits: 1)
    case UInt8(ascii: "U"):
      output.append(number: (moment.daysAfterNewYear - moment.daysAfterSunday + 7) / 7, digits: 2)
    case UInt8(ascii: "W"):
      output.append(number: (moment.daysAfterNewYear - moment.daysAfterMonday + 7) / 7, digits: 2)
    case UInt8(ascii: "Y"): output.append(number: moment.year, digits: 4)
    case UInt8(ascii: "%"): output.append(0x25)
    default: return false
    }
    return true
  }

  private static func appendUnix(_ moment: DateTime, _ output: inout ByteBuffer) {
    if !moment.showsSubseconds {
      return output.append(integer: moment.julian / 1000 - DateTime.unixEpoch / 1000)
    }
    let milliseconds = moment.julian - DateTime.unixEpoch
    if milliseconds < 0 { output.append(0x2d) }
    output.append(decimal: milliseconds.magnitude / 1000)
    output.append(0x2e)
    output.append(number: Int(milliseconds.magnitude % 1000), digits: 3)
  }

  // MARK: timediff

  /// What must be added to the second moment to arrive at the first: ±YYYY-MM-DD HH:MM:SS.SSS.
  static func difference(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    guard var later = try moment(&context, arguments.prefix(1)), var earlier = try moment(&context, arguments.dropFirst(1))
    else { return context.setNull() }
    later.computeDateAndTime()
    earlier.computeDateAndTime()
    let isPositive = later.julian >= earlier.julian
    var years = isPositive ? later.year - earlier.year : earlier.year - later.year
    if years != 0 { earlier.move(toYear: later.year, month: earlier.month) }
    var months = isPositive ? later.month - earlier.month : earlier.month - later.month
    if months < 0 {
      years -= 1
      months += 12
    }
    if months != 0 { earlier.move(toYear: earlier.year, month: later.month) }
    while isPositive ? later.julian < earlier.julian : later.julian > earlier.julian {
      months -= 1
      if months < 0 {
        months = 11
        years -= 1
      }
      var month = earlier.month + (isPositive ? -1 : 1)
      var year = earlier.year
      if month < 1 {
        month = 12
        year -= 1
      } else if month > 12 {
        month = 1
        year += 1
      }
      earlier.move(toYear: year, month: month)
    }
    // The rest, as a date in a month that starts at day 1.
    var rest = DateTime()
    rest.julian = abs(later.julian - earlier.julian) + 148_699_540_800_000
    rest.hasJulian = true
    rest.computeDateAndTime()
    context.output.removeAll()
    context.output.append(isPositive ? 0x2b : 0x2d)
    context.output.append(number: years, digits: 4)
    context.output.append(0x2d)
    context.output.append(number: months, digits: 2)
    context.output.append(0x2d)
    context.output.append(number: rest.day - 1, digits: 2)
    context.output.append(0x20)
    rest.showsSubseconds = true
    appendTime(rest, &context.output)
    try context.setOutputText()
  }
}

extension DateTime {
  fileprivate mutating func move(toYear newYear: Int, month newMonth: Int) {
    year = newYear
    month = newMonth
    hasJulian = false
    computeJulian()
  }
}

extension ByteBuffer {
  /// At least so many characters, a minus sign among them, filled up with `pad` in front.
  fileprivate mutating func append(number: Int, digits: Int, pad: UInt8 = 0x30) {
    var width = number < 0 ? 2 : 1
    var rest = number.magnitude / 10
    while rest > 0 {
      width &+= 1
      rest /= 10
    }
    if number < 0, pad == 0x30 { append(0x2d) }
    while width < digits {
      append(pad)
      width &+= 1
    }
    append(decimal: UInt64(number.magnitude))
  }

  /// As `%06.3f` prints it, for numbers from -1 to 60.
  fileprivate mutating func append(seconds: Double) {
    let decimal = DecimalDigits(seconds, rounding: -3, digitsMax: 16)
    func digit(_ place: Int) -> UInt8 {
      let index = decimal.pointPosition &- 1 &- place
      return index >= 0 && index < decimal.count ? decimal.digits[index] : 0x30
    }
    append(decimal.isNegative ? 0x2d : digit(1))
    append(digit(0))
    append(0x2e)
    for place in 1...3 { append(digit(-place)) }
  }

  /// As `%.16g` prints it, for numbers from 0 to 10^7.
  fileprivate mutating func append(general value: Double) {
    let decimal = DecimalDigits(value, rounding: 16, digitsMax: 16)
    let exponent = decimal.pointPosition &- 1
    if value != 0, exponent < -4 {
      append(decimal.digits[0])
      if decimal.count > 1 { append(0x2e) }
      for index in 1..<max(1, decimal.count) { append(decimal.digits[index]) }
      append("e-")
      return append(number: -exponent, digits: 2)
    }
    if decimal.pointPosition <= 0 { append(0x30) }
    for index in 0..<max(0, decimal.pointPosition) {
      append(index < decimal.count ? decimal.digits[index] : 0x30)
    }
    guard decimal.count > decimal.pointPosition, value != 0 else { return }
    append(0x2e)
    for _ in min(0, decimal.pointPosition)..<0 { append(0x30) }
    for index in max(0, decimal.pointPosition)..<decimal.count { append(decimal.digits[index]) }
  }
}
