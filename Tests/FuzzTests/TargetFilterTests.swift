// What the targets let pass, and what they do not: each filter is as narrow as its reason.

import ApusHarness
import Testing

@testable import ApusFuzzing

@Suite("Filters of the fuzz targets")
struct TargetFilterTests {
  @Test("a real that is not SQLite's is the one that the text says, to the last digit")
  func reals() {
    for text in ["0.1", "-1.5e300", " 123456789012345678", "1e23xyz", "4.9e-324", ".5", "5.e1"] {
      let number = text.drop { $0 == " " }.prefix { $0 != "x" }
      let exact = Double(number.hasPrefix(".") ? "0" + number : number == "5.e1" ? "5e1" : String(number)) ?? .nan
      let input = Array(text.utf8), bits = exact.bitPattern
      #expect(NumberTarget.isRight(bits, besides: 0, input), "\(text)")
      #expect(!NumberTarget.isRight(bits + 2, besides: bits, input), "\(text)")
      #expect(!NumberTarget.isRight(bits ^ 1 << 63, besides: bits, input), "\(text)")
    }
    let bits = 0.1.bitPattern
    #expect(!NumberTarget.isRight(bits + 1, besides: bits, Array("0.1".utf8)))
  }

  @Test("24 is an hour where an hour stands")
  func hours() {
    for text in ["24:00", "2000-01-01 24:00", "2000-01-01T24:00:00", "+24:00"] {
      #expect(DateTarget.hasHour24(Array(text.utf8)), "\(text)")
    }
    for text in ["12:24:00", "2000-01-01 124:00", "2024-01-01 00:00", "23:59:24"] {
      #expect(!DateTarget.hasHour24(Array(text.utf8)), "\(text)")
    }
  }

  @Test("what SQLite calls whole and we refuse is found")
  func refusals() throws {
    let reference = try SQLiteLibrary().open(":memory:", readOnly: false)
    defer { reference.close() }
    try reference.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT a FROM t")
    let good = try DatabaseReading(reference)
    try good.compare(with: reference, [], "differs")
    for code in [Int32(11), 26] {
      let reading = DatabaseReading(refusal: EngineFailure(code: code, message: "broken"))
      #expect(throws: FuzzFinding.self) { try reading.compare(with: reference, [], "differs") }
    }
    // A limit of the target's own is no verdict.
    try DatabaseReading(refusal: EngineFailure(code: 9, message: "interrupted")).compare(with: reference, [], "differs")
  }

  @Test("a pivot row that the filter has lost is found, and one that nobody can judge has not passed")
  func pivot() {
    let row: [HarnessValue] = [.integer(1), .text("a")], other: [HarnessValue] = [.integer(2), .null]
    func verdict(_ all: [[HarnessValue]], _ truth: HarnessValue, _ filtered: [[HarnessValue]]) -> LogicCheck.Verdict {
      LogicCheck.judge(.keepsPivot, [all, [row], [[truth]], filtered])
    }
    #expect(verdict([row, other], .integer(1), [row]) == .holds)
    guard case .broken = verdict([row, other], .integer(1), [other]) else {
      Issue.record("the row is not missed")
      return
    }
    guard case .skipped = verdict([other], .integer(1), []) else { Issue.record("judged without the row"); return }
    guard case .skipped = verdict([row], .integer(0), []) else { Issue.record("judged without a condition"); return }
  }
}
