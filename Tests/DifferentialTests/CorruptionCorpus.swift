// Structural corruptions, each made from a sound file by a small change with a name.

import ApusHarness

/// The bytes of a database file with pages of 1024 bytes, and where things lie in it.
struct DamagedFile {
  static let pageSize = 1024

  var bytes: [UInt8]
  let roots: [String: Int]

  /// Offset of page `number`.
  func start(_ number: Int) -> Int { (number - 1) * Self.pageSize }

  func word16(_ offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }
  func word32(_ offset: Int) -> Int { word16(offset) << 16 | word16(offset + 2) }
  mutating func set16(_ offset: Int, _ value: Int) {
    bytes[offset] = UInt8(truncatingIfNeeded: value >> 8)
    bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
  }
  mutating func set32(_ offset: Int, _ value: Int) {
    set16(offset, value >> 16)
    set16(offset + 2, value)
  }

  var pageCount: Int { bytes.count / Self.pageSize }
  func root(_ name: String) -> Int { roots[name] ?? 1 }

  /// The children of an inner page, left to right.
  func children(_ page: Int) -> [Int] {
    let base = start(page)
    return (0..<word16(base + 3)).map { word32(base + word16(base + 12 + 2 * $0)) } + [word32(base + 8)]
  }

  /// A leaf in the middle of a tree.
  func leaf(_ name: String) -> Int {
    var page = root(name)
    while [2, 5].contains(bytes[start(page)]) {
      let below = children(page)
      page = below[below.count / 2]
    }
    return page
  }

  /// Offset of the pointer to cell `index` of a leaf.
  func pointer(_ leaf: Int, _ index: Int) -> Int { start(leaf) + 8 + 2 * index }
  func cell(_ leaf: Int, _ index: Int) -> Int { start(leaf) + word16(pointer(leaf, index)) }

  /// Offset of an inner page's pointer to cell `index`.
  func innerCell(_ page: Int, _ index: Int) -> Int { start(page) + word16(start(page) + 12 + 2 * index) }

  /// Offsets of the numbers of first overflow pages: the only cells of table `big`, on its leaves.
  var overflowHeads: [Int] {
    let top = root("big")
    let leaves = bytes[start(top)] == 5 ? children(top) : [top]
    return leaves.flatMap { leaf in
      (0..<word16(start(leaf) + 3)).map { index in
        // The cells of this table have three bytes of length and one of row id; 1024 bytes hold 103 or more of the payload.
        let usable = Self.pageSize
        let place = cell(leaf, index)
        var length = 0
        var at = place
        repeat {
          length = length << 7 | Int(bytes[at] & 0x7f)
          at += 1
        } while bytes[at - 1] & 0x80 != 0
        while bytes[at] & 0x80 != 0 { at += 1 }
        at += 1
        let least = (usable - 12) * 32 / 255 - 23
        let surplus = least + (length - least) % (usable - 4)
        return at + (surplus <= usable - 35 ? surplus : least)
      }
    }
  }

  var trunk: Int { word32(32) }
}

struct Corruption: Sendable {
  var name: String
  var make: @Sendable (inout DamagedFile) -> Void

  init(_ name: String, _ make: @escaping @Sendable (inout DamagedFile) -> Void) {
    self.name = name
    self.make = make
  }

  static let setup = """
    PRAGMA page_size = 1024;
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT NOT NULL, c);
    CREATE INDEX i ON t(b);
    CREATE TABLE w(x TEXT, y, PRIMARY KEY(x)) WITHOUT ROWID;
    CREATE TABLE big(z);
    CREATE TABLE gone(z);
    WITH RECURSIVE n(v) AS (VALUES(1) UNION ALL SELECT v + 1 FROM n WHERE v < 600)
      INSERT INTO t SELECT v * 2, 'row number ' || (v * 7919 % 1000) || ' of t', v FROM n;
    INSERT INTO w SELECT 'key ' || (a * 31 % 997), c FROM t;
    INSERT INTO big SELECT zeroblob(5000) FROM t WHERE a < 14;
    INSERT INTO gone SELECT zeroblob(900) FROM t WHERE a < 80;
    DROP TABLE gone;
    """

