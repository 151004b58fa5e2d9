// A table and its indexes while they are put together from their rows of sqlite_schema: the definition first, then the
// indexes, then statistics. `finish` makes the immutable catalog objects of it.

import ApusBase
import ApusSQL

/// What an index's definition is understood against.
protocol TableShape {
  var name: Name { get }
  var columns: [CatalogColumn] { get }
  var hasRowid: Bool { get }
  /// The primary key of a WITHOUT ROWID table.
  var rowKey: [IndexColumn]? { get }
  func column(named key: ExactText) -> Int?
}

struct IndexDraft {
  let name: Name
  var origin: CatalogIndex.Origin
  let isUnique: Bool
  var conflict: ConflictAction?
  var root: PageNumber
  var columns: [IndexColumn]
  let keyCount: Int
  let filter: Expression?
  var rowEstimates: [LogEstimate] = []
  var hasStatistics = false
  var isUnordered = false

  /// - Parameter rowCount: the table's estimate, which is raised to the least that is thought of.
  func finish(_ columns: [CatalogColumn], _ rowCount: inout LogEstimate) -> CatalogIndex {
    var estimates = rowEstimates
    if !hasStatistics { estimates = defaultEstimates(&rowCount) }
    return CatalogIndex(self, columns, estimates)
  }

  /// As files of schema formats 1 to 3 have it: every column ascends.
  mutating func ignoreDescending() {
    for place in columns.indices { columns[place].isDescending = false }
  }

  // SQLite's guesses: ten rows for the first column, and fewer for each further one.
  private func defaultEstimates(_ rowCount: inout LogEstimate) -> [LogEstimate] {
    let guesses: [LogEstimate] = [33, 32, 30, 28, 27]
    if rowCount < 99 { rowCount = 99 }
    var estimates = [filter != nil ? rowCount - 10 : rowCount]
    for place in 0..<keyCount { estimates.append(place < guesses.count ? guesses[place] : 23) }
    if isUnique { estimates[keyCount] = 0 }
    return estimates
  }
}

struct TableDraft: TableShape {
  let name: Name
  let database: Int
  let root: PageNumber
  var columns: [CatalogColumn] = []
  var rowidAlias: Int?
  var isWithoutRowid = false
  var isStrict = false
  var isAutoincrement = false
  var rowidConflict: ConflictAction?
  var primaryKey: [Int] = []
  var indexes: [IndexDraft] = []

  mutating func ignoreDescending() {
    for place in indexes.indices { indexes[place].ignoreDescending() }
  }

  var checks: [CatalogCheck] = []
  var foreignKeys: [CatalogForeignKey] = []
  var view: CatalogView?
  var virtualModule: Name?
  var rowEstimate: LogEstimate = 200
  var hasStatistics = false
  var sql: String?
  var triggerRows: [SchemaRow] = []

  init(name: Name, database: Int, root: PageNumber = .none) {
    self.name = name
    self.database = database
    self.root = root
  }

  var hasRowid: Bool { !isWithoutRowid && view == nil }

  private var primaryKeyPlace: Int? {
    isWithoutRowid ? indexes.firstIndex { $0.origin == .primaryKey } : nil
  }

  var rowKey: [IndexColumn]? {
    primaryKeyPlace.map { Array(indexes[$0].columns.prefix(indexes[$0].keyCount)) }
  }

  func column(named key: ExactText) -> Int? { columns.firstIndex { $0.name.key == key } }

  /// Puts `index` where SQLite would: newest first, those that replace behind all others.
  mutating func link(_ index: IndexDraft) {
    let replacing = index.conflict == .replace ? indexes.firstIndex { $0.conflict == .replace } ?? indexes.count : 0
    indexes.insert(index, at: replacing)
  }

  /// A row of sqlite_stat1: `stat` is "rows n1 n2 ... [unordered] [sz=n] [noskipscan]".
  mutating func addStatistics(index: String?, stat: String) {
    var numbers: [LogEstimate] = []
    var isUnordered = false
    for word in stat.utf8.split(separator: 0x20) {
      if let number = UInt64(Substring(word)) {
        numbers.append(LogEstimate.of(number))
      } else if Substring(word).hasPrefix("unordered") {
        isUnordered = true
      }
    }
    guard let rows = numbers.first else { return }
    guard let index else {
      rowEstimate = rows
      hasStatistics = true
      return
    }
    let key = Name.fold(index)
    // The table's name stands for its primary key.
    guard let place = indexes.firstIndex(where: { $0.name.key == key }) ?? (key == name.key ? primaryKeyPlace : nil),
      numbers.count > indexes[place].keyCount
    else { return }
    indexes[place].rowEstimates = Array(numbers.prefix(indexes[place].keyCount + 1))
    indexes[place].hasStatistics = true
    indexes[place].isUnordered = isUnordered
    if indexes[place].filter == nil {
      rowEstimate = rows
      hasStatistics = true
    }
  }

  /// The table; what is derived is computed here.
  consuming func finish() -> CatalogTable {
    var fields = [Int](repeating: -1, count: columns.count)
    var next = 0
    if let place = primaryKeyPlace {
      for part in indexes[place].columns {
        if case .column(let number) = part.source { fields[number] = next }
        next += 1
      }
    } else {
      for number in columns.indices where columns[number].isStored {
        fields[number] = next
        next += 1
      }
    }
    var width = rowidAlias == nil ? 1 : 0
    for column in columns { width += column.sizeEstimate }
    var finished: [CatalogIndex] = []
    finished.reserveCapacity(indexes.count)
    for index in indexes { finished.append(index.finish(columns, &rowEstimate)) }
    return CatalogTable(self, indexes: finished, fields: fields, rowWidth: LogEstimate.of(UInt64(width * 4)))
  }
}
