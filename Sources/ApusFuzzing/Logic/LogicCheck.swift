// One check of the logic tester: queries whose answers must stand in a relation, whatever the engine.

import ApusHarness

public struct LogicCheck: Sendable {
  public enum Relation: Sendable {
    /// All queries give the same rows.
    case same
    /// The first query's rows are those of the others together.
    case partition
    /// The same, of sets.
    case partitionOfSets
    /// The first query's one number is how often the second says 1.
    case countsTrue
    /// All rows, the pivot row, what the condition says of it, the filtered rows: where the pivot row is one of all and the
    /// condition says 1, it is one of the filtered.
    case keepsPivot
  }

  /// "TLP", "NoREC", "PQS", "plan", with what is special about it.
  public var method: String
  public var relation: Relation
  /// Statements that only this check needs.
  public var setup: [String] = []
  /// Each a script; the rows of its last SELECT count.
  public var queries: [String]

  /// What one check of an engine gives.
  public enum Verdict: Sendable, Equatable {
    case holds
    /// The engine says by name that it does not do this, or a limit has stopped it.
    case skipped(String)
    case broken(String)
  }

  /// - Precondition: the setup has run on the connection.
  public func verdict(_ connection: any HarnessConnection) -> Verdict {
    var answers: [[[HarnessValue]]] = []
    for query in queries {
      do throws(EngineFailure) {
        answers.append(try connection.lastRows(query))
      } catch {
        // An index that does not serve the query: there is no such plan.
        if relation == .same, !answers.isEmpty, error.message == "no query solution" { continue }
        // 9: interrupted at a limit.
        if error.isRefusal || error.code & 0xff == 9 { return .skipped(error.message) }
        return .broken("\(error) in \(query)")
      }
    }
    return LogicCheck.judge(relation, answers)
  }

  static func judge(_ relation: Relation, _ answers: [[[HarnessValue]]]) -> Verdict {
    guard let first = answers.first else { return .holds }
    switch relation {
    case .same:
      for (index, rows) in answers.enumerated().dropFirst() {
        if let difference = difference(first, rows) { return .broken("query 1 and query \(index + 1): \(difference)") }
      }
      return .holds
    case .partition:
      return difference(first, answers.dropFirst().flatMap { $0 }).map { .broken("the parts: \($0)") } ?? .holds
    case .partitionOfSets:
      let whole = Set(first), parts = Set(answers.dropFirst().flatMap { $0 })
      if first.count != whole.count { return .broken("a row stands twice in a set") }
      return whole == parts ? .holds : .broken("\(whole.symmetricDifference(parts).count) rows are in one only")
    case .countsTrue:
      let counted = answers[1].count { $0.first == .integer(1) }
      return first == [[.integer(Int64(counted))]] ? .holds : .broken("\(first) are found, \(counted) are true")
    case .keepsPivot:
      // The condition was turned until it says 1 of the pivot row, and the row was taken from the table.
      guard let pivot = answers[1].first, answers[2] == [[.integer(1)]] else {
        return .skipped("no condition that holds")
      }
      if !first.contains(pivot) { return .skipped("the pivot row is not as it was in its table") }
      return answers[3].contains(pivot) ? .holds : .broken("the row \(pivot) is missing")
    }
  }

  private static func difference(_ left: [[HarnessValue]], _ right: [[HarnessValue]]) -> String? {
    var counts: [[HarnessValue]: Int] = [:]
    for row in left { counts[row, default: 0] += 1 }
    for row in right { counts[row, default: 0] -= 1 }
    let odd = counts.filter { $0.value != 0 }.map {
      "\($0.key) \($0.value > 0 ? "only in the first" : "not in the first")"
    }.sorted()
    return odd.isEmpty ? nil : "\(left.count) rows, \(right.count) rows; \(odd.prefix(3).joined(separator: ", "))"
  }
}

extension HarnessConnection {
  /// Runs a script and gives the rows of its last SELECT.
  func lastRows(_ script: String) throws(EngineFailure) -> [[HarnessValue]] {
    let bytes = Array(script.utf8)
    var rows: [[HarnessValue]] = [], start = 0
    while start < bytes.count {
      let (statement, end) = try prepare(bytes, from: start)
      let text = String(decoding: bytes[start..<end], as: UTF8.self).drop { $0 == " " || $0 == ";" || $0 == "\n" }
      start = max(end, start + 1)
      guard let statement else { continue }
      defer { statement.finalize() }
      var found: [[HarnessValue]] = []
      while try statement.step() { found.append((0..<statement.columnCount).map { statement.value($0) }) }
      if text.hasPrefix("SELECT") || text.hasPrefix("WITH") { rows = found }
    }
    return rows
  }
}
