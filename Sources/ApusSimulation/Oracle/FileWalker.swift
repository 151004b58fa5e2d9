// The integrity walk: every page of the file is reachable once or free once, every tree is in order, every record
// decodes. Violations are collected as text; the first ones name the cause.

public struct FileWalker {
  public let image: FileImage
  public private(set) var violations: [String] = []
  private var owner: [String?]
  /// The tree's text does not tell cases apart: that of a table of which any column is so.
  private var foldsText = false
  /// What the pointer map must say: kind and parent by page.
  private var expected: [Int: (kind: Int, parent: Int)] = [:]

  /// Longest root-to-leaf path that is believed.
  private static let depthMax = 20
  private static let violationCountMax = 20
  /// Of the records that most walks meet.
  private static let usualFieldCount = 4

  public init(_ image: FileImage) {
    self.image = image
    owner = [String?](repeating: nil, count: image.pages.count + 1)
    if let problem = image.problem { violations.append(problem) }
  }

  private mutating func report(_ text: String) {
    if violations.count < Self.violationCountMax { violations.append(text) }
  }

  /// One entry of a tree: the row id in a table, and the record's fields.
  public struct Entry: Equatable {
    public var rowid: Int64
    public var fields: [ImageField]
  }

  public struct SchemaRow {
    public var type: String
    public var name: String
    public var table: String
    public var root: Int
    public var sql: String

    /// Whether the statement has these words, in whatever case. By bytes: a search for characters costs more than a walk of the
    /// table.
    ///
    /// - Parameter words: in capitals.
    func says(_ words: String) -> Bool {
      let (text, words) = (Array(sql.utf8), Array(words.utf8))
      guard words.count <= text.count else { return false }
      return (0...text.count - words.count).contains { start in
        words.indices.allSatisfy { Self.capital(text[start + $0]) == words[$0] }
      }
    }

    private static func capital(_ byte: UInt8) -> UInt8 { (97...122).contains(byte) ? byte - 32 : byte }
  }

  /// Walks the whole file.
  /// - Returns: the schema and the entries of each tree by root page.
  public mutating func walk() -> (schema: [SchemaRow], entries: [Int: [Entry]]) {
    guard !image.pages.isEmpty else { return ([], [:]) }
    checkHeader()
    walkFreelist()
    var entries: [Int: [Entry]] = [:]
    var schema: [SchemaRow] = []
    for entry in walkTree(root: 1, name: "sqlite_schema", isTable: true) {
      guard entry.fields.count == 5, case .text(let type) = entry.fields[0], case .text(let name) = entry.fields[1],
        case .text(let table) = entry.fields[2]
      else {
        report("sqlite_schema row \(entry.rowid) is not one")
        continue
      }
      var root = 0
      if case .integer(let number) = entry.fields[3] { root = Int(number) }
      var sql = ""
      if case .text(let bytes) = entry.fields[4] { sql = String(decoding: bytes, as: UTF8.self) }
      schema.append(
        SchemaRow(
          type: String(decoding: type, as: UTF8.self), name: String(decoding: name, as: UTF8.self),
          table: String(decoding: table, as: UTF8.self), root: root, sql: sql))
    }
    let folding = Set(schema.filter { $0.type == "table" && $0.says("COLLATE NOCASE") }.map(\.name))
    for row in schema where row.root > 0 {
      foldsText = folding.contains(row.table)
      let isTable = row.type == "table" && !row.says("WITHOUT ROWID")
      entries[row.root] = walkTree(root: row.root, name: row.name, isTable: isTable)
    }
    let lockPage = image.lockPage
    checkPointerMap(schema, lockPage)
    for number in 1..<owner.count where owner[number] == nil && number != lockPage {
      report("page \(number) is never used")
    }
    return (schema, entries)
  }

  /// The number that the last transaction has left; nil where there is none.
  public func stamp(_ found: (schema: [SchemaRow], entries: [Int: [Entry]])) -> Int64? {
    guard let table = found.schema.first(where: { $0.name == "stamp" }), let row = found.entries[table.root]?.first,
      row.fields.count == 2, case .integer(let number) = row.fields[1]
    else { return nil }
    return number
  }

