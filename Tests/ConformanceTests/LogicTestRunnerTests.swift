// The runner of sqllogictest files sees what is wrong: each record that must fail, fails.

import ApusHarness
import Testing

@testable import ApusConformance

@Suite("Logic test runner")
struct LogicTestRunnerTests {
  private func run(_ text: String) throws -> LogicTestOutcome {
    LogicTestRunner(engine: try SQLiteLibrary()) { _ in }.run(LogicTestFile.parse(Array(text.utf8)))
  }

  @Test("an error where no rows are expected is a failure")
  func errorWithoutRows() throws {
    let outcome = try run("query I nosort\nSELECT a FROM missing\n----\n\n")
    #expect(outcome.passed == 0)
    #expect(outcome.failed.first?.text.contains("no such table") == true)
  }

  @Test("no rows where none are expected pass, and a row there fails")
  func withoutRows() throws {
    let outcome = try run("query I nosort\nSELECT 1 WHERE 0\n----\n\nquery I nosort\nSELECT 1\n----\n\n")
    #expect(outcome.passed == 1)
    #expect(outcome.failed.map(\.line) == [5])
  }

  @Test("the one error that the corpus writes as no rows is that error and no other")
  func knownError() throws {
    let setup = "statement ok\nCREATE TABLE t1(x)\n\nstatement ok\nINSERT INTO t1 VALUES (1<<63), (1<<63)\n\n"
    let query = "query R nosort\nSELECT sum(x) FROM t1\n----\n\n"
    #expect(try run(setup + query).failed.isEmpty)
    #expect(try run(query).failed.count == 1)
  }

  @Test("a statement that should fail and does not is a failure")
  func missingError() throws {
    let outcome = try run("statement error\nSELECT 1\n\nstatement ok\nSELECT a FROM missing\n\n")
    #expect(outcome.failed.map(\.line) == [1, 4])
  }
}
