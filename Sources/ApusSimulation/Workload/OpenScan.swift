// A SELECT that stays open: what it must show, whatever its transaction changes meanwhile, and however that ends.

/// A SELECT that was left open while its transaction went on changing the table, and perhaps beyond the transaction's end.
///
/// What it shows of a row that changes meanwhile is nobody's promise. But a row that is there before and after, untouched, must be
/// seen exactly once, and in order. Behind COMMIT or ROLLBACK nothing changes any more for it, whatever others commit: from then
/// on each of its rows is one of the state in which the transaction has ended.
struct OpenScan {
  let table: Int
  let before: DatabaseModel
  let isByIndex: Bool
  var seen: [[ImageField]] = []
  /// The transaction had changed the schema, or had tried to: then its ROLLBACK ends the scan with SQLITE_ABORT_ROLLBACK.
  let mayBeAborted: Bool
  /// Failures that its connection had met when it began.
  let metCount: Int
  /// Rows that have not been the same all the time.
  private var touched: Set<Int64> = []
  /// How many rows were seen when the transaction ended, and what it has left; nil while it goes on.
  private var end: (count: Int, model: DatabaseModel)?

  /// - Parameters:
  ///   - changedSchema: the transaction has done so before.
  ///   - metCount: failures that its connection has met.
  init(table: Int, before: DatabaseModel, isByIndex: Bool, changedSchema: Bool, metCount: Int) {
    self.table = table
    self.before = before
    self.isByIndex = isByIndex
    mayBeAborted = changedSchema
    self.metCount = metCount
  }

  /// Its transaction is over.
  var outlivesTransaction: Bool { end != nil }

  /// The transaction has come to `model`.
  mutating func note(_ model: DatabaseModel) {
    let old = before.tables[table], new = model.tables[table]
    for (id, row) in old where new[id] != row { touched.insert(id) }
  }

  /// The transaction has ended, and has left `model`.
  mutating func noteEnd(_ model: DatabaseModel) {
    note(model)
    end = (seen.count, model)
  }

  func problem(after: DatabaseModel) -> String? {
    let old = before.tables[table], new = (end?.model ?? after).tables[table]
    let name = before.shapes[table].name
    var counts: [[UInt8]: Int] = [:]
    for row in seen {
      guard let id = row.first else { return "a row without columns" }
      counts[Self.bytes(id), default: 0] += 1
    }
    for (id, row) in old.sorted(by: { $0.key < $1.key }) where !touched.contains(id) && new[id] == row {
      let count = counts[Self.bytes(before.key(id, in: table))] ?? 0
      if count != 1 { return "an open scan of \(name) saw the untouched row \(id) \(count) times" }
    }
    let keys = seen.compactMap { row -> Int64? in
      guard isByIndex, row.count == 2, case .integer(let k) = row[1] else { return nil }
      return k
    }
    for (left, right) in zip(keys, keys.dropFirst()) where left > right {
      return "an open scan of \(name) went back from \(left) to \(right)"
    }
    return problemBehindEnd(name)
  }

  /// The rows that came behind the transaction's end.
  private func problemBehindEnd(_ name: String) -> String? {
    guard let end else { return nil }
    // Without an index they are sorted when the scan begins.
    let isSorted = isByIndex && !before.shapes[table].hasIndexes && !before.indexed.contains(table)
    var due: [[UInt8]: Int64] = [:]
    let model = isSorted ? before : end.model
    for (id, row) in model.tables[table] { due[Self.bytes(model.key(id, in: table))] = row.k }
    for row in seen.dropFirst(end.count) where row.count != 2 || due[Self.bytes(row[0])].map(ImageField.integer) != row[1] {
      return "an open scan of \(name) saw \(row) behind its transaction's end, which is no row of its snapshot"
    }
    return nil
  }

  private static func bytes(_ field: ImageField) -> [UInt8] {
    switch field {
    case .integer(let number): Array("\(number)".utf8)
    case .text(let bytes): bytes
    case .null, .real, .blob: []
    }
  }
}