  /// In a file with auto_vacuum page 2 and each usable / 5 + 1 pages further on describe the pages behind them; where one of
  /// them would be the lock bytes' page, it is the page behind.
  private mutating func checkPointerMap(_ schema: [SchemaRow], _ lockPage: Int) {
    let largestRoot = word(1, 52)
    guard largestRoot != 0 else { return }
    let found = schema.map(\.root).max() ?? 0
    if max(found, 1) != largestRoot { report("the largest root is \(found), the header says \(largestRoot)") }
    for row in schema where row.root > 1 { expected[row.root] = (1, 0) }
    let entryCount = image.usableSize / 5
    var map = 2
    while map < owner.count {
      var place = map
      if place == lockPage { place += 1 }
      guard place < owner.count, claim(place, "pointer map") else { break }
      if place == owner.count - 1 { report("the file ends with page \(place) of the pointer map") }
      for slot in 0..<entryCount where place + 1 + slot <= min(map + entryCount, owner.count - 1) {
        let page = place + 1 + slot
        if page == lockPage { continue }
        let kind = Int(image.pages[place - 1][5 * slot])
        let parent = word(place, 5 * slot + 1)
        guard let wanted = expected[page] else {
          report("nothing leads to page \(page), of which the pointer map says \(kind) under \(parent)")
          continue
        }
        if wanted != (kind, parent) {
          report("page \(page) is \(wanted.kind) under \(wanted.parent), the pointer map says \(kind) under \(parent)")
        }
      }
      map += entryCount + 1
    }
  }

  private func word(_ page: Int, _ offset: Int) -> Int {
    let bytes = image.pages[page - 1]
    return Int(bytes[offset]) << 24 | Int(bytes[offset + 1]) << 16 | Int(bytes[offset + 2]) << 8
      | Int(bytes[offset + 3])
  }

  private func half(_ page: Int, _ offset: Int) -> Int {
    Int(image.pages[page - 1][offset]) << 8 | Int(image.pages[page - 1][offset + 1])
  }

  private mutating func checkHeader() {
    let first = image.pages[0]
    if Array(first[0..<16]) != Array("SQLite format 3\0".utf8) { report("the header string is wrong") }
    if first[21] != 64 || first[22] != 32 || first[23] != 32 { report("the payload fractions are wrong") }
    if word(1, 24) == word(1, 92) && word(1, 28) != image.pages.count {
      report("the header says \(word(1, 28)) pages, the file has \(image.pages.count)")
    }
  }

  /// Claims a page for `name`; false where it is claimed already or outside the file.
  private mutating func claim(_ page: Int, _ name: String) -> Bool {
    guard page >= 1, page < owner.count else {
      report("\(name): page \(page) is outside the file")
      return false
    }
    if page == image.lockPage {
      report("\(name): page \(page) is that of the lock bytes")
      return false
    }
    if let other = owner[page] {
      report("page \(page) belongs to \(other) and to \(name)")
      return false
    }
    owner[page] = name
    return true
  }

  private mutating func walkFreelist() {
    var trunk = word(1, 32)
    var count = 0
    while trunk != 0 {
      guard claim(trunk, "freelist trunk") else { return }
      expected[trunk] = (2, 0)
      count += 1
      let leafCount = word(trunk, 4)
      guard leafCount <= image.usableSize / 4 - 2 else {
        report("freelist trunk \(trunk) has \(leafCount) leaves")
        return
      }
      for leaf in 0..<leafCount where claim(word(trunk, 8 + 4 * leaf), "freelist leaf") {
        expected[word(trunk, 8 + 4 * leaf)] = (2, 0)
        count += 1
      }
      trunk = word(trunk, 0)
    }
    if count != word(1, 36) { report("the freelist has \(count) pages, the header says \(word(1, 36))") }
  }

  /// - Returns: the entries in the tree's order.
  private mutating func walkTree(root: Int, name: String, isTable: Bool) -> [Entry] {
    var entries: [Entry] = []
    var leafDepth: Int?
    walkPage(
      root, name: name, isTable: isTable, depth: 0, lower: nil, upper: nil, leafDepth: &leafDepth, entries: &entries)
    return entries
  }

