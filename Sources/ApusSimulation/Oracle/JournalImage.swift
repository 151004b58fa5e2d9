// A rollback journal as its bytes say, and what playing it back makes of the file, by the format's document alone:
// https://sqlite.org/fileformat2.html, section 3. Like the other images it shares no code with the engine.

struct JournalImage {
  private static let magic: [UInt8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]
  /// As many records as the file has room for.
  private static let countOfAll = 0xffff_ffff
  private static let headerByteCount = 28

  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private func word(_ offset: Int) -> Int {
    Int(bytes[offset]) << 24 | Int(bytes[offset + 1]) << 16 | Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
  }

  private func isHeader(at offset: Int) -> Bool {
    offset + Self.headerByteCount <= bytes.count && Array(bytes[offset..<offset + 8]) == Self.magic
  }

  /// Whether there is anything to play back at all.
  var isHeadless: Bool { !isHeader(at: 0) }

  /// The super-journal that must be there for this one to count.
  var superJournal: String? {
    let end = bytes.count
    guard end >= 16, Array(bytes[(end - 8)...]) == Self.magic else { return nil }
    let length = word(end - 16)
    guard length > 0, length <= end - 20 else { return nil }
    let name = bytes[end - 16 - length..<end - 16]
    let sum = name.reduce(0) { $0 &+ UInt32(bitPattern: Int32(Int8(bitPattern: $1))) }
    return sum == UInt32(word(end - 12)) ? String(decoding: name, as: UTF8.self) : nil
  }

  /// The file with all that the journal has of it put back, and as long as it was: its last pages may have held nothing.
  func playedBack(over database: [UInt8]) -> [UInt8] {
    if isHeadless { return database }
    let pageCount = word(16), sector = word(20), pageSize = word(24)
    guard sector >= 32, pageSize >= 512, sector <= bytes.count else { return database }
    var content = database
    content.removeLast(max(0, content.count - pageCount * pageSize))
    for (number, start) in records(pageCount, sector, pageSize) {
      let place = (number - 1) * pageSize
      if content.count < place + pageSize { content += repeatElement(0, count: place + pageSize - content.count) }
      content.replaceSubrange(place..<place + pageSize, with: bytes[start..<start + pageSize])
    }
    content += repeatElement(0, count: max(0, pageCount * pageSize - content.count))
    return content
  }

  /// The first record of each page, up to the first that is not whole: the page's number, and where its content begins.
  private func records(_ pageCount: Int, _ sector: Int, _ pageSize: Int) -> [(number: Int, start: Int)] {
    var found: [(Int, Int)] = []
    var seen: Set<Int> = []
    var offset = 0
    while isHeader(at: offset) {
      let nonce = UInt32(word(offset + 12)), count = word(offset + 8)
      offset += sector
      let room = max(0, bytes.count - offset) / (pageSize + 8)
      for _ in 0..<min(room, count == Self.countOfAll ? room : count) {
        let number = word(offset), start = offset + 4
        guard number > 0, Self.checksum(bytes[start..<start + pageSize], nonce) == UInt32(word(start + pageSize)) else {
          return found
        }
        if number <= pageCount, seen.insert(number).inserted { found.append((number, start)) }
        offset += pageSize + 8
      }
      offset = (offset + sector - 1) / sector * sector
    }
    return found
  }

  /// Every 200th byte from the end on, and the nonce.
  private static func checksum(_ page: ArraySlice<UInt8>, _ nonce: UInt32) -> UInt32 {
    var sum = nonce
    var place = page.count - 200
    while place > 0 {
      sum = sum &+ UInt32(page[page.startIndex + place])
      place -= 200
    }
    return sum
  }
}
