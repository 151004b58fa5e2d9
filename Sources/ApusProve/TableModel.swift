// Two tables as dictionaries, the same operations as SQL, and the comparison of both. Either engine may run the statements.

import ApusBase
import ApusHarness

struct ProofFailure: Error {
  var text: String
  init(_ text: String) { self.text = text }
}

struct TableModel {
  /// Key to the other columns: u (unique or NULL), c, d.
  typealias Table = [HarnessValue: [HarnessValue]]

  /// "t" has a rowid, "w" has none.
  static let names = ["t", "w"]
  static let schema = """
    CREATE TABLE t(k INTEGER PRIMARY KEY, u UNIQUE, c, d);
    CREATE INDEX tc ON t(c);
    CREATE INDEX td ON t(d, c);
    CREATE TABLE w(k PRIMARY KEY, u UNIQUE, c, d) WITHOUT ROWID;
    CREATE INDEX wc ON w(c DESC);
    """

  var isVerbose = false
  var tables: [Table] = [[:], [:]]
  /// Bytes of all d: files stay small enough to be checked after each batch.
  private var byteCount = 0
  private static let byteCountMax = 3_000_000

  // MARK: One transaction

  /// Runs a random transaction, and does the same here.
  mutating func runTransaction(_ random: inout SeededRandom, on connection: any HarnessConnection) throws {
    let before = self
    let isExplicit = !random.oneIn(4)
    if isExplicit { try connection.execute("BEGIN\(random.oneIn(2) ? " IMMEDIATE" : "")") }
    for _ in 0...(isExplicit ? random.below(8) : 0) { try runStatement(&random, connection) }
    guard isExplicit else { return }
    if random.oneIn(6) {
      try connection.execute("ROLLBACK")
      self = before
    } else {
      try connection.execute("COMMIT")
    }
  }

  private mutating func runStatement(_ random: inout SeededRandom, _ connection: any HarnessConnection) throws {
    let number = random.below(2), name = Self.names[number]
    let isFull = byteCount > Self.byteCountMax
    var kind = isFull ? 8 + random.below(5) : random.below(14)
    if isFull, random.oneIn(10) { kind = 100 }
    switch kind {
    case 0...4:
      let key = newKey(number, &random), row = [unique(&random), Self.plain(&random), Self.payload(&random)]
      let twins = conflicts(number, key, row[0])
      switch random.below(3) {
      case 0:
        try expect(connection, "INSERT INTO \(name) VALUES (?, ?, ?, ?)", [key] + row, fails: !twins.isEmpty)
        if twins.isEmpty { put(number, key, row) }
      case 1:
        try expect(connection, "INSERT OR IGNORE INTO \(name) VALUES (?, ?, ?, ?)", [key] + row)
        if twins.isEmpty { put(number, key, row) }
      default:
        try expect(connection, "INSERT OR REPLACE INTO \(name) VALUES (?, ?, ?, ?)", [key] + row)
        for twin in twins { remove(number, twin) }
        put(number, key, row)
      }
    case 5, 6:
      guard let key = someKey(number, &random), var row = tables[number][key] else { return }
      row[2] = Self.payload(&random)
      try expect(connection, "UPDATE \(name) SET d = ? WHERE k = ?", [row[2], key])
      put(number, key, row)
    case 7:
      guard let key = someKey(number, &random), var row = tables[number][key] else { return }
      row[0] = unique(&random)
      let isTaken = conflicts(number, key, row[0]).contains { $0 != key }
      try expect(connection, "UPDATE \(name) SET u = ? WHERE k = ?", [row[0], key], fails: isTaken)
      if !isTaken { put(number, key, row) }
    case 8:
      guard let key = someKey(number, &random) else { return }
      try expect(connection, "DELETE FROM \(name) WHERE k = ?", [key])
      remove(number, key)
    case 9:
      let value = HarnessValue.integer(Int64(random.below(40)))
      try expect(connection, "DELETE FROM \(name) WHERE c = ?", [value])
      for (key, row) in tables[number] where row[1] == value { remove(number, key) }
    case 10:
      let value = HarnessValue.integer(Int64(random.below(40))), other = Self.plain(&random)
      try expect(connection, "UPDATE \(name) SET c = ? WHERE c = ?", [other, value])
      for (key, row) in tables[number] where row[1] == value { tables[number][key]?[1] = other }
    case 11:
      guard let key = someKey(number, &random), let row = tables[number][key] else { return }
      let target = newKey(number, &random)
      let isTaken = target != key && tables[number][target] != nil
      try expect(connection, "UPDATE \(name) SET k = ? WHERE k = ?", [target, key], fails: isTaken)
      if !isTaken {
        remove(number, key)
        put(number, target, row)
      }
    case 12:
      let low = Int64(random.below(600)), high = low + Int64(random.below(40))
      try expect(connection, "DELETE FROM t WHERE k BETWEEN ? AND ?", [.integer(low), .integer(high)])
      for key in tables[0].keys {
        if case .integer(let value) = key, value >= low, value <= high { remove(0, key) }
      }
    case 100:
      try expect(connection, "DELETE FROM \(name)", [])
      for key in tables[number].keys { remove(number, key) }
    default:
      // Rows from the other table: keys of w are texts and blobs, so that they meet no rowid.
      guard random.oneIn(4) else { return }
      // A writer may have been killed between the two.
      try connection.execute("DROP INDEX IF EXISTS tc; CREATE INDEX tc ON t(c)")
    }
  }

