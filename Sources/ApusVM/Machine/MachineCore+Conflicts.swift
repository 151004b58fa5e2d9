// The rows of PRAGMA concurrent_conflicts.

import ApusBase
import ApusStorage

/// What is told of one database: a row for each kind of conflict in each table, then one for each total.
final class ConflictReport {
  struct Row {
    var measure: String
    var table: String?
    var kind: String?
    var count: Int
  }

  let database: String
  private let rows: [Row]
  private var next = 0

  init(_ database: String, _ conflicts: ConcurrentConflicts) {
    self.database = database
    rows = conflicts.losses.map { Row(measure: "lost", table: $0.table, kind: $0.kind.rawValue, count: $0.count) }
      + [
        Row(measure: "commits", count: conflicts.commitCount), Row(measure: "rebases", count: conflicts.rebaseCount),
        Row(measure: "groups", count: conflicts.groupCount),
        Row(measure: "grouped commits", count: conflicts.groupedCommitCount),
        Row(measure: "largest group", count: conflicts.largestGroup),
      ]
  }

  func nextRow() -> Row? {
    guard next < rows.count else { return nil }
    next += 1
    return rows[next - 1]
  }
}

extension MachineCore {
  /// - Returns: false behind the last row, and for a database without a file.
  mutating func nextConflictRow(_ i: Instruction) -> Bool {
    if conflictReport == nil, let database = state.databases[Int(i.p1)],
      let conflicts = database.pager.concurrentConflicts
    {
      conflictReport = ConflictReport(database.name, conflicts)
    }
    guard let report = conflictReport, let row = report.nextRow() else {
      conflictReport = nil
      return false
    }
    setText(i.p3, report.database)
    setText(i.p3 &+ 1, row.measure)
    for (place, text) in [row.table, row.kind].enumerated() {
      let register = i.p3 &+ 2 &+ Int32(place)
      if let text { setText(register, text) } else { registers[register] = .null }
    }
    registers[i.p3 &+ 4] = .integer(Int64(row.count))
    return true
  }
}
