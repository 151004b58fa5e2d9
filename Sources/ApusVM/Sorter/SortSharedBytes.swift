// What the texts of a run's first column all begin with: prefixes are taken behind it where runs are merged. Texts with
// names in them ('customer-000017') differ late; the first bytes of a sorted run's first and last key tell how late.

import ApusBase
import ApusStorage

struct SortSharedBytes {
  private static let countMax = 64

  /// `.text` or `.blob`; else there is nothing shared.
  private var kind = Value.Kind.null
  private(set) var bytes: [UInt8] = []

  init() {}

  /// - Parameters: the first and the last record of a sorted run.
  init(_ first: ByteView, _ last: ByteView, _ column: SortColumn) {
    guard column.order == .binary, let low = RecordReader.first(first), let high = RecordReader.first(last),
      low.hasBytes, low.kind == high.kind
    else { return }
    kind = low.kind
    let a = low.bytes, b = high.bytes
    let most = min(a.count, b.count, SortSharedBytes.countMax)
    var length = 0
    while length < most, a[length] == b[length] { length += 1 }
    bytes = a.slice(0, length).array
  }

  /// What two runs have in common.
  func shared(with other: SortSharedBytes) -> SortSharedBytes {
    guard kind == other.kind else { return SortSharedBytes() }
    var both = self
    var length = 0
    while length < min(bytes.count, other.bytes.count), bytes[length] == other.bytes[length] { length += 1 }
    both.bytes.removeLast(bytes.count - length)
    return both
  }
}
