// One statement of a random transaction: its SQL, its bindings, and what it does to the model.

import ApusBase

enum Operation: Sendable {
  enum Conflict: String, Sendable { case abort = "", replace = " OR REPLACE", ignore = " OR IGNORE" }

  case insert(table: Int, id: Int64, row: ModelRow, conflict: Conflict)
  /// A row whose key the engine chooses; of tables with row ids only.
  case append(table: Int, row: ModelRow)
  /// Two rows by one statement: both or none.
  case insertPair(table: Int, id: Int64, first: ModelRow, second: ModelRow)
  /// Rows with the keys from `id` on, by one statement, in the place of those that are there: a table that grows, or is made new.
  case insertMany(table: Int, id: Int64, rows: [ModelRow])
  case updateOne(table: Int, id: Int64, row: ModelRow)
  /// Adds one to `k` of a range of keys.
  case bumpRange(table: Int, ids: ClosedRange<Int64>)
  /// Adds `by` to `u` of a range of keys, which may collide half way: then the whole statement is undone.
  case shiftUnique(table: Int, ids: ClosedRange<Int64>, by: Int64)
  case deleteOne(table: Int, id: Int64)
  case deleteRange(table: Int, ids: ClosedRange<Int64>)
  /// All rows, by a statement that looks at none.
  case clear(table: Int)
  /// Gives a row another key.
  case moveKey(table: Int, id: Int64, to: Int64)
  /// Changes the column of the index by which the rows are found.
  case setByIndex(table: Int, k: Int64, to: Int64)
  /// Rows here and there in the table, in the order of an index.
  case deleteByIndex(table: Int, ks: ClosedRange<Int64>)
  /// Empties `v`, which frees what overflowed, and adds `by` to `u`, which may collide half way.
  case emptyRange(table: Int, ids: ClosedRange<Int64>, by: Int64)
  /// Rows of another table, in the place of those that are there.
  case copyRange(from: Int, table: Int, ids: ClosedRange<Int64>)
  /// Of the lists that the isolation checker looks at; see `HistoryRecorder`. No model knows what is in them.
  case appendToList(Int, value: Int), readList(Int)
  // Of tables that come and go.
  case createTable(Int), dropTable(Int), createIndex(Int), dropIndex(Int)
  case readOne(table: Int, id: Int64)
  case readByIndex(table: Int, k: Int64)
  case readAll(table: Int)
  /// In the order of the keys, or of the index on `k`, or the other way round.
  case readRange(table: Int, ids: ClosedRange<Int64>, isBackward: Bool)
  case readIndexRange(table: Int, ks: ClosedRange<Int64>, isBackward: Bool)
  case readByUnique(table: Int, u: Int64)
  /// How many rows there are, and between which `k` they lie.
  case count(table: Int), readEnds(table: Int)

  /// A parameter of the statement.
  enum Binding: CustomStringConvertible {
    case integer(Int64), text([UInt8]), blob([UInt8]), null

    var description: String {
      switch self {
      case .integer(let number): "\(number)"
      case .text(let bytes) where bytes.count > 20: "text of \(bytes.count)"
      case .text(let bytes): "'\(String(decoding: bytes, as: UTF8.self))'"
      case .blob(let bytes): "blob of \(bytes.count)"
      case .null: "NULL"
      }
    }
  }

  var table: Int {
    switch self {
    case .insert(let table, _, _, _), .append(let table, _), .insertPair(let table, _, _, _),
      .insertMany(let table, _, _), .updateOne(let table, _, _), .bumpRange(let table, _),
      .shiftUnique(let table, _, _), .deleteOne(let table, _), .deleteRange(let table, _), .readOne(let table, _),
      .readByIndex(let table, _), .readAll(let table), .moveKey(let table, _, _), .setByIndex(let table, _, _),
      .deleteByIndex(let table, _), .emptyRange(let table, _, _), .copyRange(_, let table, _),
      .createTable(let table), .dropTable(let table), .createIndex(let table), .dropIndex(let table), .clear(let table),
      .readRange(let table, _, _), .readIndexRange(let table, _, _), .readByUnique(let table, _), .count(let table),
      .readEnds(let table):
      table
    case .appendToList, .readList: 0
    }
  }