  private func expect(
    _ connection: any HarnessConnection, _ sql: String, _ values: [HarnessValue], fails: Bool = false
  ) throws {
    if isVerbose {
      let shown = values.map { $0.description.count < 60 ? $0.description : "(\($0.description.count))" }
      Console.line("\(sql) \(shown)\(fails ? " fails" : "")")
    }
    do throws(EngineFailure) {
      let statement = try connection.prepare(sql)
      defer { statement.finalize() }
      for (index, value) in values.enumerated() { try statement.bind(value, at: index + 1) }
      while try statement.step() {}
    } catch {
      if fails, error.code & 0xff == 19 { return }
      throw ProofFailure("\(sql): \(error)")
    }
    if fails { throw ProofFailure("\(sql): no constraint failed") }
  }

  // MARK: Values

  private func newKey(_ number: Int, _ random: inout SeededRandom) -> HarnessValue {
    if number == 0 { return .integer(random.oneIn(20) ? Int64(bitPattern: random.next()) : Int64(random.below(600))) }
    let text = "key \(random.below(600))"
    if random.oneIn(12) { return .text(text + String(repeating: "long ", count: random.below(400))) }
    return random.oneIn(5) ? .blob(Array(text.utf8)) : .text(text)
  }

  private func unique(_ random: inout SeededRandom) -> HarnessValue {
    if random.oneIn(4) { return .null }
    return random.oneIn(3) ? .text("u\(random.below(2000))") : .integer(Int64(random.below(2000)))
  }

  private static func plain(_ random: inout SeededRandom) -> HarnessValue {
    switch random.below(6) {
    case 0: return .null
    case 1: return .real(Double(random.below(100)) + 0.5)
    case 2: return .text("c \(random.below(50))")
    case 3: return .integer(Int64(bitPattern: random.next()) >> Int64(random.below(64)) | 64)
    default: return .integer(Int64(random.below(40)))
    }
  }

  /// 0 bytes to 200 kB, mostly short.
  private static func payload(_ random: inout SeededRandom) -> HarnessValue {
    let scale = random.below(100)
    let count =
      scale < 20
      ? 0
      : scale < 65
        ? random.below(120)
        : scale < 88
          ? random.below(5000)
          : scale < 98
            ? random.below(30_000) : random.below(200_001)
    if count == 0, random.oneIn(2) { return .null }
    let word = random.next()
    let bytes = (0..<count).map { index in
      UInt8(97 + (UInt64(truncatingIfNeeded: index &* 31) &+ (word >> UInt64(index & 31))) % 26)
    }
    return random.oneIn(2) ? .text(bytes) : .blob(bytes)
  }

