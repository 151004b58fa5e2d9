// The tables that concurrent transactions change by keys of every kind, as they ought to be.
//
//   item   row ids; a UNIQUE name that does not tell cases apart; an index over a group and a value
//   mark   WITHOUT ROWID, a key of two columns, one of which does not tell cases apart; a UNIQUE number that may be NULL
//   ticket row ids that are given by AUTOINCREMENT, and its row of sqlite_sequence
//   coupon as ticket, and only ever longer: its sequence is its largest row id
//   slip   row ids that are given, and said, without AUTOINCREMENT
//   own    for each client rows that nobody else touches, with a UNIQUE name and an index
//   done   for each client the transactions that have happened, by number: what a crash has left of them

struct KeyModel: Equatable {
  struct Item: Equatable {
    var name: String
    var group: Int64
    var value: Int64
  }

  struct MarkKey: Hashable, Comparable {
    /// In small letters.
    var family: String
    var number: Int64

    static func < (left: MarkKey, right: MarkKey) -> Bool { (left.family, left.number) < (right.family, right.number) }
  }

  struct Mark: Equatable {
    var family: String
    var unique: Int64?
    var value: Int64
  }

  var items: [Int64: Item] = [:]
  var marks: [MarkKey: Mark] = [:]
  var tickets: [Int64: Int64] = [:]
  var sequence: Int64?
  /// Row ids of tickets that somebody has used or raised the sequence to, since it was last set back.
  var usedTickets: Set<Int64> = []
  var coupons: [Int64: Int64] = [:]
  var couponSequence: Int64?
  var slips: [Int64: Int64] = [:]
  /// By client.
  var owns: [Int: [Int64: Int64]] = [:]
  /// How often the sequence was made another by UPDATE or DELETE.
  private var settingCount = 0

  static func creationStatements(_ profile: SimulationProfile) -> [String] {
    tableStatements + (0..<profile.clientCount).map { "CREATE TABLE done\($0)(id INTEGER PRIMARY KEY)" }
      + (profile.hasLanes ? laneStatements + (0..<profile.clientCount).flatMap(ownStatements) : [])
  }

  private static let tableStatements = [
    "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, g INTEGER NOT NULL, v INTEGER NOT NULL, pad BLOB)",
    "CREATE INDEX item_g ON item(g, v)",
    "CREATE TABLE mark(a TEXT COLLATE NOCASE, b INTEGER, u INTEGER UNIQUE, v INTEGER NOT NULL, pad BLOB, PRIMARY KEY(a, b)) "
      + "WITHOUT ROWID",
    "CREATE TABLE ticket(id INTEGER PRIMARY KEY AUTOINCREMENT, v INTEGER NOT NULL)",
  ]

  private static let laneStatements = [
    "CREATE TABLE coupon(id INTEGER PRIMARY KEY AUTOINCREMENT, v INTEGER NOT NULL)",
    "CREATE TABLE slip(id INTEGER PRIMARY KEY, v INTEGER NOT NULL)",
  ]

  private static func ownStatements(_ client: Int) -> [String] {
    [
      "CREATE TABLE own\(client)(id INTEGER PRIMARY KEY, name TEXT UNIQUE, v INTEGER NOT NULL, pad BLOB)",
      "CREATE INDEX own\(client)_v ON own\(client)(v)",
    ]
  }

  static let itemStatement = "SELECT id, name, g, v FROM item ORDER BY id"
  static let markStatement = "SELECT a, b, u, v FROM mark ORDER BY a, b"
  static let ticketStatement = "SELECT id, v FROM ticket ORDER BY id"
  static let sequenceStatement = "SELECT seq FROM sqlite_sequence WHERE name='ticket'"
  static let couponStatement = "SELECT id, v FROM coupon ORDER BY id"
  static let couponSequenceStatement = "SELECT seq FROM sqlite_sequence WHERE name='coupon'"
  static let slipStatement = "SELECT id, v FROM slip ORDER BY id"
  static func ownStatement(_ client: Int) -> String { "SELECT id, v FROM own\(client) ORDER BY id" }

  /// Two integers a row, the first its key.
  static func numbers(_ rows: [[ImageField]]) -> [Int64: Int64] {
    var numbers: [Int64: Int64] = [:]
    for row in rows where row.count == 2 {
      if case .integer(let id) = row[0], case .integer(let value) = row[1] { numbers[id] = value }
    }
    return numbers
  }

  init() {}