  static let all: [Corruption] = freelist + leaves + innerPages + chains + indexes

  private static let freelist: [Corruption] = [
    Corruption("the freelist's count is one too large") { $0.set32(36, $0.word32(36) + 1) },
    Corruption("the freelist's count is one too small") { $0.set32(36, $0.word32(36) - 1) },
    Corruption("the freelist's count is zero beside a trunk") { $0.set32(36, 0) },
    Corruption("the freelist has a count and no trunk") { $0.set32(32, 0) },
    Corruption("the first trunk lies outside the file") { $0.set32(32, $0.pageCount + 5) },
    Corruption("the first trunk is a table's root") { $0.set32(32, $0.root("t")) },
    Corruption("a free leaf lies outside the file") { $0.set32($0.start($0.trunk) + 8, $0.pageCount + 9) },
    Corruption("a free leaf is in use") { $0.set32($0.start($0.trunk) + 8, $0.leaf("t")) },
    Corruption("a free leaf is there twice") {
      $0.set32($0.start($0.trunk) + 8, $0.word32($0.start($0.trunk) + 12))
    },
    Corruption("a free leaf is page zero") { $0.set32($0.start($0.trunk) + 8, 0) },
    Corruption("a trunk has more leaves than fit") { $0.set32($0.start($0.trunk) + 4, 400) },
    Corruption("a trunk has a leaf too few") {
      $0.set32($0.start($0.trunk) + 4, $0.word32($0.start($0.trunk) + 4) - 1)
    },
    Corruption("a trunk leads to itself") { $0.set32($0.start($0.trunk), $0.trunk) },
    Corruption("a page at the end belongs to nobody") {
      $0.bytes += [UInt8](repeating: 0, count: DamagedFile.pageSize)
      $0.set32(28, $0.pageCount)
    },
  ]

