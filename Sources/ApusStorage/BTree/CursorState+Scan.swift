// Works rows off in a leaf by steps that need nobody else: what `next`, `column`, a comparison and an aggregate's step
// come to when they are taken together. Whatever is out of the ordinary (a record that overflows, a long header, damage,
// types that must be converted) ends it before the row, which then goes the usual way.
//
// `unsafe` lives here: bounds are checked once per record, as in CursorState+Record.

import ApusBase

extension CursorState {
  private enum Verdict { case pass, reject, unclear }

  /// Works off rows from the current one on, to the end of the leaf at most.
  /// - Returns: true where all rows of the leaf are done with: the cursor stands on the last one. False: it stands on a
  ///   row that was not touched.
  mutating func scan(_ steps: inout ScanSteps) -> Bool {
    steps.callCount &+= 1
    guard position == .atRow, current.page.isLeaf else { return false }
    let page = current.page
    let bytes = page.bytes
    let base = unsafe bytes.unsafeBase
    let cellCount = page.cellCount
    let first = current.index
    var index = unsafe addIntegers(from: first, bytes, page, &steps)
    rows: while index < cellCount {
      guard let cell = unsafe quickCell(page.pointersStart &+ 2 &* index, bytes, from: page.pointersEnd) else { break }
      let (offset, size) = cell
      let end = unsafe Int(base.load(fromByteOffset: offset, as: UInt8.self))
      guard end < 0x80, end <= size, end > 0 else { break }
      let record = unsafe base + offset
      var known = 0
      var next = 1
      var body = end
      var isRejected = false
      var step = 0
      while step < steps.count {
        let action = unsafe steps.base[step].action
        if action == .count {
          step &+= 1
          continue
        }
        let column = unsafe Int(steps.base[step].column)
        while known <= column {
          guard next < end else { break rows }
          let type = unsafe UInt64(record.load(fromByteOffset: next, as: UInt8.self))
          if type >= 0x80 { break rows }
          slots.set(known, offset: body, type: type)
          body &+= SerialType.byteCount(type)
          next &+= 1
          known &+= 1
        }
        let slot = slots[column]
        let type = UInt64(slot.type)
        let length = SerialType.byteCount(type)
        guard Int(slot.offset) &+ length <= size else { break rows }
        let place = unsafe record + Int(slot.offset)
        switch action {
        case .compare:
          switch unsafe CursorState.verdict(steps.base + step, type, length, place) {
          case .pass: break
          case .reject: isRejected = true
          case .unclear: break rows
          }
        case .rejectNull: isRejected = type == SerialType.null
        case .rejectNotNull: isRejected = type != SerialType.null
        case .sum:
          guard unsafe CursorState.takes(steps.base + step, type, length, place) else { break rows }
        case .count: break
        }
        if isRejected { break }
        step &+= 1
      }
      if !isRejected {
        if !steps.isWhole { break }
        unsafe add(steps.base, steps.count, record)
      }
      index &+= 1
    }
    steps.rowCount &+= index &- first
    parsedColumns = -1
    let isDone = index == cellCount
    current.index = isDone ? cellCount &- 1 : index
    return isDone
  }

  /// Where the record of a cell begins, and its length; nil where the cell is out of the ordinary. The record lies inside
  /// the page, and its first byte too where it is empty.
  @unsafe
  @inline(__always)
  private func quickCell(_ pointer: Int, _ bytes: ByteView, from pointersEnd: Int) -> (offset: Int, size: Int)? {
    let base = unsafe bytes.unsafeBase
    var offset = bytes.bigEndianUInt16(at: pointer)
    guard offset >= pointersEnd, offset <= bytes.count &- 12 else { return nil }
    var size = unsafe Int(base.load(fromByteOffset: offset, as: UInt8.self))
    offset &+= 1
    if size >= 0x80 {
      let low = unsafe Int(base.load(fromByteOffset: offset, as: UInt8.self))
      offset &+= 1
      if low >= 0x80 { return nil }
      size = (size & 0x7f) << 7 | low
    }
    if isTable {
      let word = unsafe UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      offset &+= (~word & 0x8080_8080_8080_8080).trailingZeroBitCount >> 3 &+ 1
    }
    guard size <= localMax, offset <= bytes.count &- size else { return nil }
    return (offset, size)
  }