  var isRead: Bool {
    switch self {
    case .readOne, .readByIndex, .readAll, .readList, .readRange, .readIndexRange, .readByUnique, .count, .readEnds:
      true
    case .insert, .append, .insertPair, .insertMany, .updateOne, .bumpRange, .shiftUnique, .deleteOne, .deleteRange, .clear,
      .moveKey, .setByIndex, .deleteByIndex, .emptyRange, .copyRange, .createTable, .dropTable, .createIndex, .dropIndex,
      .appendToList:
      false
    }
  }

  /// Pages may be free behind it.
  var givesPagesBack: Bool {
    switch self {
    case .deleteRange, .deleteByIndex, .emptyRange, .clear: true
    case .insert, .append, .insertPair, .insertMany, .updateOne, .bumpRange, .shiftUnique, .deleteOne, .moveKey, .setByIndex,
      .copyRange, .appendToList, .createTable, .dropTable, .createIndex, .dropIndex, .readOne, .readByIndex, .readAll, .readList,
      .readRange, .readIndexRange, .readByUnique, .count, .readEnds:
      false
    }
  }

  /// The same with other values, which take the same room: it changes the same pages, and leaves something else on them.
  func withOtherContent(_ number: UInt64) -> Operation {
    func other(_ row: ModelRow) -> ModelRow {
      var row = row
      // Text stays text.
      row.tag ^= (number >> 1) & ~1
      return row
    }
    switch self {
    case .insert(let table, let id, let row, let conflict):
      return .insert(table: table, id: id, row: other(row), conflict: conflict)
    case .append(let table, let row): return .append(table: table, row: other(row))
    case .insertPair(let table, let id, let first, let second):
      return .insertPair(table: table, id: id, first: other(first), second: other(second))
    case .insertMany(let table, let id, let rows): return .insertMany(table: table, id: id, rows: rows.map(other))
    case .updateOne(let table, let id, let row): return .updateOne(table: table, id: id, row: other(row))
    case .shiftUnique(let table, let ids, let by): return .shiftUnique(table: table, ids: ids, by: by + 1)
    case .emptyRange(let table, let ids, let by): return .emptyRange(table: table, ids: ids, by: by + 1)
    case .setByIndex(let table, let k, let to): return .setByIndex(table: table, k: k, to: to + 1)
    case .bumpRange, .deleteOne, .deleteRange, .moveKey, .deleteByIndex, .copyRange, .appendToList, .createTable, .dropTable,
      .createIndex, .dropIndex, .readOne, .readByIndex, .readAll, .readList, .clear, .readRange, .readIndexRange, .readByUnique,
      .count, .readEnds:
      return self
    }
  }

  var changesSchema: Bool {
    switch self {
    case .createTable, .dropTable, .createIndex, .dropIndex: true
    case .insert, .append, .insertPair, .insertMany, .updateOne, .bumpRange, .shiftUnique, .deleteOne, .deleteRange, .clear,
      .moveKey, .setByIndex, .deleteByIndex, .emptyRange, .copyRange, .appendToList, .readOne, .readByIndex, .readAll, .readList,
      .readRange, .readIndexRange, .readByUnique, .count, .readEnds:
      false
    }
  }

  /// What the statement must be refused with since the schema is another; nil where nothing of that kind is the matter.
  func schemaError(_ model: DatabaseModel) -> String? {
    let name = model.shapes[table].name
    let isMissing = model.missing.contains(table), isIndexed = model.indexed.contains(table)
    switch self {
    case .createTable: return isMissing ? nil : "table \(name) already exists"
    case .createIndex:
      return isMissing ? "no such table: main.\(name)" : isIndexed ? "index \(name)_k already exists" : nil
    case .dropIndex: return isIndexed ? nil : "no such index: \(name)_k"
    case .copyRange(let source, _, _) where model.missing.contains(source) && !isMissing:
      return "no such table: \(model.shapes[source].name)"
    default: return isMissing ? "no such table: \(name)" : nil
    }
  }

