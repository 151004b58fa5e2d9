import ApusBase
import ApusIO
import Testing

@testable import ApusStorage

@Suite("B-trees against a model")
struct BTreeModelTests {
  struct Case: CustomStringConvertible {
    var pageSize: Int
    var seed: UInt64
    var sizeMax: Int
    var steps: Int
    var description: String { "page size \(pageSize), seed \(seed), rows to \(sizeMax) bytes" }
  }

  static let cases: [Case] = [
    Case(pageSize: 512, seed: 1, sizeMax: 60, steps: 3_000), Case(pageSize: 512, seed: 2, sizeMax: 400, steps: 2_000),
    Case(pageSize: 512, seed: 3, sizeMax: 3_000, steps: 800), Case(pageSize: 1024, seed: 4, sizeMax: 300, steps: 2_000),
    Case(pageSize: 4096, seed: 5, sizeMax: 900, steps: 2_000), Case(pageSize: 4096, seed: 6, sizeMax: 200_000, steps: 150),
    Case(pageSize: 65536, seed: 7, sizeMax: 9_000, steps: 1_000), Case(pageSize: 1024, seed: 8, sizeMax: 0, steps: 3_000),
  ]

  @Test("a table agrees with a sorted dictionary, faults and open cursors notwithstanding", arguments: cases)
  func tableAgreesWithModel(_ test: Case) throws {
    var random = SeededRandom(seed: test.seed)
    let fixture = try TreeFixture(
      pageSize: test.pageSize, sql: "CREATE TABLE t(a INTEGER, b BLOB)", faults: test.seed + 100,
      reserved: test.seed % 2 == 0 ? 0 : 12)
    let pager = fixture.pager
    let writer = CursorBox(pager, fixture.root)
    let reader = CursorBox(pager, fixture.root, isWritable: false)
    var model: [Int64: [UInt8]] = [:]
    var readerKey: Int64?
    var grows = true

    for step in 0..<test.steps {
      if step % 400 == 399 { grows.toggle() }
      let context = "\(test), step \(step)"
      let keys = Int64(test.steps)
      switch random.below(10) {
      case 0...(grows ? 5 : 2):
        var rowid = Int64(random.below(Int(keys)))
        if random.oneIn(3) { rowid = try settled { () throws(Fault) in try writer.cursor.newRowid() } }
        if random.oneIn(50) { rowid = -rowid &* 1_000_003_000_000 }
        let length = test.sizeMax == 0 ? 0 : random.below(random.below(test.sizeMax) + 1)
        let content = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ step) }
        let record = OwnedValues(length == 0 ? [.null] : [.integer(Int64(step)), .blob(content)]).record()
        try withView(record) { view in
          try settled { () throws(Fault) in try writer.cursor.insert(rowid: rowid, record: view) }
        }
        model[rowid] = record
        if random.oneIn(4) {
          #expect(try settled { () throws(Fault) in try writer.cursor.rowid } == rowid, "\(context)")
        }
      case 6...8:
        let probe = Int64(random.below(Int(keys)))
        let found = try settled { () throws(Fault) in try writer.cursor.seek(rowid: probe, .greaterOrEqual) }
        let expected = model.keys.filter { $0 >= probe }.min()
        #expect(found == (expected != nil), "\(context)")
        if let expected {
          #expect(try settled { () throws(Fault) in try writer.cursor.rowid } == expected, "\(context)")
          try settled { () throws(Fault) in try writer.cursor.delete() }
          model[expected] = nil
          let follower = model.keys.filter { $0 > expected }.min()
          let leader = model.keys.filter { $0 < expected }.max()
          if random.oneIn(2) {
            #expect(try settled { () throws(Fault) in try writer.cursor.next() } == (follower != nil), "\(context)")
            if let follower {
              #expect(try settled { () throws(Fault) in try writer.cursor.rowid } == follower, "\(context)")
            }
          } else if random.oneIn(2) {
            #expect(try settled { () throws(Fault) in try writer.cursor.previous() } == (leader != nil), "\(context)")
            if let leader {
              #expect(try settled { () throws(Fault) in try writer.cursor.rowid } == leader, "\(context)")
            }
          }
        }
      default:
        let probe = Int64(random.below(Int(keys)))
        let operations: [(SeekOperation, Int64?)] = [
          (.equal, model[probe] == nil ? nil : probe), (.greater, model.keys.filter { $0 > probe }.min()),
          (.lessOrEqual, model.keys.filter { $0 <= probe }.max()), (.less, model.keys.filter { $0 < probe }.max()),
        ]
        let (operation, expected) = operations[random.below(operations.count)]
        let found = try settled { () throws(Fault) in try writer.cursor.seek(rowid: probe, operation) }
        #expect(found == (expected != nil), "\(context), \(operation)")
        if let expected {
          #expect(try settled { () throws(Fault) in try writer.cursor.rowid } == expected, "\(context)")
          let payload = try settled { () throws(Fault) in try writer.cursor.payload() }
          #expect(digest(payload.array) == digest(model[expected]!), "\(context)")
          let record = model[expected]!
          let column = try settled { () throws(Fault) in try writer.cursor.column(1) }
          withView(record) { view in
            let values = RecordReader.values(view)
            #expect((column == nil) == (values.count < 2), "\(context)")
            if let column, values.count > 1 { #expect(column.bytes.elementsEqual(values[1].bytes), "\(context)") }
          }
        }
      }
      // A second cursor walks the table while it changes.
      if random.oneIn(3) {
        let moved: Bool
        if readerKey == nil {
          moved = try settled { () throws(Fault) in try reader.cursor.moveToFirst() }
        } else {
          moved = try settled { () throws(Fault) in try reader.cursor.next() }
        }
        let expected = model.keys.filter { readerKey == nil || $0 > readerKey! }.min()
        #expect(moved == (expected != nil), "\(context): reader behind \(readerKey ?? -1)")
        readerKey = nil
        if moved {
          readerKey = try settled { () throws(Fault) in try reader.cursor.rowid }
          #expect(readerKey == expected, "\(context): reader")
        }
      }
    }
    try checkTable(fixture, model, test)
  }

  private func checkTable(_ fixture: TreeFixture, _ model: [Int64: [UInt8]], _ test: Case) throws {
    let scan = CursorBox(fixture.pager, fixture.root, isWritable: false)
    #expect(try settled { () throws(Fault) in try scan.cursor.count() } == model.count, "\(test)")
    var valid = try settled { () throws(Fault) in try scan.cursor.moveToLast() }
    for key in model.keys.sorted().reversed() {
      #expect(valid, "\(test)")
      #expect(try settled { () throws(Fault) in try scan.cursor.rowid } == key, "\(test)")
      valid = try settled { () throws(Fault) in try scan.cursor.previous() }
    }
    #expect(!valid, "\(test)")
    let file = try fixture.file()
    #expect(sqliteRows(file, "PRAGMA integrity_check") == ["ok"], "\(test)")
    var expected: [String] = []
    for key in model.keys.sorted() {
      withView(model[key]!) { view in
        let values = RecordReader.values(view)
        expected.append(
          values.count < 2
            ? "\(key)|NULL|NULL" : "\(key)|\(values[0].integerValue)|\(hexadecimal(values[1].bytes.array.prefix(40)))")
      }
    }
    #expect(sqliteRows(file, "SELECT rowid, a, hex(substr(b, 1, 40)) FROM t ORDER BY rowid") == expected.map {
      $0.replacing("|NULL|NULL", with: "|NULL|")
    }, "\(test)")
  }

  private func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
  }

  @Test("a table without row ids agrees with a sorted dictionary", arguments: cases)
  func keyedTableAgreesWithModel(_ test: Case) throws {
    var random = SeededRandom(seed: test.seed &+ 1_000)
    let description = KeyDescription([KeyColumn(), KeyColumn(isDescending: true)])
    let fixture = try TreeFixture(
      pageSize: test.pageSize, key: description,
      sql: "CREATE TABLE t(k TEXT, n INTEGER, v BLOB, PRIMARY KEY(k, n DESC)) WITHOUT ROWID", faults: test.seed + 200)
    let pager = fixture.pager
    let writer = CursorBox(pager, fixture.root, description)
    let reader = CursorBox(pager, fixture.root, description, isWritable: false)
    // Keys sort by text, then by number downwards.
    struct Key: Hashable, Comparable {
      var text: String
      var number: Int64
      static func < (a: Key, b: Key) -> Bool { a.text != b.text ? a.text < b.text : a.number > b.number }
      var values: OwnedValues { OwnedValues([.text(text), .integer(number)]) }
    }
    var model: [Key: [UInt8]] = [:]
    var readerKey: Key?
    var grows = true
    func randomKey() -> Key {
      var text = String(random.below(test.steps / 3 + 1))
      if random.oneIn(4) { text = String(repeating: "k", count: random.below(test.sizeMax + 2)) + text }
      return Key(text: text, number: Int64(random.below(3)))
    }
    func keyOf(_ box: CursorBox) throws -> Key {
      let text = try settled { () throws(Fault) in try box.cursor.column(0) }
      let string = text!.bytes.string
      let number = try settled { () throws(Fault) in try box.cursor.column(1) }
      return Key(text: string, number: number!.integerValue)
    }
    for step in 0..<test.steps {
      if step % 400 == 399 { grows.toggle() }
      let context = "\(test), step \(step)"
      let key = randomKey()
      let values = key.values
      if random.below(10) < (grows ? 6 : 3) {
        let length = test.sizeMax == 0 ? 0 : random.below(random.below(test.sizeMax) + 1)
        let content = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 5 &+ step) }
        let record = OwnedValues([.text(key.text), .integer(key.number), .blob(content)]).record()
        try withView(record) { view in
          try settled { () throws(Fault) in try writer.cursor.insert(key: view, values: values.range) }
        }
        model[key] = record
      } else if random.oneIn(2) {
        let found = try settled { () throws(Fault) in try writer.cursor.seek(key: values.range, .greaterOrEqual) }
        let expected = model.keys.filter { $0 >= key }.min()
        #expect(found == (expected != nil), "\(context)")
        if let expected {
          #expect(try keyOf(writer) == expected, "\(context)")
          try settled { () throws(Fault) in try writer.cursor.delete() }
          model[expected] = nil
          let follower = model.keys.filter { $0 > expected }.min()
          let leader = model.keys.filter { $0 < expected }.max()
          if random.oneIn(2) {
            #expect(try settled { () throws(Fault) in try writer.cursor.next() } == (follower != nil), "\(context)")
            if let follower { #expect(try keyOf(writer) == follower, "\(context)") }
          } else if random.oneIn(2) {
            #expect(try settled { () throws(Fault) in try writer.cursor.previous() } == (leader != nil), "\(context)")
            if let leader { #expect(try keyOf(writer) == leader, "\(context)") }
          }
        }
      } else {
        // Half of the probes are of the first column alone.
        let isPrefix = random.oneIn(2)
        let probe = isPrefix ? values.range.prefix(1) : values.range
        func isBelow(_ other: Key) -> Bool { isPrefix ? other.text < key.text : other < key }
        func isEqual(_ other: Key) -> Bool { isPrefix ? other.text == key.text : other == key }
        let operations: [(SeekOperation, Key?)] = [
          (.equal, model.keys.filter { isEqual($0) }.min()),
          (.greaterOrEqual, model.keys.filter { !isBelow($0) }.min()),
          (.greater, model.keys.filter { !isBelow($0) && !isEqual($0) }.min()),
          (.lessOrEqual, model.keys.filter { isBelow($0) || isEqual($0) }.max()),
          (.less, model.keys.filter { isBelow($0) }.max()),
        ]
        let (operation, expected) = operations[random.below(operations.count)]
        let found = try settled { () throws(Fault) in try writer.cursor.seek(key: probe, operation) }
        #expect(found == (expected != nil), "\(context), \(operation)")
        if let expected {
          #expect(try keyOf(writer) == expected, "\(context), \(operation)")
          let payload = try settled { () throws(Fault) in try writer.cursor.payload() }
          #expect(digest(payload.array) == digest(model[expected]!), "\(context)")
          let order = try settled { () throws(Fault) in try writer.cursor.compareKey(probe) }
          #expect((order == 0) == isEqual(expected) && (order < 0) == isBelow(expected), "\(context)")
        }
      }
      if random.oneIn(3) {
        let moved: Bool
        if readerKey == nil {
          moved = try settled { () throws(Fault) in try reader.cursor.moveToFirst() }
        } else {
          moved = try settled { () throws(Fault) in try reader.cursor.next() }
        }
        let expected = model.keys.filter { readerKey == nil || $0 > readerKey! }.min()
        #expect(moved == (expected != nil), "\(context)")
        readerKey = nil
        if moved {
          readerKey = try keyOf(reader)
          #expect(readerKey == expected, "\(context)")
        }
      }
    }
    #expect(try settled { () throws(Fault) in try reader.cursor.count() } == model.count, "\(test)")
    let file = try fixture.file()
    #expect(sqliteRows(file, "PRAGMA integrity_check") == ["ok"], "\(test)")
    let expected = model.keys.sorted().map { "\($0.text)|\($0.number)" }
    #expect(sqliteRows(file, "SELECT k, n FROM t ORDER BY k, n DESC") == expected, "\(test)")
  }

  @Test("clearing leaves an empty root and gives every page back")
  func clearing() throws {
    let fixture = try TreeFixture(pageSize: 512, sql: "CREATE TABLE t(a INTEGER, b BLOB)", faults: 9)
    let pager = fixture.pager
    let writer = CursorBox(pager, fixture.root)
    for row in 0..<500 {
      let record = OwnedValues([.integer(Int64(row)), .blob([UInt8](repeating: 7, count: row * 3))]).record()
      try withView(record) { view in
        try settled { () throws(Fault) in try writer.cursor.insert(rowid: Int64(row), record: view) }
      }
    }
    while try !settled({ () throws(Fault) in try BTree.clear(pager, root: fixture.root) }) {}
    #expect(try settled { () throws(Fault) in try writer.cursor.count() } == 0)
    let file = try fixture.file()
    #expect(sqliteRows(file, "PRAGMA integrity_check") == ["ok"])
    #expect(sqliteRows(file, "PRAGMA freelist_count") == ["\(pager.pageCount - 2)"])
    #expect(sqliteRows(file, "SELECT count(*) FROM t") == ["0"])
  }

  @Test("rows appended in order leave full pages behind", arguments: [4096, 512])
  func appendFillsPages(pageSize: Int) throws {
    let fixture = try TreeFixture(pageSize: pageSize, sql: "CREATE TABLE t(a INTEGER, b BLOB)", faults: nil)
    let writer = CursorBox(fixture.pager, fixture.root)
    var contentBytes = 0
    for row in 1...20_000 {
      let record = OwnedValues([.integer(Int64(row)), .blob([1, 2, 3, 4, 5, 6, 7, 8])]).record()
      contentBytes += record.count
      try withView(record) { view in
        try settled { () throws(Fault) in
          let rowid = try writer.cursor.newRowid()
          try writer.cursor.insert(rowid: rowid, record: view, isAppend: true)
        }
      }
    }
    let file = try fixture.file()
    #expect(sqliteRows(file, "PRAGMA integrity_check") == ["ok"])
    // Each row takes some six bytes besides its record.
    #expect(Double(contentBytes + 20_000 * 6) / Double(file.count) > 0.9)
  }
}
