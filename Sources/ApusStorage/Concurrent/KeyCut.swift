// Cuts: places in the order of an index's entries, and what compares them.
//
// A cut lies before or behind all entries that equal its columns, or at one of the tree's two ends. It is kept as a record
// of those columns, so that it needs nothing of the page or the register that it came from. Two cuts:
//
//   columns differ                      as the tree orders them
//   one has fewer columns, else equal   the shorter one's side decides: all that begins with it lies behind, or before, it
//   equal columns                       before, then behind
//
// `unsafe` lives here: the bytes of arrays are compared in place.

import ApusBase

struct KeyCut: Equatable, Sendable {
  enum Side: Int8, Sendable { case start = -2, before = -1, behind = 1, end = 2 }

  var side: Side
  /// A record of the columns; empty at an end.
  var record: [UInt8]
  var columnCount: Int

  static let start = KeyCut(side: .start, record: [], columnCount: 0)
  static let end = KeyCut(side: .end, record: [], columnCount: 0)

  private init(side: Side, record: [UInt8], columnCount: Int) {
    self.side = side
    self.record = record
    self.columnCount = columnCount
  }

  /// A record of so many columns; without any, the end that all entries lie before or behind.
  init(_ record: [UInt8], columnCount: Int, isBehind: Bool) {
    if columnCount == 0 {
      self = isBehind ? .end : .start
      return
    }
    self.init(side: isBehind ? .behind : .before, record: record, columnCount: columnCount)
  }

  /// The cut at a search key.
  init(_ key: ValueRange, isBehind: Bool) {
    var buffer = ByteBuffer()
    guard key.count > 0, (try? RecordCodec.encode(key, into: &buffer)) != nil else {
      self = isBehind ? .end : .start
      return
    }
    self.init(buffer.bytes.array, columnCount: key.count, isBehind: isBehind)
  }

  var isBehind: Bool { side.rawValue > 0 }

  /// The same columns, on the other side. An end stands for columns that are not known: the other one lies across all entries.
  func turned(isBehind: Bool) -> KeyCut {
    switch side {
    case .start, .end: isBehind ? .end : .start
    case .before, .behind: KeyCut(side: isBehind ? .behind : .before, record: record, columnCount: columnCount)
    }
  }
}

/// The first columns of a record, as far as they lie in the bytes at hand, as a record of their own.
enum RecordPrefix {
  /// - Parameter local: the record, or its front.
  /// - Returns: the record and its columns; no column where not even the first is at hand whole.
  static func copy(_ local: ByteView, columnCountMax: Int) -> (record: [UInt8], columnCount: Int) {
    guard let (size, typesStart) = local.varint(at: 0), size <= UInt64(local.count), size >= UInt64(typesStart) else {
      return ([], 0)
    }
    let headerEnd = Int(size)
    var (header, body, count) = (typesStart, headerEnd, 0)
    while header < headerEnd, count < columnCountMax {
      guard let (type, next) = local.varint(at: header), next <= headerEnd, type < 1 << 33,
        SerialType.byteCount(type) <= local.count &- body
      else { break }
      header = next
      body &+= SerialType.byteCount(type)
      count &+= 1
    }
    if count == 0 { return ([], 0) }
    let typesBytes = header - typesStart
    var sizeBytes = 1
    while Varint.byteCount(UInt64(typesBytes + sizeBytes)) > sizeBytes { sizeBytes += 1 }
    var buffer = ByteBuffer(capacity: sizeBytes + typesBytes + body - headerEnd)
    buffer.resize(to: sizeBytes)
    _ = buffer.mutableBytes.setVarint(UInt64(typesBytes + sizeBytes), at: 0)
    buffer.append(local.slice(typesStart, typesBytes))
    buffer.append(local.slice(headerEnd, body - headerEnd))
    return (buffer.bytes.array, count)
  }
}

/// Compares records and cuts of one tree in its order.
final class KeyComparer {
  let description: KeyDescription
  private var values = KeyValues()

  init(_ description: KeyDescription) { self.description = description }

  /// The order of the columns that both have.
  func order(_ left: [UInt8], _ right: [UInt8]) -> Int {
    #if PlantedBugs
      if PlantedBug.isActive(.compareBytes) {
        return left.withView { left in right.withView { right in left.compare(right) } }
      }
    #endif
    return right.withView { right in
      _ = values.load(right, most: .max)
      return left.withView { left in RecordOrder.compare(left, byteCount: left.count, values.range, description.order) }
    }
  }

  func order(_ left: KeyCut, _ right: KeyCut) -> Int {
    if left.columnCount == 0 || right.columnCount == 0 { return Int(left.endRank) - Int(right.endRank) }
    let result = order(left.record, right.record)
    if result != 0 { return result }
    if left.columnCount == right.columnCount { return Int(left.side.rawValue) - Int(right.side.rawValue) }
    return left.columnCount < right.columnCount ? Int(left.side.rawValue) : -Int(right.side.rawValue)
  }

  /// The order of a cut and an entry; never 0.
  func order(_ cut: KeyCut, entry: [UInt8]) -> Int {
    if cut.columnCount == 0 { return Int(cut.endRank) }
    let result = order(cut.record, entry)
    return result != 0 ? result : Int(cut.side.rawValue)
  }
}

extension KeyCut {
  /// What a comparison with one of the ends goes by.
  fileprivate var endRank: Int8 { columnCount == 0 ? side.rawValue : 0 }
}

extension [UInt8] {
  /// The bytes in place, for the length of the call.
  func withView<R>(_ body: (ByteView) -> R) -> R {
    unsafe withUnsafeBytes { bytes in
      guard unsafe bytes.baseAddress != nil else { return body(.empty) }
      return body(unsafe ByteView(unchecked: bytes))
    }
  }
}

extension KeyDescription {
  /// Both order entries alike, so that keys kept under one can be looked for under the other.
  func hasSameOrder(as other: KeyDescription) -> Bool {
    if self === other { return true }
    guard columns.count == other.columns.count, uniqueCount == other.uniqueCount else { return false }
    for (left, right) in zip(columns, other.columns) {
      guard left.isDescending == right.isDescending, left.isNullsLast == right.isNullsLast else { return false }
      switch (left.collation, right.collation) {
      case (.binary, .binary), (.nocase, .nocase), (.rtrim, .rtrim): continue
      case (.custom, _), (.binary, _), (.nocase, _), (.rtrim, _): return false
      }
    }
    return true
  }
}
