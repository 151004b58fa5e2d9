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
    count = unsafe RecordReader.unpack(record, into: base, room: room)
    if count <= room { return }
    unsafe base.deallocate()
    room = count
    unsafe base = UnsafeMutablePointer<Value>.allocate(capacity: room)
    count = unsafe RecordReader.unpack(record, into: base, room: room)
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
