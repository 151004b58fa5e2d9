import ApusBase
import ApusIO
import Testing

@testable import ApusStorage

@Suite("Damaged b-trees and the integrity check")
struct BTreeDamageTests {
  /// A database with long and short rows and a freelist.
  private func makeFixture(_ seed: UInt64, pageSize: Int, isKeyed: Bool) throws -> TreeFixture {
    let description = isKeyed ? KeyDescription([KeyColumn()]) : nil
    let fixture = try TreeFixture(
      pageSize: pageSize, key: description,
      sql: isKeyed ? "CREATE TABLE t(a TEXT PRIMARY KEY, b BLOB) WITHOUT ROWID" : "CREATE TABLE t(a TEXT, b BLOB)",
      faults: nil)
    var random = SeededRandom(seed: seed)
    let writer = CursorBox(fixture.pager, fixture.root, description)
    for row in 0..<300 {
      let length = random.oneIn(20) ? random.below(4 * pageSize) : random.below(60)
      let values = OwnedValues([.text("key \(random.below(10_000))"), .blob([UInt8](repeating: UInt8(row & 255), count: length))])
      try withView(values.record()) { view in
        try settled { () throws(Fault) in
          if isKeyed {
            try writer.cursor.insert(key: view, values: values.range.prefix(1))
          } else {
            try writer.cursor.insert(rowid: Int64(row * 3), record: view)
          }
        }
      }
      if row % 7 == 6, try settled({ () throws(Fault) in try writer.cursor.moveToFirst() }) {
        try settled { () throws(Fault) in try writer.cursor.delete() }
      }
    }
    return fixture
  }

  /// Puts a file's bytes into a memory pager, page by page.
  private func pager(of file: [UInt8], pageSize: Int) throws -> Pager {
    var configuration = Pager.Configuration()
    configuration.pageSize = pageSize
    let pager = Pager.memory(environment: MemoryEnvironment(), configuration: configuration)
    try settled { () throws(Fault) in try pager.beginWrite() }
    for number in 2...max(UInt32(file.count / pageSize), 2) {
      let page = try settled { () throws(Fault) in try pager.allocate() }
      #expect(page.number.rawValue == number)
      withView(Array(file[Int(number - 1) * pageSize..<Int(number) * pageSize])) { page.mutableBytes.copy($0, to: 0) }
    }
    try settled { () throws(Fault) in
      let one = pager.writable(try pager.page(.one))
      withView(Array(file[0..<pageSize])) { one.mutableBytes.copy($0, to: 0) }
    }
    return pager
  }

  private func complaints(_ pager: Pager, _ root: PageNumber) throws -> [String] {
    let check = IntegrityCheck(pager, roots: [root])
    try settled { () throws(Fault) in try check.run() }
    return check.complaints
  }

  @Test("a sound file has no complaint, whatever faults the walk meets", arguments: [(512, false), (1024, true)])
  func soundFile(pageSize: Int, isKeyed: Bool) throws {
    let fixture = try makeFixture(3, pageSize: pageSize, isKeyed: isKeyed)
    fixture.pager.faultInjection = SeededRandom(seed: 1)
    #expect(try complaints(fixture.pager, fixture.root) == [])
    #expect(sqliteRows(try fixture.file(), "PRAGMA integrity_check") == ["ok"])
  }