  func sql(_ model: DatabaseModel) -> String {
    let name = model.shapes[table].name
    switch self {
    case .insert(_, _, _, let conflict): return "INSERT\(conflict.rawValue) INTO \(name)(id,k,u,v) VALUES(?1,?2,?3,?4)"
    case .append: return "INSERT INTO \(name)(k,u,v) VALUES(?1,?2,?3)"
    case .insertPair: return "INSERT INTO \(name)(id,k,u,v) VALUES(?1,?2,?3,?4),(?5,?6,?7,?8)"
    case .insertMany(_, _, let rows):
      let places = rows.indices.map { "(?\(4 * $0 + 1),?\(4 * $0 + 2),?\(4 * $0 + 3),?\(4 * $0 + 4))" }
      return "INSERT OR REPLACE INTO \(name)(id,k,u,v) VALUES\(places.joined(separator: ","))"
    case .updateOne: return "UPDATE \(name) SET k=?2, u=?3, v=?4 WHERE id=?1"
    case .bumpRange: return "UPDATE \(name) SET k=k+1 WHERE id BETWEEN ?1 AND ?2"
    case .shiftUnique: return "UPDATE \(name) SET u=u+?3 WHERE id BETWEEN ?1 AND ?2"
    case .deleteOne: return "DELETE FROM \(name) WHERE id=?1"
    case .deleteRange: return "DELETE FROM \(name) WHERE id BETWEEN ?1 AND ?2"
    case .moveKey: return "UPDATE \(name) SET id=?2 WHERE id=?1"
    case .setByIndex: return "UPDATE \(name) SET k=?2 WHERE k=?1"
    case .emptyRange:
      return "UPDATE \(name) SET v=CASE typeof(v) WHEN 'text' THEN '' ELSE x'' END, u=u+?3 WHERE id BETWEEN ?1 AND ?2"
    case .deleteByIndex: return "DELETE FROM \(name) WHERE k BETWEEN ?1 AND ?2"
    case .copyRange(let source, _, _):
      return "INSERT OR REPLACE INTO \(name)(id,k,u,v) SELECT id,k,u,v FROM \(model.shapes[source].name) "
        + "WHERE id BETWEEN ?1 AND ?2 ORDER BY id"
    case .appendToList: return "UPDATE l SET list=list||?2||',' WHERE key=?1"
    case .readList: return "SELECT list FROM l WHERE key=?1"
    case .createTable: return model.shapes[table].createStatements[0]
    case .dropTable: return "DROP TABLE \(name)"
    case .createIndex: return model.shapes[table].createIndexStatement
    case .dropIndex: return "DROP INDEX \(name)_k"
    case .readOne: return "SELECT id,k,u,v FROM \(name) WHERE id=?1"
    case .readByIndex: return "SELECT id,k,u,v FROM \(name) WHERE k=?1 ORDER BY id"
    case .readAll: return "SELECT id,k,u,v FROM \(name) ORDER BY id"
    case .readRange(_, _, let isBackward):
      return "SELECT id,k,u,v FROM \(name) WHERE id BETWEEN ?1 AND ?2 ORDER BY id\(isBackward ? " DESC" : "")"
    case .readIndexRange(_, _, let isBackward):
      let order = isBackward ? " DESC" : ""
      return "SELECT id,k,u,v FROM \(name) WHERE k BETWEEN ?1 AND ?2 ORDER BY k\(order), id\(order)"
    case .readByUnique: return "SELECT id,k,u,v FROM \(name) WHERE u=?1 ORDER BY id"
    case .count: return "SELECT count(*) FROM \(name)"
    case .readEnds: return "SELECT (SELECT min(k) FROM \(name)), (SELECT max(k) FROM \(name))"
    case .clear: return "DELETE FROM \(name)"
    }
  }

