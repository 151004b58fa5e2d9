// A record's values side by side, for comparisons and for reading sorters. `unsafe` lives here: one array, grown by
// doubling, every access bounds-checked by its range.

import ApusBase
import ApusStorage

/// The values of a record, unpacked.
@safe
struct UnpackedRecord: ~Copyable {
  private var base: UnsafeMutablePointer<Value>
  private var room = 16
  private(set) var count = 0

  init() { unsafe base = UnsafeMutablePointer<Value>.allocate(capacity: 16) }

  deinit { unsafe base.deallocate() }

  /// Replaces the values by those of `record`, whose bytes they point into.
  mutating func load(_ record: ByteView) {
    var reader = RecordReader(record)
    count = 0
    while let value = reader.next() {
      if count == room {
        let grown = UnsafeMutablePointer<Value>.allocate(capacity: room * 2)
        unsafe grown.update(from: base, count: room)
        unsafe base.deallocate()
        unsafe base = grown
        room *= 2
      }
      unsafe (base + count).initialize(to: value)
      count += 1
    }
  }

  /// Valid until the next `load`.
  var range: ValueRange { unsafe ValueRange(unchecked: UnsafePointer(base), count: count) }
}

extension RecordReader {
  /// Column `index` of a record; nil where it has fewer.
  static func column(_ index: Int, of record: ByteView) -> Value? {
    var reader = RecordReader(record)
    for _ in 0..<index where reader.next() == nil { return nil }
    return reader.next()
  }
}
