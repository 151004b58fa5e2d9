// A statement's text with its values, and what is known of a column.

import Apus
import ApusBase
import ApusIO
import Testing

@Suite struct StatementTextTests {
  private func memory() throws -> Connection { try Connection(":memory:", environment: SystemEnvironment()) }

  @Test("bound values stand in the text as literals, and only in place of parameters")
  func expanded() throws {
    let connection = try memory()
    let statement = try connection.prepareBlocking("SELECT ?2, '?', :x, ?, ?1, \"?\" /* ? */")
    try statement.bind(.integer(-7), at: 1)
    try statement.bind(.real(1.0 / 3), at: 2)
    #expect(
      statement.expandedSQL == "SELECT 0.333333333333333, '?', NULL, NULL, -7, \"?\" /* ? */")
    statement.finalize()
    try connection.closeBlocking()
  }

  @Test("a column's type, collation and constraints are told; a view has none")
  func metadata() throws {
    let connection = try memory()
    try connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE NOT NULL); CREATE VIEW v AS SELECT 1 AS a")
    func find(_ table: String, _ column: String?) throws -> ColumnMetadata? {
      try connection.block { () throws(Fault) in
        try connection.columnMetadata(schema: nil, table: table, column: column)
      }
    }
    let b = try #require(try find("T", "B"))
    #expect(b.declaredType == "TEXT" && b.collation == "NOCASE" && b.isNotNull && !b.isPrimaryKey)
    #expect(try find("t", "rowid")?.isPrimaryKey == true)
    #expect(try find("t", "c") == nil)
    #expect(try find("v", "a") == nil)
    try connection.closeBlocking()
  }
}