  func bindings(_ model: DatabaseModel) -> [Binding] {
    func key(_ id: Int64) -> Binding {
      model.shapes[table].isWithoutRowid ? .text(Array(DatabaseModel.textKey(id).utf8)) : .integer(id)
    }
    func fields(_ row: ModelRow) -> [Binding] {
      [.integer(row.k), row.u.map(Binding.integer) ?? .null, row.isText ? .text(row.payload) : .blob(row.payload)]
    }
    switch self {
    case .insert(_, let id, let row, _), .updateOne(_, let id, let row): return [key(id)] + fields(row)
    case .append(_, let row): return fields(row)
    case .insertPair(_, let id, let first, let second):
      return [key(id)] + fields(first) + [key(id + 1)] + fields(second)
    case .insertMany(_, let id, let rows):
      return rows.enumerated().flatMap { [key(id + Int64($0.offset))] + fields($0.element) }
    case .bumpRange(_, let ids), .deleteRange(_, let ids), .copyRange(_, _, let ids), .readRange(_, let ids, _):
      return [key(ids.lowerBound), key(ids.upperBound)]
    case .moveKey(_, let id, let other): return [key(id), key(other)]
    case .setByIndex(_, let k, let other): return [.integer(k), .integer(other)]
    case .deleteByIndex(_, let ks), .readIndexRange(_, let ks, _):
      return [.integer(ks.lowerBound), .integer(ks.upperBound)]
    case .appendToList(let list, let value): return [.integer(Int64(list)), .integer(Int64(value))]
    case .readList(let list): return [.integer(Int64(list))]
    case .createTable, .dropTable, .createIndex, .dropIndex: return []
    case .shiftUnique(_, let ids, let by), .emptyRange(_, let ids, let by):
      return [key(ids.lowerBound), key(ids.upperBound), .integer(by)]
    case .deleteOne(_, let id), .readOne(_, let id): return [key(id)]
    case .readByIndex(_, let k): return [.integer(k)]
    case .readByUnique(_, let u): return [.integer(u)]
    case .readAll, .clear, .count, .readEnds: return []
    }
  }

  /// Applies the statement to the model.
  /// - Returns: false where it must fail, with a constraint violation or a `schemaError`, the model unchanged.
  func apply(to model: inout DatabaseModel) -> Bool {
    if schemaError(model) != nil { return false }
    var rows = model.tables[table]
    let isUnique = model.shapes[table].hasIndexes
    /// Whose `u` this is; nobody's where nothing says that it is unique.
    func holder(of u: Int64?) -> Int64? {
      guard isUnique, let u else { return nil }
      return rows.first { $0.value.u == u }?.key
    }
    switch self {
    case .append(_, let row):
      if holder(of: row.u) != nil { return false }
      rows[(rows.keys.max() ?? 0) + 1] = row
    case .insertPair(_, let id, let first, let second):
      for (id, row) in [(id, first), (id + 1, second)] {
        if rows[id] != nil || holder(of: row.u) != nil { return false }
        rows[id] = row
      }
    case .insertMany(_, let id, let new):
      for (place, row) in new.enumerated() {
        if let holder = holder(of: row.u) { rows[holder] = nil }
        rows[id + Int64(place)] = row
      }
    case .insert(_, let id, let row, let conflict):
      let holder = holder(of: row.u)
      if rows[id] != nil || holder != nil {
        switch conflict {
        case .abort: return false
        case .ignore: return true
        case .replace: if let holder { rows[holder] = nil }
        }
      }
      rows[id] = row
    case .updateOne(_, let id, let row):
      guard rows[id] != nil else { return true }
      if isUnique, let u = row.u, rows.contains(where: { $0.key != id && $0.value.u == u }) { return false }
      rows[id] = row
    case .bumpRange(_, let ids):
      for id in rows.keys where ids.contains(id) { rows[id]?.k += 1 }
    case .shiftUnique(_, let ids, let by):
      for id in rows.keys.sorted() where ids.contains(id) {
        guard let u = rows[id]?.u else { continue }
        if isUnique, rows.contains(where: { $0.key != id && $0.value.u == u + by }) { return false }
        rows[id]?.u = u + by
      }
    case .emptyRange(_, let ids, let by):
      for id in rows.keys.sorted() where ids.contains(id) {
        rows[id]?.length = 0
        guard let u = rows[id]?.u else { continue }
        if isUnique, rows.contains(where: { $0.key != id && $0.value.u == u + by }) { return false }
        rows[id]?.u = u + by
      }
    case .deleteOne(_, let id): rows[id] = nil
    case .deleteRange(_, let ids): for id in rows.keys where ids.contains(id) { rows[id] = nil }
    case .moveKey(_, let id, let other):
      guard let row = rows[id], id != other else { return true }
      if rows[other] != nil { return false }
      rows[id] = nil
      rows[other] = row
    case .setByIndex(_, let k, let other):
      for (id, row) in rows where row.k == k { rows[id]?.k = other }
    case .deleteByIndex(_, let ks): rows = rows.filter { !ks.contains($0.value.k) }
    case .copyRange(let source, _, let ids):
      for (id, row) in model.tables[source].sorted(by: { $0.key < $1.key }) where ids.contains(id) {
        if let holder = holder(of: row.u) { rows[holder] = nil }
        rows[id] = row
      }
    case .createTable: model.missing.remove(table)
    case .dropTable:
      model.missing.insert(table)
      model.indexed.remove(table)
      rows = [:]
    case .createIndex: model.indexed.insert(table)
    case .dropIndex: model.indexed.remove(table)
    case .clear: rows = [:]
    case .readOne, .readByIndex, .readAll, .appendToList, .readList, .readRange, .readIndexRange, .readByUnique, .count,
      .readEnds:
      break
    }
    model.tables[table] = rows
    return true
  }

