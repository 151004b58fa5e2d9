// Records of UTF-16 databases, written from values whose text is UTF-8.

import ApusBase

extension RecordCodec {
  /// As `encode`, with text in `encoding`.
  /// - Throws: `string or blob too big` where the record exceeds a row's limit.
  public static func encode(
    _ values: ValueRange, into buffer: inout ByteBuffer, _ encoding: TextEncoding
  ) throws(Fault) {
    var headerBytes = 0
    var bodyBytes = 0
    for index in 0..<values.count {
      let type = serialType(values[index], encoding)
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
      let type = serialType(value, encoding)
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

  private static func serialType(_ value: Value, _ encoding: TextEncoding) -> UInt64 {
    value.kind == .text ? UInt64(2 * encoding.byteCount(value.bytes) + 13) : SerialType.of(value)
  }
}
