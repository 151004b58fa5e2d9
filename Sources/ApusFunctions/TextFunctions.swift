// Functions on text and blobs. Source: https://sqlite.org/lang_corefunc.html
//
// Characters are counted as SQLite counts them: some functions stop at the first NUL, others do not.

import ApusBase
import ApusVM

enum TextFunctions {
  static let definitions: [FunctionDefinition] = [
    .scalar("length", .exactly(1), length),
    .scalar("octet_length", .exactly(1), octetLength),
    .scalar("substr", .exactly(2), substring),
    .scalar("substr", .exactly(3), substring),
    .scalar("substring", .exactly(2), substring),
    .scalar("substring", .exactly(3), substring),
    .scalar("instr", .exactly(2), position),
    .scalar("upper", .exactly(1), upper),
    .scalar("lower", .exactly(1), lower),
    .scalar("trim", .exactly(1), trim),
    .scalar("trim", .exactly(2), trim),
    .scalar("ltrim", .exactly(1), trimLeft),
    .scalar("ltrim", .exactly(2), trimLeft),
    .scalar("rtrim", .exactly(1), trimRight),
    .scalar("rtrim", .exactly(2), trimRight),
    .scalar("replace", .exactly(3), replace),
    .scalar("concat", .atLeast(1), concatenate),
    .scalar("concat_ws", .atLeast(2), concatenateSeparated),
    .scalar("unicode", .exactly(1), unicode),
    .scalar("char", .any, characters),
  ]

  // MARK: Length

  static func length(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let value = arguments[0]
    switch value.kind {
    case .null: context.setNull()
    case .integer, .real: context.setInteger(Int64(context.text(value).count))
    case .blob: context.setInteger(Int64(value.bytes.count))
    case .text: context.setInteger(Int64(value.bytes.untilNUL().characterCount))
    }
  }

  static func octetLength(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let value = arguments[0]
    if value.isNull { return context.setNull() }
    let bytes = context.text(value)
    context.setInteger(Int64(value.kind == .blob ? bytes.count : context.textEncoding.byteCount(bytes)))
  }

  // MARK: Parts

  static func substring(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let value = arguments[0]
    if value.isNull || arguments[1].isNull { return context.setNull() }
    if arguments.count == 3, arguments[2].isNull { return context.setNull() }
    let isBlob = value.kind == .blob
    // A blob of no bytes has no part, not even an empty one: SQLite sees no address there.
    if isBlob, value.bytes.count == 0 { return context.setNull() }
    let bytes = isBlob ? value.bytes : context.text(value).untilNUL()
    let start = arguments[1].asInteger
    let count = arguments.count == 3 ? arguments[2].asInteger : Int64.max
    let (first, length) = range(start, count, total: start < 0 ? (isBlob ? bytes.count : bytes.characterCount) : nil)
    let part = isBlob ? byteRange(bytes, first, length) : characterRange(bytes, first, length)
    if isBlob {
      context.setBorrowedBlob(part)
    } else if value.kind == .text {
      context.setBorrowedText(part)
    } else {
      try context.setText(part)
    }
  }

  // The 0-based start and the length that `substr` means; `total` is needed where it counts from the end.
  private static func range(_ start: Int64, _ count: Int64, total: Int?) -> (first: Int64, length: Int64) {
    var first = start
    var length = count
    if first < 0 {
      first += Int64(total ?? 0)
      if first < 0 {
        length = length < 0 ? 0 : length &+ first
        first = 0
      }
    } else if first > 0 {
      first -= 1
    } else if length > 0 {
      length -= 1
    }
    if length < 0 {
      // A negative length takes what stands before the start.
      length = first.magnitude < length.magnitude ? first : -length
      first -= length
    }
    return (first, length)
  }

  private static func byteRange(_ bytes: ByteView, _ first: Int64, _ length: Int64) -> ByteView {
    guard first < bytes.count else { return bytes.slice(bytes.count, 0) }
    return bytes.slice(Int(first), min(Int(length), bytes.count &- Int(first)))
  }

  private static func characterRange(_ bytes: ByteView, _ first: Int64, _ length: Int64) -> ByteView {
    var start = 0
    var skipped: Int64 = 0
    while skipped < first, start < bytes.count {
      start = bytes.characterEnd(start)
      skipped &+= 1
    }
    var end = start
    var taken: Int64 = 0
    while taken < length, end < bytes.count {
      end = bytes.characterEnd(end)
      taken &+= 1
    }
    return bytes.slice(start, end &- start)
  }

  // MARK: Search

  static func position(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    if arguments[0].isNull || arguments[1].isNull { return context.setNull() }
    let isText = !(arguments[0].kind == .blob && arguments[1].kind == .blob)
    let haystack = context.text(arguments[0], .first)
    let needle = context.text(arguments[1], .second)
    if needle.count == 0 { return context.setInteger(1) }
    var number: Int64 = 1
    var offset = 0
    while needle.count <= haystack.count &- offset {
      if haystack[offset] == needle[0], haystack.slice(offset, needle.count).elementsEqual(needle) {
        return context.setInteger(number)
      }
      number &+= 1
      offset &+= 1
      while isText, offset < haystack.count, haystack[offset] & 0xc0 == 0x80 { offset &+= 1 }
    }
    context.setInteger(0)
  }

