// Compares a stored record with a key of unpacked values: the inner loop of every index search.

import ApusBase

/// What a comparison with a record came to. Ordinary results are negative, zero or positive.
enum RecordOrder {
  /// The record goes on where the given bytes end: assemble it and compare again.
  static let isIncomplete = Int.min
  /// The record contradicts itself.
  static let isDamaged = Int.min &+ 1

  /// The order of the record's first `key.count` columns relative to `key`.
  ///
  /// A record with fewer columns than the key equals it if those that it has are equal.
  /// - Parameters:
  ///   - bytes: the record, or as much of its front as lies on the page.
  ///   - byteCount: the whole record's size.
  /// - Returns: negative, zero or positive, `isIncomplete` or `isDamaged`.
  @inline(__always)
  static func compare(_ bytes: ByteView, byteCount: Int, _ key: ValueRange, _ order: KeyOrder) -> Int {
    // A first column that differs decides most comparisons: an integer or a binary text, ascending.
    if bytes.count > 2, key.count > 0, bytes[0] < 0x80 {
      let first = key[0]
      let column = order[0]
      let type = UInt64(bytes[1])
      let offset = Int(bytes[0])
      if first.kind == .integer, !column.isDescending, type < 10, type != 7, type != 0,
        offset <= bytes.count &- SerialType.byteCount(type)
      {
        let stored = SerialType.value(type, bytes, at: offset).integerValue
        let sought = first.integerValue
        if stored != sought { return stored < sought ? -1 : 1 }
        if key.count == 1 { return 0 }
      } else if first.kind == .text, column.kind == .binary, !column.isDescending, type >= 13, type & 1 == 1,
        type < 0x80, offset <= bytes.count &- SerialType.byteCount(type)
      {
        let result = bytes.slice(offset, SerialType.byteCount(type)).compare(first.bytes)
        if result != 0 || key.count == 1 { return result }
      }
    }
    return compareColumns(bytes, byteCount: byteCount, key, order)
  }

  private static func compareColumns(_ bytes: ByteView, byteCount: Int, _ key: ValueRange, _ order: KeyOrder) -> Int {
    guard let (size, firstType) = bytes.varint(at: 0) else { return missing(bytes, byteCount) }
    guard size <= UInt64(byteCount), size >= UInt64(firstType) else { return isDamaged }
    let headerEnd = Int(size)
    var header = firstType
    var body = headerEnd
    for index in 0..<key.count {
      if header >= headerEnd { return 0 }
      guard let (type, next) = bytes.varint(at: header) else { return missing(bytes, byteCount) }
      guard next <= headerEnd, type < 1 << 33 else { return isDamaged }
      let length = SerialType.byteCount(type)
      guard length <= byteCount &- body else { return isDamaged }
      let sought = key[index]
      if body &+ length > bytes.count {
        // Types that differ need no bytes; a binary text or blob may differ in those that are here.
        let result = partialOrder(type, bytes, body, sought, order, index)
        if result == 0 { return isIncomplete }
        return result
      }
      let stored = SerialType.value(type, bytes, at: body)
      let result = order.compare(stored, sought, at: index)
      if result != 0 { return result }
      header = next
      body &+= length
    }
    return 0
  }

  @inline(never)
  private static func partialOrder(
    _ type: UInt64, _ bytes: ByteView, _ body: Int, _ sought: Value, _ order: KeyOrder, _ index: Int
  ) -> Int {
    let column = order[index]
    guard type >= SerialType.firstBlob, body < bytes.count else { return 0 }
    let here = bytes.suffix(from: body)
    let isText = type & 1 == 1
    if isText, sought.kind == .text, column.kind != .binary { return 0 }
    if sought.kind == (isText ? .text : .blob) {
      let shared = min(here.count, sought.bytes.count)
      let result = here.slice(0, shared).compare(sought.bytes.slice(0, shared))
      return column.isDescending ? -result : result
    }
    let stored: Value = isText ? .text(here) : .blob(here)
    return order.compare(stored, sought, at: index)
  }

  private static func missing(_ bytes: ByteView, _ byteCount: Int) -> Int {
    bytes.count < byteCount ? isIncomplete : isDamaged
  }
}