  private mutating func walkPage(
    _ page: Int, name: String, isTable: Bool, depth: Int, lower: Int64?, upper: Int64?, leafDepth: inout Int?,
    entries: inout [Entry]
  ) {
    guard depth < Self.depthMax else { return report("\(name): deeper than \(Self.depthMax)") }
    guard claim(page, name) else { return }
    let bytes = image.pages[page - 1]
    let start = page == 1 ? 100 : 0
    let flag = bytes[start]
    let isLeaf = flag == 13 || flag == 10
    guard isTable ? (flag == 13 || flag == 5) : (flag == 10 || flag == 2) else {
      return report("\(name): page \(page) has type \(flag)")
    }
    let cellCount = half(page, start + 3)
    let headerEnd = start + (isLeaf ? 8 : 12)
    guard headerEnd + 2 * cellCount <= image.usableSize else {
      return report("\(name): page \(page) has \(cellCount) cells")
    }
    if isLeaf {
      if let leafDepth, leafDepth != depth { report("\(name): page \(page) is a leaf at depth \(depth), not \(leafDepth)") }
      leafDepth = depth
    }
    if depth > 0 && cellCount == 0 { report("\(name): page \(page) has no cell") }
    var used: [(Int, Int)] = []
    var previous = lower
    for slot in 0..<cellCount {
      let offset = half(page, headerEnd + 2 * slot)
      guard offset >= headerEnd + 2 * cellCount, offset < image.usableSize else {
        return report("\(name): page \(page) cell \(slot) points to \(offset)")
      }
      var position = offset
      var child = 0
      if !isLeaf {
        guard offset + 4 <= image.usableSize else { return report("\(name): page \(page) cell \(slot) is cut") }
        child = word(page, offset)
        expected[child] = (5, page)
        position += 4
      }
      if isTable && !isLeaf {
        guard let rowid = varint(bytes, &position) else { return report("\(name): page \(page) cell \(slot) is cut") }
        let key = Int64(bitPattern: rowid)
        if let previous, key <= previous { report("\(name): page \(page) cell \(slot): row ids out of order") }
        walkPage(
          child, name: name, isTable: isTable, depth: depth + 1, lower: previous, upper: key, leafDepth: &leafDepth,
          entries: &entries)
        previous = key
        used.append((offset, position))
        continue
      }
      if !isLeaf {
        walkPage(
          child, name: name, isTable: isTable, depth: depth + 1, lower: nil, upper: nil, leafDepth: &leafDepth,
          entries: &entries)
      }
      guard let payloadCount = varint(bytes, &position), payloadCount < 1 << 31 else {
        return report("\(name): page \(page) cell \(slot) is cut")
      }
      var key: Int64 = 0
      if isTable {
        guard let rowid = varint(bytes, &position) else { return report("\(name): page \(page) cell \(slot) is cut") }
        key = Int64(bitPattern: rowid)
        if let previous, key <= previous { report("\(name): page \(page) cell \(slot): row ids out of order") }
        if let upper, key > upper { report("\(name): page \(page) cell \(slot): row id \(key) above its divider") }
        previous = key
      }
      guard let payload = readPayload(page, slot, &position, Int(payloadCount), isTableLeaf: isTable, name) else { return }
      guard let fields = decode(payload) else { return report("\(name): page \(page) cell \(slot): bad record") }
      if !isTable, let last = entries.last, !precedes(last.fields, fields) {
        report("\(name): page \(page) cell \(slot): entries out of order")
      }
      entries.append(Entry(rowid: key, fields: fields))
      // A cell takes at least the four bytes that a freeblock in its place would need.
      used.append((offset, max(position, offset + 4)))
    }
    if !isLeaf {
      expected[word(page, start + 8)] = (5, page)
      walkPage(
        word(page, start + 8), name: name, isTable: isTable, depth: depth + 1, lower: previous, upper: upper,
        leafDepth: &leafDepth, entries: &entries)
    }
    checkSpace(page, start, name, headerEnd + 2 * cellCount, used)
  }

  /// Cells, freeblocks and fragments account for every byte of the content area.
  private mutating func checkSpace(
    _ page: Int, _ start: Int, _ name: String, _ pointersEnd: Int, _ cells: [(Int, Int)]
  ) {
    var spans = cells
    let rawContent = half(page, start + 5)
    let content = rawContent == 0 ? 65_536 : rawContent
    guard content >= pointersEnd, content <= image.usableSize else {
      return report("\(name): page \(page): content starts at \(content)")
    }
    var free = half(page, start + 1)
    var previousFree = 0
    while free != 0 {
      guard free > previousFree, free + 4 <= image.usableSize else {
        return report("\(name): page \(page): freeblock at \(free)")
      }
      spans.append((free, free + half(page, free + 2)))
      previousFree = free
      free = half(page, free)
    }
    spans.sort { $0.0 < $1.0 }
    var end = content
    var fragments = 0
    for span in spans {
      if span.0 < end { return report("\(name): page \(page): bytes \(span.0) to \(end) are used twice") }
      fragments += span.0 - end
      end = span.1
    }
    if end > image.usableSize { return report("\(name): page \(page): content past the page's end") }
    fragments += image.usableSize - end
    if fragments != Int(image.pages[page - 1][start + 7]) {
      report("\(name): page \(page): \(fragments) fragmented bytes, header says \(image.pages[page - 1][start + 7])")
    }
  }

