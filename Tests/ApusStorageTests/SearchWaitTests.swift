// Searches that wait again and again: each repetition must get further than the one before.

import ApusBase
import ApusStorage
import Testing

@Suite("Searches that wait")
struct SearchWaitTests {
  /// Keys that differ behind sixty overflow pages only.
  private static func key(_ number: Int) -> OwnedValues {
    OwnedValues([.text(String(repeating: "x", count: 30_000) + "\(number + 10)"), .integer(Int64(number))])
  }

  @Test("a search among keys on long overflow chains ends, whether its leaf is at hand or not", arguments: UInt64(1)...3)
  func overflowingKeys(seed: UInt64) throws {
    let description = KeyDescription([KeyColumn(), KeyColumn()])
    let fixture = try TreeFixture(pageSize: 512, key: description, sql: "CREATE TABLE t(k)", faults: nil)
    let box = CursorBox(fixture.pager, fixture.root, description)
    for number in 0..<12 {
      let values = SearchWaitTests.key(number)
      try withView(values.record()) { view in
        try settled { () throws(Fault) in try box.cursor.insert(key: view, values: values.range) }
      }
    }
    fixture.pager.faultInjection = SeededRandom(seed: seed)
    var random = SeededRandom(seed: seed &+ 100)
    for _ in 0..<40 {
      let values = SearchWaitTests.key(random.below(12))
      var waits = 0
      var found: Bool?
      while found == nil {
        do throws(Fault) {
          found = try box.cursor.seek(key: values.range, .equal)
        } catch {
          guard case .wait = error else { throw error }
          waits += 1
          try #require(waits < 20_000, "seed \(seed): the search does not get on")
        }
      }
      #expect(found == true)
    }
  }
}
