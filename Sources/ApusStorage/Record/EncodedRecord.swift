// Records of UTF-16 databases, written from values whose text is UTF-8, and of schema formats before 4.

import ApusBase

extension RecordCodec {
  /// As `encode`, with text in `encoding`.
  /// - Parameter hasBooleans: 0 and 1 take no byte; false for schema formats 1 to 3, whose readers do not know that.
  /// - Throws: `string or blob too big` where the record exceeds a row's limit.
  public static func encode(
    _ values: ValueRange, into buffer: inout ByteBuffer, _ encoding: TextEncoding, hasBooleans: Bool = true
  ) throws(Fault) {
    var headerBytes = 0
    var bodyBytes = 0
    for index in 0..<values.count {
      let type = serialType(values[index], encoding, hasBooleans)
      headerBytes += Varint.byteCount(type)
      bodyBytes += SerialType.byteCount(type)
    }
    var sizeBytes = 1
    while Varint.byteCount(UInt64(headerBytes + sizeBytes)) > sizeBytes { sizeBytes += 1 }
    headerBytes += sizeBytes
    guard headerBytes + bodyBytes <= byteCountMax else { throw Fault.error(.tooBig) }
    buffer.resize(to: headerBytes)
    var header = buffer.mutableBytes.setVarint(UInt64(headerBytes), at: 0)
    for index in 0..<values.count {
      let value = values[index]
      let type = serialType(value, encoding, hasBooleans)
      header = buffer.mutableBytes.setVarint(type, at: header)
      if value.kind == .text {
        encoding.append(value.bytes, to: &buffer)
        continue
      }
      let body = buffer.count
      buffer.resize(to: body + SerialType.byteCount(type))
      _ = store(value, type, buffer.mutableBytes, at: body)
    }
  }

  private static func serialType(_ value: Value, _ encoding: TextEncoding, _ hasBooleans: Bool) -> UInt64 {
    if value.kind == .text { return UInt64(2 * encoding.byteCount(value.bytes) + 13) }
    let type = SerialType.of(value)
    return !hasBooleans && value.kind == .integer && type > 7 ? 1 : type
  }
}

extension RecordCodec {
  /// `record` with another integer in one column.
  static func replaceInteger(
    column: Int, of record: ByteView, by number: Int64, into buffer: inout ByteBuffer
  ) throws(Fault) {
    guard let (headerBytes, typesStart) = record.varint(at: 0), headerBytes <= UInt64(record.count) else {
      throw Fault.corrupt(.one, "a record is too short")
    }
    var types = ByteBuffer(), bodies = ByteBuffer()
    var place = typesStart
    var body = Int(headerBytes)
    var index = 0
    while place < Int(headerBytes) {
      guard let (type, end) = record.varint(at: place) else { throw Fault.corrupt(.one, "a record is too short") }
      let byteCount = SerialType.byteCount(type)
      guard body + byteCount <= record.count else { throw Fault.corrupt(.one, "a record is too short") }
      let newType = index == column ? SerialType.of(number) : type
      let start = types.count
      types.resize(to: start + 9)
      types.resize(to: types.mutableBytes.setVarint(newType, at: start))
      if index == column {
        let offset = bodies.count
        bodies.resize(to: offset + SerialType.byteCount(newType))
        _ = store(.integer(number), newType, bodies.mutableBytes, at: offset)
      } else {
        bodies.append(record.slice(body, byteCount))
      }
      body += byteCount
      place = end
      index += 1
    }
    var sizeBytes = 1
    while Varint.byteCount(UInt64(types.count + sizeBytes)) > sizeBytes { sizeBytes += 1 }
    buffer.resize(to: sizeBytes)
    _ = buffer.mutableBytes.setVarint(UInt64(types.count + sizeBytes), at: 0)
    buffer.append(types.bytes)
    buffer.append(bodies.bytes)
  }
}
