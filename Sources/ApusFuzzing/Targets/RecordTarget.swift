// Records: the engine's reader against one that is written straight from the file format, and against the engine's writer.

import ApusBase
import ApusHarness
import ApusStorage

final class RecordTarget: FuzzTarget {
  static let name = "record"
  static let summary = "record codec: reader against a plain one, writer against the reader"
  static let byteCountMax = 4096

  init() {}

  /// A column as the file format describes it.
  private enum Column: Equatable {
    case null
    case integer(Int64)
    case real(UInt64)
    case text([UInt8])
    case blob([UInt8])

    init(_ value: Value) {
      switch value.kind {
      case .null: self = .null
      case .integer: self = .integer(value.integerValue)
      case .real: self = .real(value.realValue.bitPattern)
      case .text: self = .text(value.bytes.array)
      case .blob: self = .blob(value.bytes.array)
      }
    }
  }

  static func seeds() -> [FuzzSeed] {
    let headers: [(String, [UInt8])] = [
      ("empty", [1]), ("null", [2, 0]), ("zero-one", [3, 8, 9]), ("reserved", [3, 10, 11]),
      ("integers", [7, 1, 2, 3, 4, 5, 6] + (0..<24).map { UInt8($0 * 11) }),
      ("real", [2, 7, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]), ("text", [2, 19, 0x61, 0x62, 0x63]), ("blob", [2, 18, 0, 1, 2]),
      ("long-header", [0x80, 3, 8]), ("long-type", [3, 0x81, 0x0d] + [UInt8](repeating: 0x78, count: 64)),
      ("nine-bytes", [10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), ("no-body", [3, 6, 19]),
      ("many", [41] + [UInt8](repeating: 1, count: 40) + [UInt8](repeating: 0x80, count: 40)),
    ]
    return headers.map { FuzzSeed($0.0, $0.1) }
  }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    try withView(of: input) { (view) throws(FuzzFinding) in
      var reader = RecordReader(view)
      var values: [Value] = []
      while let value = reader.next() { values.append(value) }
      let columns = values.map(Column.init)
      let (expected, isDamaged) = Self.read(input)
      if columns != expected || reader.isDamaged != isDamaged {
        throw FuzzFinding("the reader differs", "expected \(expected), damaged: \(isDamaged); found \(columns)")
      }
      if let first = RecordReader.first(view), Column(first) != expected.first {
        throw FuzzFinding("the first column differs", "expected \(String(describing: expected.first))")
      }
      if isDamaged { return }
      try withRange(of: values) { (range) throws(FuzzFinding) in
        var record = ByteBuffer()
        try Self.encode(range, &record)
        try Self.expect(columns, record.bytes.array, "a record that was written and read")
        for encoding in [TextEncoding.utf16LittleEndian, .utf16BigEndian] {
          var wide = ByteBuffer()
          try Self.encodeWide(range, &wide, encoding)
          try Self.expect(columns, wide.bytes.array, "a record in \(encoding.name)", encoding)
        }
      }
    }
  }

  private static func encode(_ values: ValueRange, _ buffer: inout ByteBuffer) throws(FuzzFinding) {
    do throws(Fault) {
      try RecordCodec.encode(values, into: &buffer)
    } catch {
      throw FuzzFinding("a record cannot be written", "\(error)")
    }
  }

  private static func encodeWide(
    _ values: ValueRange, _ buffer: inout ByteBuffer, _ encoding: TextEncoding
  ) throws(FuzzFinding) {
    do throws(Fault) {
      try RecordCodec.encode(values, into: &buffer, encoding)
    } catch {
      throw FuzzFinding("a record cannot be written", "\(error)")
    }
  }

  /// The columns come back; text of another encoding where it was text at all (what is no UTF-8 cannot come back).
  private static func expect(
    _ columns: [Column], _ record: [UInt8], _ what: String, _ encoding: TextEncoding = .utf8
  ) throws(FuzzFinding) {
    let (found, isDamaged) = read(record)
    if isDamaged || found.count != columns.count { throw FuzzFinding(what + " is damaged", "\(columns), \(found)") }
    for (column, again) in zip(columns, found) {
      guard encoding != .utf8, case .text(let text) = column, case .text(let stored) = again else {
        if column != again { throw FuzzFinding(what + " differs", "\(column), found \(again)") }
        continue
      }
      guard String(validating: text, as: UTF8.self) != nil else { continue }
      let back = try withView(of: stored) { (view) throws(FuzzFinding) in
        var buffer = ByteBuffer()
        encoding.appendUTF8(view, to: &buffer)
        return buffer.bytes.array
      }
      if back != text { throw FuzzFinding(what + " differs", "text \(text), found \(back)") }
    }
  }

  // MARK: - The plain reader. Source: https://sqlite.org/fileformat2.html#record_format

  private static func read(_ bytes: [UInt8]) -> (columns: [Column], isDamaged: Bool) {
    var columns: [Column] = []
    guard let (size, start) = varint(bytes, 0), size <= UInt64(bytes.count), size >= UInt64(start) else {
      return ([], true)
    }
    var place = start, body = Int(size)
    while place < Int(size) {
      guard let (type, end) = varint(bytes, place), end <= Int(size), type < 1 << 33 else { return (columns, true) }
      let lengths = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0]
      let length = type < 12 ? lengths[Int(type)] : Int(type - 12) / 2
      guard length <= bytes.count - body else { return (columns, true) }
      let content = Array(bytes[body..<body + length])
      switch type {
      case 1...6:
        let isNegative = content[0] & 0x80 != 0
        columns.append(.integer(content.reduce(isNegative ? -1 : 0) { $0 << 8 | Int64($1) }))
      case 7:
        let real = content.reduce(0) { $0 << 8 | UInt64($1) }
        columns.append(Double(bitPattern: real).isNaN ? .null : .real(real))
      case 8, 9: columns.append(.integer(Int64(type - 8)))
      case 0, 10, 11: columns.append(.null)
      default: columns.append(type % 2 == 0 ? .blob(content) : .text(content))
      }
      place = end
      body += length
    }
    return (columns, false)
  }

  private static func varint(_ bytes: [UInt8], _ place: Int) -> (value: UInt64, end: Int)? {
    var value: UInt64 = 0
    for index in 0..<9 {
      guard place + index < bytes.count else { return nil }
      let byte = bytes[place + index]
      if index == 8 { return (value << 8 | UInt64(byte), place + 9) }
      value = value << 7 | UInt64(byte & 0x7f)
      if byte < 0x80 { return (value, place + index + 1) }
    }
    return nil
  }
}
