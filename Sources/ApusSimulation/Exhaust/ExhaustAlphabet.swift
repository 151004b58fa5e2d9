// The twelve statements that the exhaustive workloads are made of. Each does to the file what the others do not: one page or all,
// a split or a merge, an overflow chain, a statement that fails half way, the schema, the log.

import ApusBase

enum ExhaustAlphabet {
  enum Letter: Sendable {
    case operation(Operation)
    /// Changes the file and no row.
    case housekeeping(String)
  }

  static let shapes = [
    TableShape(name: "t", isWithoutRowid: false), TableShape(name: "w", isWithoutRowid: true),
  ]
  private static let t = 0, w = 1

  static let letters: [(name: String, letter: Letter)] = [
    ("insert", .operation(.insert(table: t, id: 40, row: row(40, length: 30), conflict: .abort))),
    ("insert with overflow", .operation(.insert(table: w, id: 41, row: row(41, length: 1_400), conflict: .abort))),
    ("append", .operation(.append(table: t, row: row(42, length: 200)))),
    (
      "replace another's unique value",
      .operation(.insert(table: t, id: 2, row: row(5, length: 90), conflict: .replace))
    ),
    (
      "pair whose second row collides",
      .operation(.insertPair(table: t, id: 50, first: row(50, length: 80), second: row(3, length: 9)))
    ),
    ("update of one, with overflow", .operation(.updateOne(table: w, id: 3, row: row(60, length: 900)))),
    ("update of a range", .operation(.bumpRange(table: t, ids: 0...30))),
    ("shift that collides half way", .operation(.shiftUnique(table: t, ids: 3...6, by: 1))),
    ("delete of one", .operation(.deleteOne(table: w, id: 7))),
    ("delete of a range", .operation(.deleteRange(table: t, ids: 4...20))),
    ("create and fill a table", .housekeeping("CREATE TABLE IF NOT EXISTS scratch(a PRIMARY KEY, b)")),
    ("vacuum", .housekeeping("VACUUM")),
  ]

  /// `u` is unique, so a row with another's number collides.
  private static func row(_ number: Int, length: Int) -> ModelRow {
    ModelRow(k: Int64(number % 5), u: Int64(number), tag: UInt64(number), length: length)
  }

  /// What is in the tables before the workload.
  static var startRows: [Operation] {
    (0..<12).flatMap { number -> [Operation] in
      let length = number % 4 == 3 ? 700 : 40
      return [t, w].map { .insert(table: $0, id: Int64(number), row: row(number, length: length), conflict: .abort) }
    }
  }

  /// All workloads of up to `length` statements, as indices of `letters`.
  static func workloads(length: Int) -> [[Int]] {
    var all: [[Int]] = []
    var longest: [[Int]] = [[]]
    for _ in 0..<length {
      longest = longest.flatMap { start in letters.indices.map { start + [$0] } }
      all += longest
    }
    return all
  }
}
