// Text between registers, which hold UTF-8, and the records of UTF-16 databases.

import ApusBase
import ApusStorage

extension MachineCore {
  /// The `count` registers from `first` on as a key to search with: their text as records have it. Valid until the next call.
  @inline(__always)
  mutating func key(_ first: Int32, _ count: Int) throws(Fault) -> ValueRange {
    if textEncoding == .utf8 { return registers.range(first, count) }
    return try storedKey(first, count)
  }

  @inline(never)
  private mutating func storedKey(_ first: Int32, _ count: Int) throws(Fault) -> ValueRange {
    try RecordCodec.encode(registers.range(first, count), into: &encodedKey, textEncoding)
    unpacked.load(encodedKey.bytes)
    return unpacked.range
  }

  /// A register with text of a record: as UTF-8, in memory of its own.
  @inline(never)
  mutating func decodeText(_ register: Int32, _ value: Value) {
    scratch.removeAll()
    textEncoding.appendUTF8(value.bytes, to: &scratch)
    registers.adopt(register, .text, &scratch)
  }

  /// A cast between text and blob, whose bytes are those of the database's encoding; and a blob that is read as text.
  mutating func castStored(_ i: Instruction, _ affinity: Affinity) {
    var value = registers[i.p1]
    if value.kind == .blob, affinity != .blob {
      decodeText(i.p1, value)
      value = registers[i.p1]
    }
    let isBlob = affinity == .blob && !value.isNull && value.kind != .blob
    let result = value.cast(to: isBlob ? .text : affinity, scratch: &scratch)
    if isBlob {
      scratch2.removeAll()
      textEncoding.append(result.bytes, to: &scratch2)
      registers.adopt(i.p1, .blob, &scratch2)
    } else if !result.hasBytes {
      registers[i.p1] = result
    } else if !value.hasBytes {
      registers.adopt(i.p1, result.kind, &scratch)
    }
  }
}