  private static let leaves: [Corruption] = [
    Corruption("a leaf has no kind") { $0.bytes[$0.start($0.leaf("t"))] = 0 },
    Corruption("a leaf has a kind that there is not") { $0.bytes[$0.start($0.leaf("t"))] = 7 },
    Corruption("a table's leaf says it is an index's") { $0.bytes[$0.start($0.leaf("t"))] = 10 },
    Corruption("a leaf says it is an inner page") { $0.bytes[$0.start($0.leaf("t"))] = 5 },
    Corruption("a leaf has more cells than fit") { $0.set16($0.start($0.leaf("t")) + 3, 700) },
    Corruption("a leaf has a cell too few") {
      let place = $0.start($0.leaf("t")) + 3
      $0.set16(place, $0.word16(place) - 1)
    },
    Corruption("a leaf has a cell too many") {
      let place = $0.start($0.leaf("t")) + 3
      $0.set16(place, $0.word16(place) + 1)
    },
    Corruption("a leaf is empty") { $0.set16($0.start($0.leaf("t")) + 3, 0) },
    Corruption("a cell's pointer leads behind the page") { $0.set16($0.pointer($0.leaf("t"), 2), 1100) },
    Corruption("a cell's pointer leads into the header") { $0.set16($0.pointer($0.leaf("t"), 2), 4) },
    Corruption("a cell's pointer leads to the last byte") { $0.set16($0.pointer($0.leaf("t"), 2), 1023) },
    Corruption("a record has bytes behind its last column") {
      // Size, row id below 32768, header's size, no value for `a`, the type of `b`, that of `c`.
      let cell = $0.cell($0.leaf("t"), 3)
      $0.bytes[cell + ($0.bytes[cell + 1] < 0x80 ? 5 : 6)] = 8
    },
    Corruption("an index's entry has bytes behind its last column") { $0.bytes[$0.cell($0.leaf("i"), 3) + 3] = 9 },
    Corruption("two pointers lead to one cell") {
      $0.set16($0.pointer($0.leaf("t"), 2), $0.word16($0.pointer($0.leaf("t"), 1)))
    },
    Corruption("two cells have changed places") {
      let leaf = $0.leaf("t")
      let first = $0.word16($0.pointer(leaf, 1))
      $0.set16($0.pointer(leaf, 1), $0.word16($0.pointer(leaf, 2)))
      $0.set16($0.pointer(leaf, 2), first)
    },
    Corruption("a cell is longer than its page") {
      let place = $0.cell($0.leaf("t"), 0)
      $0.bytes[place] = 0xff
      $0.bytes[place + 1] = 0x7f
    },
    Corruption("a cell is shorter than it was") { $0.bytes[$0.cell($0.leaf("t"), 1)] -= 6 },
    Corruption("a row id is smaller than the one before") { $0.bytes[$0.cell($0.leaf("t"), 3) + 1] = 1 },
    Corruption("a cell's content begins inside another") {
      let place = $0.pointer($0.leaf("t"), 2)
      $0.set16(place, $0.word16(place) + 3)
    },
    Corruption("the content begins behind the page") { $0.set16($0.start($0.leaf("t")) + 5, 1100) },
    Corruption("the content begins behind the first cell") {
      let place = $0.start($0.leaf("t")) + 5
      $0.set16(place, $0.word16(place) + 40)
    },
    Corruption("the content begins among the pointers") { $0.set16($0.start($0.leaf("t")) + 5, 12) },
    Corruption("a free block lies behind the page") { $0.set16($0.start($0.leaf("t")) + 1, 1022) },
    Corruption("a free block lies in the header") { $0.set16($0.start($0.leaf("t")) + 1, 6) },
    Corruption("a free block lies in a cell") {
      let leaf = $0.leaf("t")
      let place = $0.word16($0.pointer(leaf, 1))
      $0.set16($0.start(leaf) + 1, place)
      $0.set16($0.start(leaf) + place, 0)
      $0.set16($0.start(leaf) + place + 2, 8)
    },
    Corruption("a free block leads to itself") {
      let leaf = $0.leaf("t")
      let place = $0.word16($0.pointer(leaf, 1))
      $0.set16($0.start(leaf) + 1, place)
      $0.set16($0.start(leaf) + place, place)
      $0.set16($0.start(leaf) + place + 2, 8)
    },
    Corruption("the count of fragments is wrong") { $0.bytes[$0.start($0.leaf("t")) + 7] = 9 },
    Corruption("a record's header is longer than the record") { $0.bytes[$0.cell($0.leaf("t"), 1) + 3] = 120 },
    Corruption("a column that is NOT NULL is NULL") {
      // The types of a record follow its header's length: NULL for the row id, the text, the number.
      let place = $0.cell($0.leaf("t"), 1) + 3
      $0.bytes[place + 2] = 0
    },
  ]

  private static let innerPages: [Corruption] = [
    Corruption("a child is page zero") { $0.set32($0.innerCell($0.root("t"), 1), 0) },
    Corruption("a child lies outside the file") { $0.set32($0.innerCell($0.root("t"), 1), $0.pageCount + 3) },
    Corruption("a child is there twice") {
      $0.set32($0.innerCell($0.root("t"), 1), $0.word32($0.innerCell($0.root("t"), 2)))
    },
    Corruption("a child is a free page") { $0.set32($0.innerCell($0.root("t"), 1), $0.trunk) },
    Corruption("a child is another table's leaf") { $0.set32($0.innerCell($0.root("t"), 1), $0.leaf("w")) },
    Corruption("the right child is page zero") { $0.set32($0.start($0.root("t")) + 8, 0) },
    Corruption("the right child is the page itself") { $0.set32($0.start($0.root("t")) + 8, $0.root("t")) },
    Corruption("two children have changed places") {
      let (a, b) = ($0.innerCell($0.root("t"), 1), $0.innerCell($0.root("t"), 2))
      let first = $0.word32(a)
      $0.set32(a, $0.word32(b))
      $0.set32(b, first)
    },
    Corruption("a divider is smaller than the rows before it") { $0.bytes[$0.innerCell($0.root("t"), 2) + 4] = 1 },
    Corruption("a divider is larger than the rows behind it") {
      let place = $0.innerCell($0.root("t"), 1) + 4
      $0.bytes[place] = 0x8f
      $0.bytes[place + 1] = 0x7f
    },
    Corruption("an inner page says it is a leaf") { $0.bytes[$0.start($0.root("t"))] = 13 },
    Corruption("an inner page has a cell too few") {
      let place = $0.start($0.root("t")) + 3
      $0.set16(place, $0.word16(place) - 1)
    },
    Corruption("a subtree is deeper than its neighbours") {
      // The leaf becomes the only child of a new inner page at the file's end.
      let place = $0.innerCell($0.root("t"), 1)
      let leaf = $0.word32(place)
      var page = [UInt8](repeating: 0, count: DamagedFile.pageSize)
      page[0] = 5
      (page[5], page[6]) = (4, 0)
      page[11] = UInt8(truncatingIfNeeded: leaf)
      page[10] = UInt8(truncatingIfNeeded: leaf >> 8)
      $0.bytes += page
      $0.set32(place, $0.pageCount)
      $0.set32(28, $0.pageCount)
    },
  ]

