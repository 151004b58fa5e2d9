// Whether an index holds what its table's rows say: by digests, which one walk over each of them adds up, in place of a
// search for every row.

import ApusBase
import ApusStorage

extension MachineCore {
  private mutating func keyOfDigests() -> UInt64 {
    if let key = digestKey { return key }
    let key = state.environment.randomUInt64()
    digestKey = key
    return key
  }

  private mutating func add(_ values: ValueRange, to register: Int32) {
    let sum = UInt64(bitPattern: registers[register].asInteger) &+ GroupTable.hash(values, from: keyOfDigests())
    registers[register] = .integer(Int64(bitPattern: sum))
  }

  mutating func fitsColumn(_ i: Instruction) -> Bool {
    let value = registers[i.p1]
    if value.isNull { return true }
    switch ColumnClass(rawValue: i.p3) {
    case .text: return !value.isNumeric
    case .numeric: return value.kind != .text || value.applying(.numeric, scratch: &scratch).kind == .text
    case .strictInteger: return value.kind == .integer
    case .strictReal: return value.isNumeric
    case .strictText: return value.kind == .text
    case .strictBlob: return value.kind == .blob
    case nil: return true
    }
  }

  mutating func digest(_ i: Instruction) { add(registers.range(i.p1, Int(i.p2)), to: i.p3) }

  mutating func checkEntry(_ i: Instruction) throws(Fault) {
    let entry = try cursors[tree: i.p1].payload()
    guard entry.count <= state.limits.lengthMax else { throw .error(.tooBig) }
    var finding: Int64 = 0
    let before = registers[i.p2]
    if before.hasBytes {
      unpacked.load(before.bytes)
      let values = unpacked.range
      if try cursors[tree: i.p1].compareKey(values.prefix(min(values.count, cursors[tree: i.p1].uniqueCount))) <= 0 {
        finding = 1
      } else if i.p4 > 0, values.count >= Int(i.p4), !hasNull(values.prefix(Int(i.p4))),
        try cursors[tree: i.p1].compareKey(values.prefix(Int(i.p4))) == 0
      {
        finding = 2
      }
    }
    unpacked.load(entry)
    add(unpacked.range, to: i.p3)
    registers[i.p3 + 1] = .integer(finding)
    registers.copyBytes(i.p2, .blob(entry))
  }

  func checkRecord(_ i: Instruction) throws(Fault) {
    registers[i.p2] = .null
    do throws(Fault) {
      try cursors[tree: i.p1].checkRecord()
    } catch {
      guard case .failure(let failure) = error, failure.code.primary == .corrupt else { throw error }
      var place = ByteBuffer()
      place.append(contentsOf: failure.object ?? "")
      registers.copyBytes(i.p2, .text(place.bytes))
    }
  }

  private func hasNull(_ values: ValueRange) -> Bool {
    for index in 0..<values.count where values[index].isNull { return true }
    return false
  }
}
