// The current entry: its row id, its columns, its payload.
//
// Column offsets are found once: the header is parsed as far as the right-most column asked for so far. What lies on the
// page is given out in place. What lies on overflow pages is copied into `assembled`, which has room for the whole
// payload from the start, so that what was given out before stays where it is; the chain is walked once.
//
// `unsafe` lives here: this is the inner loop of every scan. Bounds are checked once per record and once per column, not
// once per byte: `recordBase` has `localBytes` readable bytes, `headerBase` has `headerEnd`, `slots` has room for as many
// columns as the header has bytes, of which each takes at least one.

import ApusBase

extension CursorState {
  /// The longest header: SQLite takes no longer one (32767 columns of three bytes).
  private static let headerBytesMax = 98_307

  /// Stores column `index` of the current record in `target`.
  /// - Returns: false, and nothing stored, where the record has no such column (it was added to the table later).
  @inline(__always)
  mutating func column(_ index: Int, into target: UnsafeMutablePointer<Value>) throws(Fault) -> Bool {
    var count = parsedColumns
    if index < count {
      unsafe target.pointee = try knownColumn(index)
      return true
    }
    if count < 0 {
      guard loadQuickly() else { return try unsafe slowColumn(index, target) }
      count = 0
    }
    var next = headerNext
    var body = bodyNext
    let end = headerEnd
    let header = unsafe headerBase
    // A record has fewer columns than its header has bytes, for which there are slots.
    while next < end {
      let type = unsafe UInt64(header.load(fromByteOffset: next, as: UInt8.self))
      if type >= 0x80 { break }
      next &+= 1
      let length = SerialType.byteCount(type)
      slots.set(count, offset: body, type: type)
      body &+= length
      if count != index {
        count &+= 1
        continue
      }
      // The last column ends where the record does; what is wrong is told by `walk`.
      if body > localBytes || next == end && body != payloadBytes { break }
      unsafe target.pointee = unsafe SerialType.load(type, length, recordBase + (body &- length))
      parsedColumns = count &+ 1
      headerNext = next
      bodyNext = body
      return true
    }
    return try unsafe walk(to: index, target)
  }

  /// A column that the header was parsed for.
  @inline(__always)
  private mutating func knownColumn(_ index: Int) throws(Fault) -> Value {
    let slot = slots[index]
    let type = UInt64(slot.type)
    let offset = Int(slot.offset)
    let length = SerialType.byteCount(type)
    guard offset &+ length <= localBytes else { return try distantColumn(type, offset) }
    return unsafe SerialType.load(type, length, recordBase + offset)
  }

  /// Walks the header on to column `index` and stores the column, however long types and column are.
  @unsafe
  @inline(never)
  private mutating func walk(to index: Int, _ target: UnsafeMutablePointer<Value>) throws(Fault) -> Bool {
    guard try walkHeader(through: index) else { return false }
    unsafe target.pointee = try knownColumn(index)
    return true
  }

  /// The same for a record that was not looked at yet, of any shape, or for no row.
  @unsafe
  @inline(never)
  private mutating func slowColumn(_ index: Int, _ target: UnsafeMutablePointer<Value>) throws(Fault) -> Bool {
    try loadRecord()
    if position == .nullRow {
      unsafe target.pointee = .null
      return true
    }
    return try unsafe walk(to: index, target)
  }

  /// - Returns: nil where the record has no such column.
  mutating func column(_ index: Int) throws(Fault) -> Value? {
    var value = Value.null
    return try unsafe column(index, into: &value) ? value : nil
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
    if parsedColumns < 0, !loadQuickly() {
      try loadRecord()
      if position == .nullRow { return false }
    }
    return try walkHeader(through: index)
  }

  /// The same from where the header was parsed to.
  @inline(__always)
  private mutating func walkHeader(through index: Int) throws(Fault) -> Bool {
    var count = parsedColumns
    var next = headerNext
    var body = bodyNext
    let end = headerEnd
    let header = unsafe headerBase
    while count <= index, next < end {
      var type = unsafe UInt64(header.load(fromByteOffset: next, as: UInt8.self))
      next &+= 1
      if type >= 0x80 {
        guard let (long, after) = unsafe longType(header, next &- 1) else { throw malformedRecord() }
        type = long
        next = after
      }
      slots.set(count, offset: body, type: type)
      body &+= SerialType.byteCount(type)
      count &+= 1
    }
    guard next == end ? body == payloadBytes : body <= payloadBytes else { throw malformedRecord() }
    parsedColumns = count
    headerNext = next
    bodyNext = body
    return count > index
  }

  /// Looks at the whole header.
  mutating func checkRecord() throws(Fault) { _ = try parse(through: Int.max - 1) }

  @unsafe
  @inline(never)
  private mutating func longType(_ header: UnsafeRawPointer, _ offset: Int) -> (type: UInt64, end: Int)? {
    guard let (type, end) = unsafe ByteView(unchecked: header, count: headerEnd).varint(at: offset), type < 1 << 32 else {
      return nil
    }
    return (type, end)
  }

  private mutating func malformedRecord() -> Fault {
    Fault.corrupt(current.page.number, "malformed record", cell: current.index)
  }