  private mutating func readPayload(
    _ page: Int, _ slot: Int, _ position: inout Int, _ count: Int, isTableLeaf: Bool, _ name: String
  ) -> [UInt8]? {
    let bytes = image.pages[page - 1]
    let usable = image.usableSize
    let localMax = isTableLeaf ? usable - 35 : (usable - 12) * 64 / 255 - 23
    let localMin = (usable - 12) * 32 / 255 - 23
    var local = count
    if count > localMax {
      let surplus = localMin + (count - localMin) % (usable - 4)
      local = surplus <= localMax ? surplus : localMin
    }
    guard position + local + (local < count ? 4 : 0) <= usable else {
      report("\(name): page \(page) cell \(slot) runs over the page")
      return nil
    }
    var payload = Array(bytes[position..<position + local])
    position += local
    if local == count { return payload }
    var next = word(page, position)
    var before = page
    position += 4
    while payload.count < count {
      guard claim(next, "overflow of \(name)") else { return nil }
      expected[next] = (before == page ? 3 : 4, before)
      before = next
      payload.append(contentsOf: image.pages[next - 1][4..<4 + min(usable - 4, count - payload.count)])
      next = word(next, 0)
    }
    if next != 0 { report("\(name): page \(page) cell \(slot): overflow chain longer than its payload") }
    return payload
  }

  private func varint(_ bytes: [UInt8], _ position: inout Int) -> UInt64? {
    var value: UInt64 = 0
    for index in 0..<9 {
      guard position < bytes.count else { return nil }
      let byte = bytes[position]
      position += 1
      if index == 8 { return value << 8 | UInt64(byte) }
      value = value << 7 | UInt64(byte & 127)
      if byte < 128 { return value }
    }
    return value
  }

  func decode(_ record: [UInt8]) -> [ImageField]? {
    var position = 0
    guard let headerCount = varint(record, &position), headerCount <= record.count else { return nil }
    var body = Int(headerCount)
    var fields: [ImageField] = []
    fields.reserveCapacity(Self.usualFieldCount)
    func number(_ count: Int) -> UInt64 {
      var value: UInt64 = record[body] >= 128 ? .max : 0
      for index in 0..<count { value = value << 8 | UInt64(record[body + index]) }
      return value
    }
    while position < Int(headerCount) {
      guard let type = varint(record, &position), type < 1 << 32 else { return nil }
      let count = Self.byteCount(ofType: type)
      guard body + count <= record.count else { return nil }
      switch type {
      case 0: fields.append(.null)
      case 1...6: fields.append(.integer(Int64(bitPattern: number(count))))
      case 7: fields.append(.real(number(8)))
      case 8: fields.append(.integer(0))
      case 9: fields.append(.integer(1))
      case 10, 11: return nil
      default:
        let bytes = Array(record[body..<body + count])
        fields.append(type % 2 == 0 ? .blob(bytes) : .text(bytes))
      }
      body += count
    }
    return body == record.count ? fields : nil
  }

  /// Bytes in a record's body, by the type in its header.
  private static func byteCount(ofType type: UInt64) -> Int {
    switch type {
    case 0...4: Int(type)
    case 5: 6
    case 6, 7: 8
    case 8...11: 0
    default: Int(type - 12) / 2
    }
  }

  /// Whether `left` stands strictly before `right` in an index with BINARY or NOCASE collation and ascending columns.
  private func precedes(_ left: [ImageField], _ right: [ImageField]) -> Bool {
    for (a, b) in zip(left, right) {
      let (a, b) = foldsText ? (Self.folded(a), Self.folded(b)) : (a, b)
      if a == b { continue }
      return Self.isLess(a, b)
    }
    return left.count < right.count
  }

  private static func folded(_ field: ImageField) -> ImageField {
    guard case .text(let bytes) = field else { return field }
    return .text(bytes.map { (65...90).contains($0) ? $0 + 32 : $0 })
  }

  private static func isLess(_ a: ImageField, _ b: ImageField) -> Bool {
    func rank(_ field: ImageField) -> Int {
      switch field {
      case .null: 0
      case .integer, .real: 1
      case .text: 2
      case .blob: 3
      }
    }
    switch (a, b) {
    case (.integer(let x), .integer(let y)): return x < y
    case (.integer(let x), .real(let y)): return Double(x) < Double(bitPattern: y)
    case (.real(let x), .integer(let y)): return Double(bitPattern: x) < Double(y)
    case (.real(let x), .real(let y)): return Double(bitPattern: x) < Double(bitPattern: y)
    case (.text(let x), .text(let y)), (.blob(let x), .blob(let y)): return x.lexicographicallyPrecedes(y)
    default: return rank(a) < rank(b)
    }
  }
}
