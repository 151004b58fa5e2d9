// Our engine and SQLite give the same answers on a real database: values and types bit for bit, and column names.

import ApusHarness
import Testing

@Suite("Differential: proj.db", .timeLimit(.minutes(30)))
struct CorpusTests {
  @Test("each query of the corpus has SQLite's answer", arguments: QueryCorpus.files)
  func queries(file: String) throws {
    let ours = try Engines.named("apus").open(QueryCorpus.database, readOnly: true)
    let reference = try SQLiteLibrary().open(QueryCorpus.database, readOnly: true)
    let queries = QueryCorpus.queries(of: file)
    try #require(!queries.isEmpty, "no queries in \(file)")
    var differences: [String] = []
    for query in queries {
      if let difference = Outcome.compare(query.sql, ours, reference, isOrdered: query.isOrdered) {
        differences.append("\(query.sql)\n    \(difference)")
      }
    }
    let report = differences.prefix(15).joined(separator: "\n  ")
    #expect(differences.isEmpty, "\(differences.count) of \(queries.count) differ:\n  \(report)")
  }

  @Test("every table and view is read in full, in order, as SQLite reads it")
  func tables() throws {
    let ours = try Engines.named("apus").open(QueryCorpus.database, readOnly: true)
    let reference = try SQLiteLibrary().open(QueryCorpus.database, readOnly: true)
    let objects = try reference.rows("SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name")
    #expect(objects.rows.count > 40)
    for object in objects.rows {
      guard case .text(let type) = object[0], case .text(let bytes) = object[1] else { continue }
      let name = String(decoding: bytes, as: UTF8.self)
      let sql = "SELECT * FROM \"\(name)\""
      let isOrdered = type == Array("table".utf8)
      let difference = Outcome.compare(sql, ours, reference, isOrdered: isOrdered)
      #expect(difference == nil, "\(name): \(difference ?? "")")
    }
  }

  @Test("the schema is read as SQLite reads it")
  func schema() throws {
    let ours = try Engines.named("apus").open(QueryCorpus.database, readOnly: true)
    let reference = try SQLiteLibrary().open(QueryCorpus.database, readOnly: true)
    for sql in ["SELECT * FROM sqlite_schema", "PRAGMA table_info(extent)", "PRAGMA table_info(crs_view)"] {
      let difference = Outcome.compare(sql, ours, reference, isOrdered: true)
      #expect(difference == nil, "\(sql): \(difference ?? "")")
    }
  }
}