  /// The commonest of all loops by itself: the sum of one column's integers, with nothing kept between a row's columns
  /// and everything that is kept between rows in registers.
  /// - Returns: the first row that was not added: it holds something else, or the loop does more.
  @unsafe
  @inline(__always)
  private func addIntegers(
    from first: Int, _ bytes: ByteView, _ page: BTreePage, _ steps: inout ScanSteps
  ) -> Int {
    guard steps.isWhole, steps.count == 1, unsafe steps.base.pointee.action == .sum,
      unsafe !steps.base.pointee.isReal, let target = unsafe steps.base.pointee.target
    else { return first }
    let sum = unsafe target.assumingMemoryBound(to: QuickSum.self)
    if unsafe sum.pointee.isApproximate { return first }
    let column = unsafe Int(steps.base.pointee.column)
    let (cellCount, pointersStart, pointersEnd) = (page.cellCount, page.pointersStart, page.pointersEnd)
    let base = unsafe bytes.unsafeBase
    var exact = unsafe sum.pointee.exact
    var count = unsafe sum.pointee.count
    var index = first
    rows: while index < cellCount {
      guard let cell = unsafe quickCell(pointersStart &+ 2 &* index, bytes, from: pointersEnd) else { break }
      let record = unsafe base + cell.offset
      let end = unsafe Int(record.load(as: UInt8.self))
      guard end <= cell.size, column &+ 1 < end, end < 0x80 else { break }
      var body = end
      for place in 1..<column &+ 1 {
        let type = unsafe UInt64(record.load(fromByteOffset: place, as: UInt8.self))
        if type >= 0x80 { break rows }
        body &+= SerialType.byteCount(type)
      }
      let type = unsafe UInt64(record.load(fromByteOffset: column &+ 1, as: UInt8.self))
      if type &- 1 < 6 {
        let length = SerialType.byteCount(type)
        guard body &+ length <= cell.size else { break }
        let value = unsafe SerialType.load(type, length, record + body).integerValue
        let (next, overflow) = exact.addingReportingOverflow(value)
        if overflow { break }
        exact = next
        count &+= 1
      } else if type == SerialType.one {
        guard body <= cell.size, exact < Int64.max else { break }
        exact &+= 1
        count &+= 1
      } else if type == SerialType.zero {
        guard body <= cell.size else { break }
        count &+= 1
      } else if type != SerialType.null || body > cell.size {
        break
      }
      index &+= 1
    }
    unsafe sum.pointee.exact = exact
    unsafe sum.pointee.count = count
    return index
  }

  /// The sums and counts of a row whose columns were looked at.
  @unsafe
  @inline(__always)
  private mutating func add(_ steps: UnsafeMutablePointer<ScanStep>, _ count: Int, _ record: UnsafeRawPointer) {
    for step in 0..<count {
      let target = unsafe steps[step].target
      switch unsafe steps[step].action {
      case .count: unsafe target?.assumingMemoryBound(to: Int64.self).pointee &+= 1
      case .sum:
        let slot = slots[unsafe Int(steps[step].column)]
        let type = UInt64(slot.type)
        let value = unsafe SerialType.load(type, SerialType.byteCount(type), record + Int(slot.offset))
        if value.kind == .integer {
          _ = unsafe target?.assumingMemoryBound(to: QuickSum.self).pointee.add(value.integerValue)
        } else if value.kind == .real {
          _ = unsafe target?.assumingMemoryBound(to: QuickSum.self).pointee.add(value.realValue)
        }
      default: break
      }
    }
  }

  /// True where the sum takes this column without conversion. The accumulators of a row's sums are different ones.
  @unsafe
  @inline(__always)
  private static func takes(
    _ step: UnsafeMutablePointer<ScanStep>, _ type: UInt64, _ length: Int, _ place: UnsafeRawPointer
  ) -> Bool {
    let value = unsafe SerialType.load(type, length, place)
    guard let target = unsafe step.pointee.target else { return false }
    let sum = unsafe target.assumingMemoryBound(to: QuickSum.self)
    switch value.kind {
    case .null: return true
    case .integer: return unsafe !step.pointee.isReal && sum.pointee.takes(value.integerValue)
    case .real: return unsafe sum.pointee.isApproximate
    case .text, .blob: return false
    }
  }

  @unsafe
  @inline(__always)
  private static func verdict(
    _ step: UnsafeMutablePointer<ScanStep>, _ type: UInt64, _ length: Int, _ place: UnsafeRawPointer
  ) -> Verdict {
    let value = unsafe SerialType.load(type, length, place)
    let operand = unsafe step.pointee.operand
    let order: Int
    switch (value.kind, operand.kind) {
    case (.integer, .integer):
      let left = value.integerValue
      if unsafe step.pointee.isReal && left.magnitude > exactMax { return .unclear }
      order = left < operand.integerValue ? -1 : (left == operand.integerValue ? 0 : 1)
    case (.real, .real): order = CursorState.order(value.realValue, operand.realValue)
    case (.integer, .real):
      guard value.integerValue.magnitude <= exactMax else { return .unclear }
      order = CursorState.order(Double(value.integerValue), operand.realValue)
    case (.real, .integer):
      guard operand.integerValue.magnitude <= exactMax else { return .unclear }
      order = CursorState.order(value.realValue, Double(operand.integerValue))
    case (.text, .text):
      guard unsafe step.pointee.comparesBytes else { return .unclear }
      order = value.bytes.compare(operand.bytes)
    case (.null, _), (_, .null): return unsafe step.pointee.rejectsNull ? .reject : .pass
    default: return .unclear
    }
    let bit: UInt8 = order < 0 ? 1 : (order == 0 ? 2 : 4)
    return unsafe step.pointee.orders & bit != 0 ? .reject : .pass
  }

  /// Integers up to here are exact as doubles.
  private static var exactMax: UInt64 { 1 << 53 }

  @inline(__always)
  private static func order(_ left: Double, _ right: Double) -> Int { left < right ? -1 : (left == right ? 0 : 1) }
}