  private static let chains: [Corruption] = [
    Corruption("an overflow chain has no first page") { $0.set32($0.overflowHeads[1], 0) },
    Corruption("an overflow chain begins outside the file") { $0.set32($0.overflowHeads[1], $0.pageCount + 2) },
    Corruption("an overflow chain is cut off") { $0.set32($0.start($0.word32($0.overflowHeads[1])), 0) },
    Corruption("an overflow chain runs into another") {
      $0.set32($0.start($0.word32($0.overflowHeads[1])), $0.word32($0.overflowHeads[2]))
    },
    Corruption("an overflow chain leads to itself") {
      let first = $0.word32($0.overflowHeads[1])
      $0.set32($0.start(first), first)
    },
    Corruption("an overflow chain runs into a leaf") { $0.set32($0.start($0.word32($0.overflowHeads[1])), $0.leaf("t")) },
    Corruption("two rows have one overflow chain") { $0.set32($0.overflowHeads[1], $0.word32($0.overflowHeads[2])) },
    Corruption("an overflow chain is longer than its row") {
      var page = $0.word32($0.overflowHeads[1])
      while $0.word32($0.start(page)) != 0 { page = $0.word32($0.start(page)) }
      $0.set32($0.start(page), $0.trunk)
    },
  ]

  private static let indexes: [Corruption] = [
    Corruption("an index's leaf has no kind") { $0.bytes[$0.start($0.leaf("i"))] = 0 },
    Corruption("an index's entry has another key") { $0.bytes[$0.cell($0.leaf("i"), 2) + 6] = 0x7e },
    Corruption("an index's entry leads to another row") {
      let leaf = $0.leaf("i")
      let place = $0.cell(leaf, 2)
      // The last byte of the entry is the last of its row id.
      $0.bytes[place + Int($0.bytes[place])] ^= 1
    },
    Corruption("an index lacks an entry") {
      let place = $0.start($0.leaf("i")) + 3
      $0.set16(place, $0.word16(place) - 1)
    },
    Corruption("two entries of an index have changed places") {
      let leaf = $0.leaf("i")
      let first = $0.word16($0.pointer(leaf, 1))
      $0.set16($0.pointer(leaf, 1), $0.word16($0.pointer(leaf, 2)))
      $0.set16($0.pointer(leaf, 2), first)
    },
    Corruption("a child of an index lies outside the file") { $0.set32($0.innerCell($0.root("i"), 0), $0.pageCount + 1) },
    Corruption("a table without row ids has two rows in the wrong order") {
      let leaf = $0.leaf("w")
      let first = $0.word16($0.pointer(leaf, 1))
      $0.set16($0.pointer(leaf, 1), $0.word16($0.pointer(leaf, 2)))
      $0.set16($0.pointer(leaf, 2), first)
    },
    Corruption("a row of a table without row ids is longer than its page") {
      let place = $0.cell($0.leaf("w"), 0)
      $0.bytes[place] = 0xff
      $0.bytes[place + 1] = 0x7f
    },
  ]
}
