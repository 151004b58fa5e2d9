// One statement on two engines: what each says, and where they differ.

/// What one engine says to one statement: its table, or its refusal.
public enum Outcome: CustomStringConvertible {
  case table(ResultTable)
  case failure(EngineFailure)

  public init(_ connection: any HarnessConnection, _ sql: String) {
    do throws(EngineFailure) {
      self = .table(try connection.rows(sql))
    } catch {
      var failure = error
      failure.offset = -1
      self = .failure(failure)
    }
  }

  public var description: String {
    switch self {
    case .table(let table): "\(table.rows.count) rows of \(table.columns.joined(separator: ", "))"
    case .failure(let failure): "error: \(failure)"
    }
  }

  /// Where two outcomes differ, for a person; nil where they agree. Rows that are not ordered are compared as a multiset.
  public static func difference(expected: Outcome, found: Outcome, isOrdered: Bool) -> String? {
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
        return
          "\(row) \(count > 0 ? "is missing" : "is too many"); \(left.rows.count) rows expected, \(right.rows.count) found"
      }
    }
    if left.rows.count == right.rows.count { return nil }
    return "expected \(left.rows.count) rows, found \(right.rows.count)"
  }

  /// Runs one statement on both and says where they differ.
  public static func compare(
    _ sql: String, _ ours: any HarnessConnection, _ reference: any HarnessConnection, isOrdered: Bool
  ) -> String? {
    let expected = Outcome(reference, sql)
    return difference(expected: expected, found: Outcome(ours, sql), isOrdered: isOrdered)
  }
}