  /// What `itemStatement`, `markStatement`, `ticketStatement` and `sequenceStatement` gave.
  init(
    items rows: [[ImageField]], marks markRows: [[ImageField]], tickets ticketRows: [[ImageField]], sequence: [[ImageField]]
  ) {
    tickets = Self.numbers(ticketRows)
    if case .integer(let value)? = sequence.first?.first { self.sequence = value }
    usedTickets = Set(tickets.keys.filter { $0 <= self.sequence ?? .min })
    for row in rows where row.count == 4 {
      guard case .integer(let id) = row[0], case .integer(let group) = row[2], case .integer(let value) = row[3] else { continue }
      items[id] = Item(name: Self.text(row[1]), group: group, value: value)
    }
    for row in markRows where row.count == 4 {
      guard case .integer(let number) = row[1], case .integer(let value) = row[3] else { continue }
      var unique: Int64?
      if case .integer(let number) = row[2] { unique = number }
      let family = Self.text(row[0])
      marks[MarkKey(family: family.lowercased(), number: number)] = Mark(family: family, unique: unique, value: value)
    }
  }

  private static func text(_ field: ImageField) -> String {
    if case .text(let bytes) = field { String(decoding: bytes, as: UTF8.self) } else { "\(field)" }
  }

  /// The entries of each index are those that the rows of its table make.
  /// - Returns: what is wrong with that in a file, or nil.
  static func problem(_ found: (schema: [FileWalker.SchemaRow], entries: [Int: [FileWalker.Entry]])) -> String? {
    func entries(_ name: String) -> [FileWalker.Entry] {
      found.schema.first { $0.name == name }.flatMap { found.entries[$0.root] } ?? []
    }
    func problem(_ index: String, _ due: [[ImageField]]) -> String? {
      let there = entries(index).map(\.fields)
      if let first = there.first(where: { !due.contains($0) }) { return "\(index) has the entry \(first), and no row is like that" }
      if let first = due.first(where: { !there.contains($0) }) { return "\(index) has no entry \(first), and a row is like that" }
      return there.count == due.count ? nil : "\(index) has \(there.count) entries, \(due.count) are due"
    }
    let items = entries("item"), marks = entries("mark")
    for client in 0... {
      guard let table = found.schema.first(where: { $0.name == "own\(client)" }) else { break }
      let rows = entries(table.name)
      let wrong =
        problem("sqlite_autoindex_own\(client)_1", rows.map { [$0.fields[1], .integer($0.rowid)] })
        ?? problem("own\(client)_v", rows.map { [$0.fields[2], .integer($0.rowid)] })
      if let wrong { return wrong }
    }
    if let largest = entries("coupon").map(\.rowid).max() {
      let said = entries("sqlite_sequence").first { $0.fields.first == .text(Array("coupon".utf8)) }?.fields.last
      if said != .integer(largest) {
        return "the sequence of coupon says \(said.map { "\($0)" } ?? "nothing"), and its largest row id is \(largest)"
      }
    }
    return problem("sqlite_autoindex_item_1", items.map { [$0.fields[1], .integer($0.rowid)] })
      ?? problem("item_g", items.map { [$0.fields[2], $0.fields[3], .integer($0.rowid)] })
      // Of the two UNIQUE constraints of mark the key is the table itself.
      ?? problem(
        found.schema.first { $0.table == "mark" && $0.type == "index" && $0.root > 0 }?.name ?? "the index of mark",
        marks.map { [$0.fields[2], $0.fields[0], $0.fields[1]] })
  }

  /// The tables are the same, whatever has led to them.
  func shows(_ other: KeyModel) -> Bool {
    items == other.items && marks == other.marks && tickets == other.tickets && sequence == other.sequence
      && coupons == other.coupons && couponSequence == other.couponSequence && slips == other.slips
      && owns.filter { !$0.value.isEmpty } == other.owns.filter { !$0.value.isEmpty }
  }

  // MARK: tickets

  mutating func putTicket(_ id: Int64, _ value: Int64) {
    tickets[id] = value
    raise(to: id)
  }

  mutating func putCoupon(_ id: Int64, _ value: Int64) {
    coupons[id] = value
    couponSequence = max(couponSequence ?? 0, id)
  }

  mutating func raise(to id: Int64) {
    sequence = max(sequence ?? 0, id)
    usedTickets.insert(id)
  }

  /// Row ids behind it may be given again, where they are free or become so.
  mutating func setSequence(_ value: Int64?) {
    if value != sequence { settingCount += 1 }
    sequence = value
    usedTickets = usedTickets.filter { $0 <= value ?? .min }.union(value.map { [$0] } ?? [])
  }

  // MARK: snapshots