  /// The rows that a change which succeeds has changed; nil where that is not looked at.
  func changeCount(_ before: DatabaseModel) -> Int? {
    let rows = before.tables[table]
    switch self {
    case .append: return 1
    case .insert(_, _, _, let conflict): return conflict == .ignore ? nil : 1
    case .insertPair: return 2
    case .insertMany(_, _, let new): return new.count
    case .updateOne(_, let id, _), .deleteOne(_, let id), .moveKey(_, let id, _): return rows[id] == nil ? 0 : 1
    case .bumpRange(_, let ids), .shiftUnique(_, let ids, _), .deleteRange(_, let ids), .emptyRange(_, let ids, _):
      return rows.keys.count { ids.contains($0) }
    case .setByIndex(_, let k, _): return rows.values.count { $0.k == k }
    case .deleteByIndex(_, let ks): return rows.values.count { ks.contains($0.k) }
    case .copyRange(let source, _, let ids): return before.tables[source].keys.count { ids.contains($0) }
    case .clear: return rows.count
    case .appendToList, .readList, .createTable, .dropTable, .createIndex, .dropIndex, .readOne, .readByIndex, .readAll,
      .readRange, .readIndexRange, .readByUnique, .count, .readEnds:
      return nil
    }
  }

  /// Whether a read has given `rows` where `expected` are due.
  func isAnswered(by rows: [[ImageField]], _ expected: [(Int64, ModelRow)], _ model: DatabaseModel) -> Bool {
    if let summary = summary(model) { return rows == [summary] }
    return rows.count == expected.count
      && zip(rows, expected).allSatisfy { fields, due in
        guard let key = fields.first else { return false }
        return model.isKey(key, due.0, in: table) && due.1.isRow(fields.dropFirst())
      }
  }

  /// The one row of a read that returns none of the table's; nil where it returns those.
  private func summary(_ model: DatabaseModel) -> [ImageField]? {
    let rows = model.tables[table].values
    switch self {
    case .count: return [.integer(Int64(rows.count))]
    case .readEnds: return [rows.map(\.k).min(), rows.map(\.k).max()].map { $0.map(ImageField.integer) ?? .null }
    default: return nil
    }
  }

  /// The rows that a read must return, in order.
  func expectedRows(_ model: DatabaseModel) -> [(Int64, ModelRow)] {
    let rows = model.tables[table]
    switch self {
    case .readOne(_, let id): return rows[id].map { [(id, $0)] } ?? []
    case .readByIndex(_, let k): return rows.filter { $0.value.k == k }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    case .readAll: return rows.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    case .readRange(_, let ids, let isBackward):
      let found = rows.filter { ids.contains($0.key) }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
      return isBackward ? found.reversed() : found
    case .readIndexRange(_, let ks, let isBackward):
      let found = rows.filter { ks.contains($0.value.k) }.sorted { ($0.value.k, $0.key) < ($1.value.k, $1.key) }
        .map { ($0.key, $0.value) }
      return isBackward ? found.reversed() : found
    case .readByUnique(_, let u):
      return rows.filter { $0.value.u == u }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    case .insert, .append, .insertPair, .insertMany, .updateOne, .bumpRange, .shiftUnique, .deleteOne, .deleteRange, .clear,
      .moveKey, .setByIndex, .deleteByIndex, .emptyRange, .copyRange, .createTable, .dropTable, .createIndex, .dropIndex,
      .appendToList, .readList, .count, .readEnds:
      return []
    }
  }
}