  // MARK: Case

  static func upper(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    try changeCase(&context, arguments[0], from: 0x61)
  }

  static func lower(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    try changeCase(&context, arguments[0], from: 0x41)
  }

  // ASCII letters only: those of the alphabet that starts at `first` change to the other one.
  private static func changeCase(_ context: inout FunctionContext, _ value: Value, from first: UInt8) throws(Fault) {
    if value.isNull { return context.setNull() }
    try context.setText(context.text(value))
    let bytes = context.output.mutableBytes
    for offset in 0..<bytes.count where bytes[offset] &- first < 26 { bytes[offset] ^= 0x20 }
  }

  // MARK: Trim

  static func trim(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    try trim(&context, arguments, left: true, right: true)
  }

  static func trimLeft(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    try trim(&context, arguments, left: true, right: false)
  }

  static func trimRight(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    try trim(&context, arguments, left: false, right: true)
  }

  private static func trim(
    _ context: inout FunctionContext, _ arguments: ValueRange, left: Bool, right: Bool
  ) throws(Fault) {
    let value = arguments[0]
    if value.isNull || (arguments.count == 2 && arguments[1].isNull) { return context.setNull() }
    let bytes = context.text(value, .first)
    var start = 0
    var end = bytes.count
    if arguments.count == 1 {
      while left, start < end, bytes[start] == 0x20 { start &+= 1 }
      while right, start < end, bytes[end &- 1] == 0x20 { end &-= 1 }
    } else {
      let set = context.text(arguments[1], .second).untilNUL()
      while left, start < end {
        let length = leadingMember(of: set, in: bytes.slice(start, end &- start))
        if length == 0 { break }
        start &+= length
      }
      while right, start < end {
        let length = trailingMember(of: set, in: bytes.slice(start, end &- start))
        if length == 0 { break }
        end &-= length
      }
    }
    let part = bytes.slice(start, end &- start)
    if value.hasBytes { context.setBorrowedText(part) } else { try context.setText(part) }
  }

  // How many bytes the first character of `set` takes that `bytes` starts with.
  private static func leadingMember(of set: ByteView, in bytes: ByteView) -> Int {
    var offset = 0
    while offset < set.count {
      let end = set.characterEnd(offset)
      let length = end &- offset
      if length <= bytes.count, bytes.slice(0, length).elementsEqual(set.slice(offset, length)) { return length }
      offset = end
    }
    return 0
  }

  private static func trailingMember(of set: ByteView, in bytes: ByteView) -> Int {
    var offset = 0
    while offset < set.count {
      let end = set.characterEnd(offset)
      let length = end &- offset
      if length <= bytes.count,
        bytes.slice(bytes.count &- length, length).elementsEqual(set.slice(offset, length))
      {
        return length
      }
      offset = end
    }
    return 0
  }

  // MARK: Building

  static func replace(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    if arguments[0].isNull || arguments[1].isNull { return context.setNull() }
    let text = context.text(arguments[0], .first)
    let pattern = context.text(arguments[1], .second)
    if pattern.count == 0 || pattern[0] == 0 { return try context.setText(text) }
    if arguments[2].isNull { return context.setNull() }
    let replacement = context.text(arguments[2], .third)
    context.output.removeAll()
    var copied = 0
    var offset = 0
    while offset <= text.count &- pattern.count {
      if text[offset] == pattern[0], text.slice(offset, pattern.count).elementsEqual(pattern) {
        context.output.append(text.slice(copied, offset &- copied))
        context.output.append(replacement)
        try context.checkLength(context.output.count)
        offset &+= pattern.count
        copied = offset
      } else {
        offset &+= 1
      }
    }
    context.output.append(text.suffix(from: copied))
    try context.setOutputText()
  }

  static func concatenate(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.output.removeAll()
    for index in 0..<arguments.count {
      arguments[index].appendText(to: &context.output)
      try context.checkLength(context.output.count)
    }
    try context.setOutputText()
  }

  static func concatenateSeparated(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    if arguments[0].isNull { return context.setNull() }
    let separator = context.text(arguments[0])
    context.output.removeAll()
    var isFirst = true
    for index in 1..<arguments.count where !arguments[index].isNull {
      if !isFirst { context.output.append(separator) }
      isFirst = false
      arguments[index].appendText(to: &context.output)
      try context.checkLength(context.output.count)
    }
    try context.setOutputText()
  }

  static func unicode(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let text = context.text(arguments[0])
    if text.count == 0 || text[0] == 0 { return context.setNull() }
    context.setInteger(Int64(text.character(at: 0).code))
  }

  static func characters(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.output.removeAll()
    for index in 0..<arguments.count {
      let code = arguments[index].asInteger
      context.output.append(character: code < 0 || code > 0x10ffff ? 0xfffd : UInt32(code))
    }
    try context.setOutputText()
  }
}