  // MARK: Rows

  private func someKey(_ number: Int, _ random: inout SeededRandom) -> HarnessValue? {
    if tables[number].isEmpty { return nil }
    // Not by the dictionary's order, which differs from process to process.
    let salt = random.next()
    return tables[number].keys.min { Self.rank($0, salt) < Self.rank($1, salt) }
  }

  private static func rank(_ value: HarnessValue, _ salt: UInt64) -> UInt64 {
    var hash = salt
    func add(_ word: UInt64) { hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15 ^ (hash >> 29) }
    switch value {
    case .null: add(0)
    case .integer(let integer): add(UInt64(bitPattern: integer))
    case .real(let bits): add(bits)
    case .text(let bytes), .blob(let bytes):
      for byte in bytes.prefix(16) { add(UInt64(byte)) }
      add(UInt64(bytes.count))
      if case .blob = value { add(1) }
    }
    return hash
  }

  private func conflicts(_ number: Int, _ key: HarnessValue, _ unique: HarnessValue) -> [HarnessValue] {
    var found = tables[number][key] == nil ? [] : [key]
    if unique == .null { return found }
    for (other, row) in tables[number] where row[0] == unique && other != key { found.append(other) }
    return found
  }

  private static func size(_ row: [HarnessValue]) -> Int {
    switch row[2] {
    case .text(let bytes), .blob(let bytes): return bytes.count
    case .null, .integer, .real: return 0
    }
  }

  private mutating func put(_ number: Int, _ key: HarnessValue, _ row: [HarnessValue]) {
    remove(number, key)
    tables[number][key] = row
    byteCount += Self.size(row)
  }

  private mutating func remove(_ number: Int, _ key: HarnessValue) {
    if let row = tables[number].removeValue(forKey: key) { byteCount -= Self.size(row) }
  }

  // MARK: Comparing

  /// What a database holds now becomes the model.
  init(of connection: any HarnessConnection) throws {
    for (number, name) in Self.names.enumerated() {
      for row in try connection.rows("SELECT k, u, c, d FROM \(name)").rows { put(number, row[0], Array(row[1...])) }
    }
  }

  init(isVerbose: Bool) { self.isVerbose = isVerbose }

  /// The database is whole, and holds what the model holds.
  func check(_ connection: any HarnessConnection, _ who: String) throws {
    let report = try connection.rows("PRAGMA integrity_check").rows
    if report != [[.text("ok")]] {
      let lines = report.prefix(5).compactMap { $0.first?.description }
      throw ProofFailure("\(who): integrity_check: \(lines.joined(separator: "; "))")
    }
    for (number, name) in Self.names.enumerated() {
      let rows = try connection.rows("SELECT k, u, c, d FROM \(name) ORDER BY k").rows
      if rows.count != tables[number].count {
        throw ProofFailure("\(who): \(name) has \(rows.count) rows, the model \(tables[number].count)")
      }
      // A row that comes twice takes another one's place in the count.
      var seen: Set<HarnessValue> = []
      for row in rows where !seen.insert(row[0]).inserted { throw ProofFailure("\(who): \(name) has \(row[0]) twice") }
      for row in rows where tables[number][row[0]] != Array(row[1...]) {
        let found = row.map { String($0.description.suffix(40)) }, model = tables[number][row[0]]
        let expected = model.map { $0.map { String($0.description.suffix(40)) } }
        throw ProofFailure("\(who): \(name) has \(found), the model \(expected.map { "\($0)" } ?? "no such key")")
      }
      let some = HarnessValue.integer(7)
      let count = try connection.rows("SELECT count(*) FROM \(name) WHERE c = 7").rows
      let expected = tables[number].values.reduce(0) { $0 + ($1[1] == some ? 1 : 0) }
      if count != [[.integer(Int64(expected))]] { throw ProofFailure("\(who): \(name) through its index: \(count)") }
    }
  }
}