  @Test("a leaf that two b-trees share is told, where the other one has changed it")
  func sharedLeaf() throws {
    let fixture = try makeFixture(5, pageSize: 512, isKeyed: false)
    let pager = fixture.pager
    let otherRoot = try settled { () throws(Fault) in
      let copy = try pager.allocate()
      copy.mutableBytes.copy(try pager.page(fixture.root).bytes, to: 0)
      return copy.number
    }
    let one = CursorBox(pager, fixture.root, nil), other = CursorBox(pager, otherRoot, nil)
    func insert(_ box: CursorBox, _ rowid: Int64) throws {
      let values = OwnedValues([.text("key"), .null])
      try withView(values.record()) { view in
        try settled { () throws(Fault) in
          _ = try box.cursor.seek(rowid: rowid, .equal)
          try box.cursor.insert(rowid: rowid, record: view)
        }
      }
    }
    try insert(one, 301)
    try insert(other, 302)
    let fault = #expect(throws: Fault.self) { try insert(one, 301) }
    if case .failure(let error)? = fault { #expect(error.code == .corrupt) }
  }

  /// A statement that waits in the midst of a clear leaves pages without cells, which are no damage.
  @Test("a tree can be read between two pieces of a clear", arguments: [false, true])
  func readsWhileCleared(isKeyed: Bool) throws {
    let fixture = try makeFixture(9, pageSize: 512, isKeyed: isKeyed)
    let box = CursorBox(fixture.pager, fixture.root, fixture.key, isWritable: false)
    fixture.pager.faultInjection = SeededRandom(seed: 2)
    var isCleared = false
    while !isCleared {
      do throws(Fault) { isCleared = try BTree.clear(fixture.pager, root: fixture.root) } catch {
        guard case .wait = error else { throw error }
      }
      #expect(try settled { () throws(Fault) in try box.cursor.count() } != nil)
      _ = try settled { () throws(Fault) in try box.cursor.moveToLast() }
    }
    #expect(try settled { () throws(Fault) in try box.cursor.count() } == 0)
  }

  /// Calls every operation on a damaged tree; failures are welcome, traps and endless loops are not.
  private func exercise(_ pager: Pager, _ root: PageNumber, _ key: KeyDescription?, _ random: inout SeededRandom) {
    let box = CursorBox(pager, root, key)
    func attempt(_ body: () throws(Fault) -> Void) { do { try body() } catch {} }
    attempt { () throws(Fault) in
      var valid = try box.cursor.moveToFirst()
      var steps = 0
      while valid, steps < 2_000 {
        for column in 0..<3 { _ = try box.cursor.column(column) }
        _ = try box.cursor.payload()
        valid = try box.cursor.next()
        steps += 1
      }
    }
    attempt { () throws(Fault) in
      var valid = try box.cursor.moveToLast()
      var steps = 0
      while valid, steps < 2_000 {
        valid = try box.cursor.previous()
        steps += 1
      }
    }
    for step in 0..<30 {
      let values = OwnedValues([.text("key \(random.below(10_000))"), .blob([UInt8](repeating: 1, count: random.below(900)))])
      let record = values.record()
      withView(record) { view in
        attempt { () throws(Fault) in
          if key == nil {
            _ = try box.cursor.seek(rowid: Int64(random.below(900)), step % 2 == 0 ? .equal : .lessOrEqual)
            try box.cursor.insert(rowid: Int64(random.below(1_200)), record: view)
          } else {
            _ = try box.cursor.seek(key: values.range.prefix(1), step % 2 == 0 ? .equal : .less)
            try box.cursor.insert(key: view, values: values.range.prefix(1))
          }
        }
      }
      attempt { () throws(Fault) in
        if key == nil {
          _ = try box.cursor.seek(rowid: Int64(random.below(900)), .greaterOrEqual)
        } else {
          _ = try box.cursor.seek(key: values.range.prefix(1), .greaterOrEqual)
        }
        if box.cursor.isValid { try box.cursor.delete() }
        _ = try box.cursor.next()
      }
    }
    attempt { () throws(Fault) in
      var steps = 0
      while try !BTree.clear(pager, root: root), steps < 500 { steps += 1 }
    }
  }

  @Test("flipped bits give rows or errors, never a trap", arguments: [false, true])
  func flippedBits(isKeyed: Bool) throws {
    let pageSize = 512
    let fixture = try makeFixture(5, pageSize: pageSize, isKeyed: isKeyed)
    let file = try fixture.file()
    for seed in UInt64(1)...250 {
      var random = SeededRandom(seed: seed)
      var damaged = file
      for _ in 0...random.below(6) {
        // Half of the damage goes to the pages' first bytes, where it hurts most.
        let page = 1 + random.below(file.count / pageSize - 1)
        let offset = page * pageSize + random.below(random.oneIn(2) ? 24 : pageSize)
        damaged[offset] = random.oneIn(3) ? UInt8(random.below(256)) : damaged[offset] ^ (1 << UInt8(random.below(8)))
      }
      let pager = try pager(of: damaged, pageSize: pageSize)
      let found = try complaints(pager, fixture.root)
      #expect(found.count <= 100)
      exercise(pager, fixture.root, fixture.key, &random)
    }
  }

  @Test("the complaints are SQLite's own")
  func complaintsAreSQLites() throws {
    let pageSize = 512
    let fixture = try makeFixture(7, pageSize: pageSize, isKeyed: false)
    let file = try fixture.file()
    for seed in UInt64(1)...120 {
      var random = SeededRandom(seed: seed)
      var damaged = file
      let page = 1 + random.below(file.count / pageSize - 1)
      let offset = page * pageSize + random.below(random.oneIn(2) ? 16 : pageSize)
      damaged[offset] ^= 1 << UInt8(random.below(8))
      let ours = try complaints(try pager(of: damaged, pageSize: pageSize), fixture.root)
      let theirs = sqliteRows(damaged, "PRAGMA quick_check").flatMap { $0.split(separator: "\n").map(String.init) }
      let isSound = theirs == ["ok"]
      // SQLite's wording changed over the years: compare whether something is wrong where the structure is damaged.
      if !isSound, theirs.contains(where: { $0.contains("never used") || $0.contains("2nd reference") }) {
        #expect(!ours.isEmpty, "seed \(seed): \(theirs.prefix(3))")
      }
      if !ours.isEmpty { #expect(!isSound, "seed \(seed): \(ours.prefix(3))") }
    }
  }
}
