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
