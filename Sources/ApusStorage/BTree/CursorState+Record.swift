// The current entry: its row id, its columns, its payload.
//
// Column offsets are found once: the header is parsed as far as the right-most column asked for so far. What lies on the
// page is given out in place. What lies on overflow pages is copied into `assembled`, which has room for the whole
// payload from the start, so that what was given out before stays where it is; the chain is walked once.

import ApusBase

extension CursorState {
  /// - Returns: false where the record has no such column (it was added to the table later).
  @inline(__always)
  mutating func column(_ index: Int) throws(Fault) -> Value? {
    if index >= parsedColumns, try !parse(through: index) { return position == .nullRow ? .null : nil }
    let slot = slots[index]
    let type = UInt64(slot.type)
    let offset = Int(slot.offset)
    if offset &+ SerialType.byteCount(type) <= payload.count { return SerialType.value(type, payload, at: offset) }
    return try distantColumn(type, offset)
  }

  @inline(never)
  private mutating func distantColumn(_ type: UInt64, _ offset: Int) throws(Fault) -> Value {
    try assemble(through: offset &+ SerialType.byteCount(type))
    return SerialType.value(type, assembled.bytes, at: offset)
  }

  /// Parses the header up to column `index`.
  /// - Returns: false where the record has fewer columns.
  @inline(never)
  private mutating func parse(through index: Int) throws(Fault) -> Bool {
    if parsedColumns < 0 {
      try loadCell()
      if position == .nullRow { return false }
      try loadHeader()
    }
    var count = parsedColumns
    var next = headerNext
    var body = bodyNext
    while count <= index, next < headerEnd {
      guard let (type, end) = header.quickVarint(at: next), end <= headerEnd, type < 1 << 32 else {
        throw malformedRecord()
      }
      slots.set(count, offset: body, type: type)
      body &+= SerialType.byteCount(type)
      guard body <= cell.payloadBytes else { throw malformedRecord() }
      next = end
      count &+= 1
    }
    parsedColumns = count
    headerNext = next
    bodyNext = body
    return count > index
  }

  private func malformedRecord() -> Fault { Fault.corrupt(current.page.number, "malformed record", cell: current.index) }

  /// Parses the current cell. The cursor must be on a row.
  @inline(__always)
  mutating func loadCell() throws(Fault) {
    if position != .atRow {
      if position == .displaced { try restore() }
      if position == .nullRow { return }
      guard position == .atRow else { throw Fault.error(.abort, "the cursor is on no row") }
    }
    cell = try current.page.cell(current.index, geometry)
    payload = current.page.bytes.slice(cell.payloadOffset, cell.localBytes)
    assembledBytes = 0
  }

  @inline(__always)
  private mutating func loadHeader() throws(Fault) {
    guard let (size, next) = payload.quickVarint(at: 0), size <= UInt64(cell.payloadBytes), size >= UInt64(next) else {
      throw malformedRecord()
    }
    headerEnd = Int(size)
    if headerEnd > payload.count {
      try assemble(through: headerEnd)
      header = assembled.bytes
    } else {
      header = payload
    }
    headerNext = next
    bodyNext = headerEnd
    parsedColumns = 0
  }

  mutating func currentRowid() throws(Fault) -> Int64 {
    if position != .atRow {
      if position == .displaced { try restore() }
      guard position == .atRow else {
        if position == .nullRow { return 0 }
        throw Fault.error(.abort, "the cursor is on no row")
      }
    }
    return try current.page.rowid(current.index)
  }

  /// The last column of an index entry.
  mutating func indexRowid() throws(Fault) -> Int64 {
    _ = try parse(through: Int.max - 1)
    if position == .nullRow { return 0 }
    guard parsedColumns > 0, let value = try column(parsedColumns &- 1), value.kind == .integer else {
      throw malformedRecord()
    }
    return value.integerValue
  }

  mutating func wholePayload() throws(Fault) -> ByteView {
    if parsedColumns < 0 {
      try loadCell()
      if position == .nullRow { return .empty }
      try loadHeader()
    }
    if !cell.overflows { return payload }
    try assemble(through: cell.payloadBytes)
    return assembled.bytes
  }

  mutating func payloadByteCount() throws(Fault) -> Int {
    if parsedColumns < 0 {
      try loadCell()
      if position == .nullRow { return 0 }
      try loadHeader()
    }
    return cell.payloadBytes
  }

  // MARK: Overflow

  /// Copies the payload into `assembled` up to byte `end`. After a wait it goes on where it was.
  private mutating func assemble(through end: Int) throws(Fault) {
    if assembledBytes == 0 {
      try checkPayloadSize(cell.payloadBytes)
      if assembled.capacity > 1 << 20, assembled.capacity > cell.payloadBytes &* 4 { assembled = ByteBuffer() }
      assembled.removeAll()
      assembled.resize(to: cell.payloadBytes)
      assembled.mutableBytes.copy(payload, to: 0)
      assembledNext = current.page.overflowHead(cell)
      assembledBytes = payload.count
    }
    var steps = 0
    while assembledBytes < end {
      // Images that a long walk has used may go meanwhile.
      if steps & 15 == 0 { pager.beginOperation() }
      steps &+= 1
      let page = try overflowPage(assembledNext)
      let length = min(geometry.overflowBytes, cell.payloadBytes &- assembledBytes)
      assembled.mutableBytes.copy(page.bytes.slice(4, length), to: assembledBytes)
      assembledBytes &+= length
      assembledNext = PageNumber(page.bytes.bigEndianUInt32(at: 0))
    }
  }

  func overflowPage(_ number: PageNumber) throws(Fault) -> Page {
    guard number.rawValue > 1, number.rawValue <= pager.pageCount else {
      throw Fault.corrupt(current.page.number, "overflow chain ends early or leaves the file")
    }
    return try pager.page(number)
  }

  /// A payload that the file could not hold is damage: it must not become an allocation.
  func checkPayloadSize(_ byteCount: Int) throws(Fault) {
    guard byteCount <= Int(pager.pageCount) &* pager.pageSize else {
      throw Fault.corrupt(current.page.number, "payload larger than the database")
    }
  }

  /// Reads the whole payload of some entry into `probe`. After a wait it goes on where it was.
  mutating func readChainIntoProbe(_ page: BTreePage, _ entry: TreeCell) throws(Fault) {
    let head = page.overflowHead(entry)
    if probeHead != head {
      guard entry.payloadBytes <= Int(pager.pageCount) &* pager.pageSize else {
        throw Fault.corrupt(page.number, "payload larger than the database")
      }
      probe.removeAll()
      probe.append(page.bytes.slice(entry.payloadOffset, entry.localBytes))
      probeNext = head
      probeHead = head
    }
    while probe.count < entry.payloadBytes {
      guard probeNext.rawValue > 1, probeNext.rawValue <= pager.pageCount else {
        throw Fault.corrupt(page.number, "overflow chain ends early or leaves the file")
      }
      let overflow = try pager.page(probeNext)
      probe.append(overflow.bytes.slice(4, min(geometry.overflowBytes, entry.payloadBytes &- probe.count)))
      probeNext = PageNumber(overflow.bytes.bigEndianUInt32(at: 0))
    }
    probeHead = .none
  }
}