/// What a seed has more of than others: what all do alike, none does enough of to come to rare states.
public struct WorkloadTaste: Sendable {
  /// Of the hundred kinds of `OperationGenerator.next`: inserts, updates of ranges, deletes, scans, ...
  static let favourites: [Range<Int>?] = [nil, nil, 0..<30, 30..<58, 45..<52, 58..<76, 76..<94, 94..<100]

  public var kinds: Range<Int>?
  public var table: Int?
  /// In a hundred operations, those that insert many rows.
  public var bulkShare = 0
  /// One range in so many reaches as far as the keys do.
  public var wideSpanOneIn = 8

  public init() {}
}

/// Draws operations, with sizes and ranges that suit the seed's profile.
struct OperationGenerator: Sendable {
  /// The first of the hundred kinds that reads.
  private static let firstRead = 76
  private static let bulkRowsMax = 40

  var shapes: [TableShape]
  var keyCount: Int
  var payloadMax: Int
  var taste = WorkloadTaste()

  /// Integers of each length in a record, and far from each other in an index.
  private static let wideKs: [Int64] = [
    -1, 300, -40_000, 1 << 22, -(1 << 23), 1 << 31, 1 << 40, -(1 << 46), 1 << 62, .min + 1_000_000,
  ]

  func row(_ choices: ChoiceStream) -> ModelRow {
    let isBig = choices.oneIn(6, .isBig)
    return ModelRow(
      k: choices.oneIn(8, .hasWideK) ? choices.pick(Self.wideKs, .wideK) : Int64(choices.below(12, .rowK)),
      u: choices.below(3, .hasUnique) == 0 ? nil : Int64(choices.below(keyCount * 4, .rowU)),
      tag: choices.number(.tag) >> 1, length: choices.below(isBig ? payloadMax : min(payloadMax, 120), .length))
  }

  /// One operation in so many changes the schema, where tables come and go; and is of a kind beside the hundred.
  private static let changesTablesOneIn = 6, drawsMoreOneIn = 6

  /// - Parameters:
  ///   - model: what the transaction sees.
  ///   - readsOnly: for a transaction that does not write.
  ///   - mayChangeTables: no statement reads any of them.
  func next(_ choices: ChoiceStream, _ model: DatabaseModel, readsOnly: Bool, mayChangeTables: Bool) -> Operation {
    if !readsOnly, mayChangeTables, let change = tableChange(choices, model) { return change }
    if !readsOnly, choices.oneIn(Self.drawsMoreOneIn, .drawsMore) { return another(choices) }
    let anyTable = choices.below(shapes.count, .table)
    let table = taste.table.map { choices.oneIn(2, .favoursTable) ? $0 % shapes.count : anyTable } ?? anyTable
    let id = Int64(choices.below(keyCount, .key))
    let isWide = choices.oneIn(taste.wideSpanOneIn, .isWideSpan)
    let span = id...id + Int64(choices.below(isWide ? keyCount : 6, .span))
    var kind = readsOnly ? Self.firstRead + choices.below(100 - Self.firstRead, .kind) : choices.below(100, .kind)
    if let favourites = taste.kinds, !readsOnly || favourites.lowerBound >= Self.firstRead, choices.oneIn(2, .favoursKind) {
      kind = favourites.lowerBound + choices.below(favourites.count, .kind)
    }
    switch kind {
    case 0..<8 where !shapes[table].isWithoutRowid: return .append(table: table, row: row(choices))
    case 8..<13: return .insertPair(table: table, id: id, first: row(choices), second: row(choices))
    case 13..<13 + taste.bulkShare: return bulk(choices, table: table, id: id)
    case 0..<30:
      let conflict = choices.pick([Operation.Conflict.abort, .replace, .ignore], .conflict)
      return .insert(table: table, id: id, row: row(choices), conflict: conflict)
    case 30..<45: return .updateOne(table: table, id: id, row: row(choices))
    case 45..<52: return .bumpRange(table: table, ids: span)
    case 52..<58: return .shiftUnique(table: table, ids: span, by: Int64(1 + choices.below(3, .shift)))
    case 58..<68: return .deleteOne(table: table, id: id)
    case 68..<76:
      // To the end of the table, too: the keys that the engine chose lie there.
      return .deleteRange(table: table, ids: choices.oneIn(6, .deletesToEnd) ? id...Int64(1 << 30) : span)
    case 76..<86: return .readOne(table: table, id: id)
    case 86..<90: return .readByIndex(table: table, k: Int64(choices.below(14, .wantedK)))
    case 90..<94:
      if choices.oneIn(2, .readsUnique) {
        return .readByUnique(table: table, u: Int64(choices.below(keyCount * 4, .rowU)))
      }
      return .readByIndex(table: table, k: Int64(choices.below(14, .wantedK)))
    default:
      let isBackward = choices.oneIn(2, .readsBackward)
      let wide = id...(choices.oneIn(2, .isWideSpan) ? Int64(1) << 30 : span.upperBound)
      let k = Int64(choices.below(14, .wantedK))
      switch choices.below(6, .readKind) {
      case 1: return .readRange(table: table, ids: wide, isBackward: isBackward)
      case 2:
        return .readIndexRange(table: table, ks: k...k + Int64(choices.below(12, .wantedSpan)), isBackward: isBackward)
      case 3: return .readIndexRange(table: table, ks: .min...(.max), isBackward: isBackward)
      case 4: return .count(table: table)
      case 5: return .readEnds(table: table)
      default: return .readAll(table: table)
      }
    }
  }