  /// Changes here what differs in `after` from `snapshot`.
  /// - Returns: what is here otherwise than in the snapshot, and was to be changed.
  mutating func apply(from snapshot: KeyModel, to after: KeyModel) -> String? {
    for id in Set(snapshot.items.keys).union(after.items.keys).sorted() where snapshot.items[id] != after.items[id] {
      if items[id] != snapshot.items[id] { return "item \(id)" }
      items[id] = after.items[id]
    }
    for key in Set(snapshot.marks.keys).union(after.marks.keys).sorted() where snapshot.marks[key] != after.marks[key] {
      if marks[key] != snapshot.marks[key] { return "mark \(key.family) \(key.number)" }
      marks[key] = after.marks[key]
    }
    for id in Set(snapshot.tickets.keys).union(after.tickets.keys).sorted() where snapshot.tickets[id] != after.tickets[id] {
      if tickets[id] != snapshot.tickets[id] { return "ticket \(id)" }
      tickets[id] = after.tickets[id]
    }
    if let lost = Self.apply(&coupons, from: snapshot.coupons, to: after.coupons) { return "coupon \(lost)" }
    if let raised = after.couponSequence, raised != snapshot.couponSequence { couponSequence = max(couponSequence ?? 0, raised) }
    if let lost = Self.apply(&slips, from: snapshot.slips, to: after.slips) { return "slip \(lost)" }
    for client in Set(snapshot.owns.keys).union(after.owns.keys).sorted() {
      var own = owns[client] ?? [:]
      if let lost = Self.apply(&own, from: snapshot.owns[client] ?? [:], to: after.owns[client] ?? [:]) {
        return "row \(lost) of own\(client)"
      }
      owns[client] = own
    }
    return applySequence(from: snapshot, to: after)
  }

  private static func apply(
    _ rows: inout [Int64: Int64], from snapshot: [Int64: Int64], to after: [Int64: Int64]
  ) -> Int64? {
    if snapshot == after { return nil }
    for id in Set(snapshot.keys).union(after.keys).sorted() where snapshot[id] != after[id] {
      if rows[id] != snapshot[id] { return id }
      rows[id] = after[id]
    }
    return nil
  }

  private mutating func applySequence(from snapshot: KeyModel, to after: KeyModel) -> String? {
    let taken = after.usedTickets.subtracting(snapshot.usedTickets)
    if let twice = taken.intersection(usedTickets.subtracting(snapshot.usedTickets)).min() { return "the use of ticket \(twice)" }
    if after.settingCount != snapshot.settingCount {
      if after.sequence != snapshot.sequence, sequence != snapshot.sequence { return "the sequence" }
      if after.sequence != snapshot.sequence { sequence = after.sequence }
      usedTickets = after.usedTickets.union(usedTickets.subtracting(snapshot.usedTickets))
    } else if !taken.isEmpty || after.sequence != snapshot.sequence {
      // Raises go beside each other, and beside nothing else.
      if settingCount != snapshot.settingCount { return "the sequence" }
      sequence = after.sequence.map { max(sequence ?? 0, $0) }
      usedTickets.formUnion(taken)
    }
    settingCount += after.settingCount - snapshot.settingCount
    return nil
  }

  /// A constraint that does not hold; nil where all do.
  var violation: String? {
    var names: Set<String> = [], uniques: Set<Int64> = []
    for (id, item) in sortedItems where !names.insert(item.name.lowercased()).inserted { return "two items with the name of \(id)" }
    for (key, mark) in sortedMarks {
      if let unique = mark.unique, !uniques.insert(unique).inserted {
        return "two marks with the number of \(key.family) \(key.number)"
      }
    }
    return nil
  }

  /// In the order of `item_g`.
  func sortedGroup(_ group: Int64) -> [(value: Int64, id: Int64)] {
    items.filter { $0.value.group == group }.map { ($0.value.value, $0.key) }.sorted { $0 < $1 }
  }

  var itemsByName: [(folded: String, name: String, id: Int64)] {
    items.map { ($0.value.name.lowercased(), $0.value.name, $0.key) }.sorted { $0.0 < $1.0 }
  }

  var sortedItems: [(id: Int64, item: Item)] { items.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
  var sortedMarks: [(key: MarkKey, mark: Mark)] { marks.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

  func holder(ofName name: String) -> Int64? {
    let folded = name.lowercased()
    return items.first { $0.value.name.lowercased() == folded }?.key
  }

  func holder(ofUnique unique: Int64?) -> MarkKey? {
    guard let unique else { return nil }
    return marks.first { $0.value.unique == unique }?.key
  }
}
