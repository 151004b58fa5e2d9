// Runs the records of one file against one engine, on a fresh in-memory database.

import ApusHarness

struct LogicTestOutcome {
  var passed = 0
  var failed: [(line: Int, text: String)] = []
  /// Statements that the engine refused by name: not built yet.
  var refused: [(line: Int, text: String)] = []
}

struct LogicTestRunner {
  let engine: any HarnessEngine
  /// Called before each statement, with its line: the deadline's hook.
  let willRun: (Int) -> Void

  /// Queries that fail while they run. The corpus writes them as queries without values, and has no word for the error.
  static let failingQueries = ["SELECT sum(x) FROM t1": "integer overflow"]

  func run(_ records: [LogicTestRecord]) -> LogicTestOutcome {
    var outcome = LogicTestOutcome()
    let connection: any HarnessConnection
    do {
      connection = try engine.open(":memory:", readOnly: false)
    } catch {
      outcome.failed.append((1, "cannot open :memory: \(error)"))
      return outcome
    }
    defer { connection.close() }
    var threshold = 0
    var digests: [String: String] = [:]

    for record in records where record.applies(to: "sqlite") {
      willRun(record.line)
      switch record.kind {
      case .halt: return outcome
      case .hashThreshold(let value): threshold = value
      case .unknown(let verb): outcome.failed.append((record.line, "unknown record \(verb)"))
      case .statement(let expectsError):
        do {
          try connection.execute(record.sql)
          if expectsError {
            outcome.failed.append((record.line, "should fail: \(record.sql)"))
          } else {
            outcome.passed += 1
          }
        } catch {
          if error.isRefusal {
            outcome.refused.append((record.line, error.message))
          } else if expectsError {
            outcome.passed += 1
          } else {
            outcome.failed.append((record.line, "\(error.message): \(record.sql)"))
          }
        }
      case .query(let types, let sort, let label, let expected):
        do {
          let values = try results(of: record.sql, types: types, sort: sort, on: connection)
          if let difference = compare(values, expected, threshold, label, &digests) {
            outcome.failed.append((record.line, "\(difference): \(record.sql)"))
          } else {
            outcome.passed += 1
          }
        } catch {
          if error.isRefusal {
            outcome.refused.append((record.line, error.message))
          } else if expected.isEmpty, Self.failingQueries[record.sql] == error.message {
            outcome.passed += 1
          } else {
            outcome.failed.append((record.line, "\(error.message): \(record.sql)"))
          }
        }
      }
    }
    return outcome
  }

  private func results(
    of sql: String, types: [UInt8], sort: LogicTestRecord.Sort, on connection: any HarnessConnection
  ) throws(EngineFailure) -> [[UInt8]] {
    let statement = try connection.prepare(sql)
    defer { statement.finalize() }
    let columns = statement.columnCount
    guard columns == types.count else {
      throw EngineFailure(code: 1, message: "\(columns) columns where \(types.count) are expected")
    }
    var rows: [[[UInt8]]] = []
    while try statement.step() {
      rows.append((0..<columns).map { ValueText.text(of: statement.value($0), type: types[$0]) })
    }
    switch sort {
    case .none: return rows.flatMap { $0 }
    case .values: return rows.flatMap { $0 }.sorted { $0.lexicographicallyPrecedes($1) }
    case .rows:
      rows.sort { left, right in
        for (a, b) in zip(left, right) where a != b { return a.lexicographicallyPrecedes(b) }
        return false
      }
      return rows.flatMap { $0 }
    }
  }

  /// What differs; nil where nothing does.
  private func compare(
    _ values: [[UInt8]], _ expected: [String], _ threshold: Int, _ label: String?, _ digests: inout [String: String]
  ) -> String? {
    func digest() -> String {
      var md5 = MD5()
      for value in values { md5.update(value + [0x0a]) }
      return md5.hexDigest()
    }
    if let label {
      let digest = digest()
      if let earlier = digests.updateValue(digest, forKey: label), earlier != digest {
        return "differs from the earlier query of label \(label)"
      }
    }
    if expected.count == 1, expected[0].contains(" values hashing to ") {
      let found = "\(values.count) values hashing to \(digest())"
      return found == expected[0] ? nil : "\(found) where \(expected[0])"
    }
    if expected.isEmpty, threshold > 0, values.count > threshold { return nil }
    if values.count != expected.count { return "\(values.count) values where \(expected.count) are expected" }
    for (index, value) in values.enumerated() where value != Array(expected[index].utf8) {
      return "value \(index + 1) is \(String(decoding: value, as: UTF8.self)) where \(expected[index]) is expected"
    }
    return nil
  }
}