  private func bulk(_ choices: ChoiceStream, table: Int, id: Int64) -> Operation {
    let rows = (0..<2 + choices.below(Self.bulkRowsMax, .bulkRows)).map { _ in row(choices) }
    return .insertMany(table: table, id: id, rows: rows)
  }

  /// What takes pages: many rows, of a table that is there.
  func growth(_ choices: ChoiceStream, _ model: DatabaseModel) -> Operation {
    bulk(choices, table: choices.pick(model.presentTables, .table), id: Int64(choices.below(keyCount, .key)))
  }

  private func another(_ choices: ChoiceStream) -> Operation {
    let table = choices.below(shapes.count, .table)
    let id = Int64(choices.below(keyCount, .key))
    switch choices.below(6, .moreKind) {
    case 0: return .moveKey(table: table, id: id, to: Int64(choices.below(keyCount, .newKey)))
    case 1:
      return .setByIndex(table: table, k: Int64(choices.below(14, .wantedK)), to: Int64(choices.below(14, .newK)))
    case 2:
      let k = Int64(choices.below(14, .wantedK))
      return .deleteByIndex(table: table, ks: k...k + Int64(choices.oneIn(3, .isWideSpan) ? choices.below(12, .wantedSpan) : 0))
    case 3:
      let ids = id...id + Int64(choices.below(20, .span))
      return .emptyRange(table: table, ids: ids, by: Int64(1 + choices.below(3, .shift)))
    case 5:
      // What takes as many pages as a table that is emptied gives back.
      return choices.oneIn(3, .clears) ? .clear(table: table) : bulk(choices, table: table, id: id)
    default:
      // Keys of its own kind.
      let sources = shapes.indices.filter { $0 != table && shapes[$0].isWithoutRowid == shapes[table].isWithoutRowid }
      let span = id...id + Int64(choices.below(choices.oneIn(8, .isWideSpan) ? keyCount : 6, .span))
      return .copyRange(from: choices.pick(sources, .sourceTable), table: table, ids: span)
    }
  }

  private func tableChange(_ choices: ChoiceStream, _ model: DatabaseModel) -> Operation? {
    let coming = shapes.indices.filter { shapes[$0].comesAndGoes }
    if coming.isEmpty || !choices.oneIn(Self.changesTablesOneIn, .changesTables) { return nil }
    let table = choices.pick(coming, .changedTable)
    // What is not there is made, more often than not.
    let isMissing = model.missing.contains(table)
    return switch choices.below(6, .tableChange) {
    case 0: .createTable(table)
    case 1: .dropTable(table)
    case 2: .createIndex(table)
    case 3: .dropIndex(table)
    case 4: isMissing ? .createTable(table) : .dropTable(table)
    default: isMissing ? .createTable(table) : .createIndex(table)
    }
  }
}