  /// The usual record: on a row, wholly on its page, not at its very end, lengths of one or two bytes.
  @inline(__always)
  private mutating func loadQuickly() -> Bool {
    guard position == .atRow else { return false }
    let bytes = current.page.bytes
    let index = current.index
    precondition(UInt(bitPattern: index) < UInt(bitPattern: current.page.cellCount))
    var offset = bytes.bigEndianUInt16(at: current.page.pointersStart &+ 2 &* index)
    // Two bytes of payload size, nine of row id, one of header size; row ids are looked at eight bytes at a time.
    guard offset >= current.page.pointersEnd, offset <= bytes.count &- 12 else { return false }
    let base = unsafe bytes.unsafeBase
    var size = unsafe Int(base.load(fromByteOffset: offset, as: UInt8.self))
    offset &+= 1
    if size >= 0x80 {
      let low = unsafe Int(base.load(fromByteOffset: offset, as: UInt8.self))
      offset &+= 1
      if low >= 0x80 { return false }
      size = (size & 0x7f) << 7 | low
    }
    if isTable {
      // The first byte without its high bit ends the row id; where all eight have it, the ninth does.
      let word = unsafe UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      offset &+= (~word & 0x8080_8080_8080_8080).trailingZeroBitCount >> 3 &+ 1
    } else if !current.page.isLeaf {
      return false
    }
    let end = unsafe Int(base.load(fromByteOffset: offset, as: UInt8.self))
    guard size <= localMax, offset <= bytes.count &- size, end < 0x80, end <= size, end > 0 else { return false }
    unsafe recordBase = base + offset
    unsafe headerBase = base + offset
    localBytes = size
    payloadBytes = size
    headerEnd = end
    headerNext = 1
    bodyNext = end
    parsedColumns = 0
    if assembledBytes != 0 { assembledBytes = 0 }
    return true
  }

  /// Parses the current cell and finds its record's header. The cursor must be on a row.
  @inline(never)
  private mutating func loadRecord() throws(Fault) {
    if position != .atRow {
      if position == .displaced { try restore() }
      if position == .nullRow { return }
      guard position == .atRow else { throw Fault.error(.abort, "the cursor is on no row") }
    }
    let cell = try current.page.cell(current.index, geometry)
    unsafe recordBase = current.page.bytes.slice(cell.payloadOffset, cell.localBytes).unsafeBase
    if parsedColumns != -2 { assembledBytes = 0 }
    localBytes = cell.localBytes
    payloadBytes = cell.payloadBytes
    let payload = localPayload
    guard let (size, next) = payload.quickVarint(at: 0), size <= UInt64(cell.payloadBytes), size >= UInt64(next),
      size <= UInt64(CursorState.headerBytesMax)
    else { throw malformedRecord() }
    headerEnd = Int(size)
    if headerEnd > localBytes {
      parsedColumns = -2
      try assemble(through: headerEnd)
      unsafe headerBase = assembled.bytes.unsafeBase
    } else {
      unsafe headerBase = recordBase
    }
    slots.reserve(headerEnd)
    headerNext = next
    bodyNext = headerEnd
    parsedColumns = 0
  }

  private var localPayload: ByteView {
    mutating get { unsafe ByteView(unchecked: recordBase, count: localBytes) }
  }

  @inline(__always)
  mutating func currentRowid() throws(Fault) -> Int64 {
    if position == .atRow { return try current.page.rowid(current.index) }
    return try rowidOffRow()
  }

  @inline(never)
  private mutating func rowidOffRow() throws(Fault) -> Int64 {
    if position == .displaced { try restore() }
    if position == .atRow { return try current.page.rowid(current.index) }
    if position == .nullRow { return 0 }
    throw Fault.error(.abort, "the cursor is on no row")
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
    if parsedColumns < 0, !loadQuickly() {
      try loadRecord()
      if position == .nullRow { return .empty }
    }
    if localBytes == payloadBytes { return localPayload }
    try assemble(through: payloadBytes)
    return assembled.bytes
  }

  mutating func payloadByteCount() throws(Fault) -> Int {
    if parsedColumns < 0, !loadQuickly() {
      try loadRecord()
      if position == .nullRow { return 0 }
    }
    return payloadBytes
  }

  // MARK: Overflow

  /// Copies the payload into `assembled` up to byte `end`. After a wait it goes on where it was.
  private mutating func assemble(through end: Int) throws(Fault) {
    if assembledBytes == 0 {
      // A payload that the file could not hold is damage: it must not become an allocation.
      guard payloadBytes <= Int(pager.pageCount) &* pager.pageSize else {
        throw Fault.corrupt(current.page.number, "payload larger than the database")
      }
      if assembled.capacity > 1 << 20, assembled.capacity > payloadBytes &* 4 { assembled = ByteBuffer() }
      assembled.removeAll()
      assembled.resize(to: payloadBytes)
      assembled.mutableBytes.copy(localPayload, to: 0)
      assembledNext = current.page.overflowHead(try current.page.cell(current.index, geometry))
      assembledBytes = localBytes
    }
    var steps = 0
    while assembledBytes < end {
      // Images that a long walk has used may go meanwhile.
      if steps & 15 == 0 { pager.beginOperation() }
      steps &+= 1
      let page = try overflowPage(assembledNext)
      let length = min(geometry.overflowBytes, payloadBytes &- assembledBytes)
      assembled.mutableBytes.copy(page.bytes.slice(4, length), to: assembledBytes)
      assembledBytes &+= length
      assembledNext = PageNumber(page.bytes.bigEndianUInt32(at: 0))
    }
  }

  mutating func overflowPage(_ number: PageNumber) throws(Fault) -> Page {
    guard number.rawValue > 1, number.rawValue <= pager.pageCount else {
      throw Fault.corrupt(current.page.number, "overflow chain ends early or leaves the file")
    }
    return try pager.page(number, isKeyed: keepsKeys)
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
      let overflow = try pager.page(probeNext, isKeyed: keepsKeys)
      probe.append(overflow.bytes.slice(4, min(geometry.overflowBytes, entry.payloadBytes &- probe.count)))
      probeNext = PageNumber(overflow.bytes.bigEndianUInt32(at: 0))
    }
    probeHead = .none
  }
}
