// The aggregates `group_concat` and `string_agg`: the group's state owns the text. `unsafe` lives here, for the view of
// the state block. Source: https://sqlite.org/lang_aggfunc.html

import ApusBase
import ApusVM

enum GroupConcatFunctions {
  static let definitions: [FunctionDefinition] = [
    .aggregate("group_concat", .exactly(1), [.innocuous], function),
    .aggregate("group_concat", .exactly(2), [.innocuous], function),
    .aggregate("string_agg", .exactly(2), [.innocuous], function),
  ]

  private static let function = AggregateFunction(
    stateByteCount: MemoryLayout<Joined>.size, step: step, finalize: finalize, value: value, inverse: inverse,
    destroy: { state in _ = unsafe state.pointer(as: Joined.self).move() })

  // All zero is the empty state. What `removeFirst` does follows SQLite to the letter: a frame whose text has become
  // empty starts anew, also where an empty term is left in it.
  private struct Joined: ~Copyable {
    var text: ByteBuffer
    /// The length of the separator in front of each term but the first, four bytes each; empty while all are as long
    /// as the first row's.
    var separatorLengths: ByteBuffer
    var firstSeparatorLength: Int
    var termCount: Int
    /// The next term gets a separator in front.
    var isOpen: Bool

    mutating func noteSeparator(_ length: Int) {
      if separatorLengths.count == 0 {
        if length == firstSeparatorLength { return }
        for _ in 1..<max(1, termCount) { appendLength(firstSeparatorLength) }
      }
      appendLength(length)
    }

    private mutating func appendLength(_ length: Int) {
      let offset = separatorLengths.count
      separatorLengths.resize(to: offset &+ 4)
      separatorLengths.mutableBytes.setLittleEndianUInt32(UInt32(truncatingIfNeeded: length), at: offset)
    }

    mutating func removeFirst(_ byteCount: Int) {
      termCount &-= 1
      var length = byteCount
      if separatorLengths.count >= 4 {
        if termCount > 0 {
          length &+= Int(separatorLengths.bytes.littleEndianUInt32(at: 0))
          separatorLengths.removeFirst(4)
        }
      } else {
        length &+= firstSeparatorLength
      }
      text.removeFirst(min(length, text.count))
      if text.count == 0 {
        isOpen = false
        separatorLengths.removeAll()
      }
    }
  }

  private static func step(
    _ context: inout FunctionContext, _ state: AggregateState, _ arguments: ValueRange
  ) throws(Fault) {
    if arguments[0].isNull { return }
    let joined = unsafe state.pointer(as: Joined.self)
    if unsafe joined.pointee.isOpen {
      let before = unsafe joined.pointee.text.count
      if arguments.count == 2 {
        unsafe arguments[1].appendText(to: &joined.pointee.text)
        unsafe joined.pointee.noteSeparator(joined.pointee.text.count &- before)
      } else {
        unsafe joined.pointee.text.append(0x2c)
      }
    } else {
      unsafe joined.pointee.isOpen = true
      unsafe joined.pointee.firstSeparatorLength = arguments.count == 2 ? context.text(arguments[1]).count : 1
    }
    unsafe joined.pointee.termCount &+= 1
    unsafe arguments[0].appendText(to: &joined.pointee.text)
    unsafe try context.checkLength(joined.pointee.text.count)
  }

  private static func inverse(
    _ context: inout FunctionContext, _ state: AggregateState, _ arguments: ValueRange
  ) throws(Fault) {
    if arguments[0].isNull { return }
    let byteCount = context.text(arguments[0]).count
    let joined = unsafe state.pointer(as: Joined.self)
    if unsafe joined.pointee.termCount > 0 { unsafe joined.pointee.removeFirst(byteCount) }
  }

  private static func value(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    let joined = unsafe state.pointer(as: Joined.self)
    if unsafe joined.pointee.termCount == 0 { return context.setNull() }
    unsafe try context.setText(joined.pointee.text.bytes)
  }

  // The text changes hands instead of being copied.
  private static func finalize(_ context: inout FunctionContext, _ state: AggregateState) throws(Fault) {
    let joined = unsafe state.pointer(as: Joined.self)
    if unsafe joined.pointee.termCount == 0 { return context.setNull() }
    unsafe swap(&context.output, &joined.pointee.text)
    try context.setOutputText()
  }
}

extension ByteBuffer {
  fileprivate mutating func removeFirst(_ byteCount: Int) {
    let rest = count &- byteCount
    mutableBytes.move(from: byteCount, to: 0, length: rest)
    resize(to: rest)
  }
}
