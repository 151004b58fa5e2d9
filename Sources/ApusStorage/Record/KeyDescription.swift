// How the columns of an index key are ordered.
// `unsafe` lives here: the columns lie in memory that the description owns, so that a comparison touches no array.

import ApusBase

/// One column of an index key.
public struct KeyColumn: Sendable {
  public var collation: Collation
  public var isDescending: Bool
  /// NULL counts as larger than every other value before `isDescending` turns the order round:
  /// `ASC NULLS LAST` and `DESC NULLS FIRST`. An index never has it, a sorter may.
  public var isNullsLast: Bool

  @inlinable
  public init(collation: Collation = .binary, isDescending: Bool = false, isNullsLast: Bool = false) {
    self.collation = collation
    self.isDescending = isDescending
    self.isNullsLast = isNullsLast
  }
}

/// The order of an index's entries. Immutable and shared. Columns past the described ones compare as binary, ascending.
@safe
public final class KeyDescription: @unchecked Sendable {
  public let columns: [KeyColumn]
  /// How many of an entry's first columns make it unique: a cursor goes back to its entry by them. All of an index's, its
  /// row id included; the primary key's of a table without row ids.
  public let uniqueCount: Int
  let memory: UnsafeMutablePointer<KeyOrder.Column>
  /// The columns again, where a collation is the application's.
  let customs: UnsafeMutablePointer<KeyColumn>?

  public init(_ columns: [KeyColumn], uniqueCount: Int? = nil) {
    self.columns = columns
    self.uniqueCount = uniqueCount ?? columns.count
    let capacity = max(columns.count, 1)
    unsafe memory = UnsafeMutablePointer<KeyOrder.Column>.allocate(capacity: capacity)
    var hasCustom = false
    for (index, column) in columns.enumerated() {
      let trivial = KeyOrder.Column(column)
      if trivial.kind == .custom { hasCustom = true }
      unsafe (memory + index).initialize(to: trivial)
    }
    guard hasCustom else {
      unsafe customs = nil
      return
    }
    let copies = UnsafeMutablePointer<KeyColumn>.allocate(capacity: capacity)
    for (index, column) in columns.enumerated() { unsafe (copies + index).initialize(to: column) }
    unsafe customs = copies
  }

  deinit {
    if let customs = unsafe customs {
      unsafe customs.deinitialize(count: columns.count)
      unsafe customs.deallocate()
    }
    unsafe memory.deallocate()
  }

  /// The application's functions have a say in the order.
  var hasCustomCollation: Bool { unsafe customs != nil }

  /// Valid as long as the description lives.
  public var order: KeyOrder {
    unsafe KeyOrder(base: UnsafePointer(memory), customs: customs.map { unsafe UnsafePointer($0) }, count: columns.count)
  }
}

/// A description's columns without its reference: what a comparison loop holds.
@safe
public struct KeyOrder: @unchecked Sendable {
  /// A key column as trivial bytes.
  struct Column {
    enum Kind: UInt8 { case binary, nocase, rtrim, custom }

    var kind = Kind.binary
    var isDescending = false
    var isNullsLast = false

    init() {}

    init(_ column: KeyColumn) {
      switch column.collation {
      case .binary: kind = .binary
      case .nocase: kind = .nocase
      case .rtrim: kind = .rtrim
      case .custom: kind = .custom
      }
      isDescending = column.isDescending
      isNullsLast = column.isNullsLast
    }
  }

  private let base: UnsafePointer<Column>?
  private let customs: UnsafePointer<KeyColumn>?
  public let count: Int

  init(base: UnsafePointer<Column>?, customs: UnsafePointer<KeyColumn>?, count: Int) {
    unsafe self.base = base
    unsafe self.customs = customs
    self.count = count
  }

  static var none: KeyOrder { unsafe KeyOrder(base: nil, customs: nil, count: 0) }

  @inline(__always)
  subscript(index: Int) -> Column {
    guard index < count, let base = unsafe base else { return Column() }
    return unsafe base[index]
  }

  /// The order of two values as column `index` sees it, with collation, direction and place of NULL.
  @inline(__always)
  public func compare(_ left: Value, _ right: Value, at index: Int) -> Int {
    let column = self[index]
    let order: Int
    if left.kind == .text, right.kind == .text, column.kind != .binary {
      order = compareText(left.bytes, right.bytes, column.kind, index)
    } else {
      order = ValueComparison.order(left, right, .binary)
    }
    if order == 0 || (!column.isDescending && !column.isNullsLast) { return order }
    if column.isNullsLast, left.isNull != right.isNull { return column.isDescending ? order : -order }
    return column.isDescending ? -order : order
  }

  private func compareText(_ left: ByteView, _ right: ByteView, _ kind: Column.Kind, _ index: Int) -> Int {
    switch kind {
    case .binary: left.compare(right)
    case .nocase: Collation.compareNoCase(left, right)
    case .rtrim: Collation.compareTrimmed(left, right)
    case .custom: unsafe customs.unsafelyUnwrapped[index].collation.compare(left, right)
    }
  }

  /// Compares two lists of values: what a sorter needs.
  /// - Returns: negative, zero or positive.
  public func compare(_ left: ValueRange, _ right: ValueRange) -> Int {
    for index in 0..<min(left.count, right.count) {
      let order = compare(left[index], right[index], at: index)
      if order != 0 { return order }
    }
    return 0
  }
}
