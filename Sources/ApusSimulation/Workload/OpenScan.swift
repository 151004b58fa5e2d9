// A SELECT that stays open: what it must show, whatever its transaction changes meanwhile.

/// A SELECT that was left open while its transaction went on changing the table.
///
/// What it shows of a row that changes meanwhile is nobody's promise. But a row that is there before and after, untouched
/// in the columns that order the scan, must be seen exactly once, and in order.
struct OpenScan {
  let table: Int
  let before: DatabaseModel
  let isByIndex: Bool
  var seen: [[ImageField]] = []

  func problem(after: DatabaseModel) -> String? {
    let old = before.tables[table], new = after.tables[table]
    let name = before.shapes[table].name
    var counts: [[UInt8]: Int] = [:]
    for row in seen {
      guard let id = row.first else { return "a row without columns" }
      counts[Self.bytes(id), default: 0] += 1
    }
    for (id, row) in old.sorted(by: { $0.key < $1.key }) {
      guard let kept = new[id], kept.k == row.k, kept == row else { continue }
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
