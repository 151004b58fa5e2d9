// The query corpus of Tests/Queries: SELECTs over Debian's proj.db that have one answer each.

import ApusHarness

struct CorpusQuery: Sendable {
  var file: String
  var sql: String

  /// True where the outermost SELECT has ORDER BY: then rows are compared in order, else as a multiset.
  var isOrdered: Bool {
    var depth = 0
    var isInString = false
    var outer = ""
    for character in sql {
      if character == "'" { isInString.toggle() }
      if isInString { continue }
      if character == "(" { depth += 1 }
      if character == ")" { depth -= 1 }
      if depth == 0 { outer.append(character) }
    }
    return outer.uppercased().contains("ORDER BY")
  }
}

enum QueryCorpus {
  static let database = "/usr/share/proj/proj.db"
  static let files = [
    "access", "aggregates", "compounds", "functions", "joins", "names", "operators", "ordering", "subqueries",
  ]

  static func queries(of file: String) -> [CorpusQuery] {
    let folder = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    let bytes = Console.contents(of: "/\(folder)/Queries/proj/\(file).sql") ?? []
    var queries: [CorpusQuery] = []
    var current: [Substring] = []
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
      if current.isEmpty, line.hasPrefix("--") || line.allSatisfy({ $0 == " " }) { continue }
      current.append(line)
      guard line.hasSuffix(";") else { continue }
      queries.append(CorpusQuery(file: file, sql: current.joined(separator: "\n")))
      current = []
    }
    return queries
  }
}

/// What one engine says to one statement: its table, or its refusal.
enum Outcome: CustomStringConvertible {
  case table(ResultTable)
  case failure(EngineFailure)

  init(_ connection: any HarnessConnection, _ sql: String) {
    do throws(EngineFailure) {
      self = .table(try connection.rows(sql))
    } catch {
      var failure = error
      failure.offset = -1
      self = .failure(failure)
    }
  }

  var description: String {
    switch self {
    case .table(let table): "\(table.rows.count) rows of \(table.columns.joined(separator: ", "))"
    case .failure(let failure): "error: \(failure)"
    }
  }

  /// Where two outcomes differ, for a person; nil where they agree. Rows that are not ordered are compared as a multiset.
  static func difference(expected: Outcome, found: Outcome, isOrdered: Bool) -> String? {
    if case .failure(let left) = expected, case .failure(let right) = found, left == right { return nil }
    guard case .table(let left) = expected, case .table(let right) = found else {
      return "expected \(expected), found \(found)"
    }
    if left.columns != right.columns { return "expected columns \(left.columns), found \(right.columns)" }
    if isOrdered {
      for (index, (one, other)) in zip(left.rows, right.rows).enumerated() where one != other {
        return "row \(index + 1): expected \(one), found \(other)"
      }
    } else if left.rows != right.rows {
      var counts: [[HarnessValue]: Int] = [:]
      for row in left.rows { counts[row, default: 0] += 1 }
      for row in right.rows { counts[row, default: 0] -= 1 }
      if let (row, count) = counts.first(where: { $0.value != 0 }) {
        return "\(row) \(count > 0 ? "is missing" : "is too many"); \(left.rows.count) rows expected, \(right.rows.count) found"
      }
    }
    if left.rows.count == right.rows.count { return nil }
    return "expected \(left.rows.count) rows, found \(right.rows.count)"
  }

  /// Runs one statement on both and says where they differ.
  static func compare(
    _ sql: String, _ ours: any HarnessConnection, _ reference: any HarnessConnection, isOrdered: Bool
  ) -> String? {
    let expected = Outcome(reference, sql)
    return difference(expected: expected, found: Outcome(ours, sql), isOrdered: isOrdered)
  }
}
