// The statements that a connection keeps prepared: found again by their text, and the one used longest ago leaves first.

import ApusIO
import Testing

@testable import Apus

@Suite(.timeLimit(.minutes(20))) struct StatementCacheTests {
  private static func text(_ number: Int) -> String { "SELECT \(number), 'some text that is longer than fifteen bytes'" }

  @Test(arguments: [0, 1, 3, 6, 7, 40]) func keepsThoseUsedLast(countMax: Int) throws {
    let connection = try Connection("/test.db", environment: MemoryEnvironment(seed: 1))
    var cache = StatementCache(countMax: countMax)
    var made: [PreparedStatement] = []
    for number in 0..<60 {
      let statement = try prepare(connection, number)
      made.append(statement)
      cache.give(Self.text(number), statement)
    }
    #expect(cache.count == countMax)
    for number in 0..<60 {
      let statement = cache.take(Self.text(number))
      #expect(statement === (number < 60 - countMax ? nil : made[number]))
      if number < 60 - countMax { #expect(throws: (any Error).self) { _ = try made[number].step() } }
    }
    #expect(cache.count == 0)
  }

  @Test func useMakesYoung() throws {
    let connection = try Connection("/test.db", environment: MemoryEnvironment(seed: 1))
    var cache = StatementCache(countMax: 10)
    for number in 0..<40 {
      // The first is used between all the others.
      cache.give(Self.text(0), try cache.take(Self.text(0)) ?? prepare(connection, 0))
      cache.give(Self.text(number + 1), try prepare(connection, number + 1))
    }
    #expect(cache.take(Self.text(0)) != nil)
    #expect(cache.take(Self.text(40)) != nil)
    #expect(cache.take(Self.text(20)) == nil)
  }

  @Test func secondOfATextIsFinalized() throws {
    let connection = try Connection("/test.db", environment: MemoryEnvironment(seed: 1))
    var cache = StatementCache(countMax: 10)
    let (first, second) = (try prepare(connection, 1), try prepare(connection, 1))
    cache.give(Self.text(1), first)
    cache.give(Self.text(1), second)
    #expect(cache.count == 1)
    #expect(throws: (any Error).self) { _ = try second.step() }
    #expect(cache.take(Self.text(1)) === first)
    cache.give(Self.text(1), first)
    cache.clear()
    #expect(cache.count == 0)
    #expect(throws: (any Error).self) { _ = try first.step() }
  }

  /// Two statements, though Unicode calls their texts equivalent.
  @Test func textsAreComparedByteByByte() throws {
    let connection = try Connection("/test.db", environment: MemoryEnvironment(seed: 1))
    var cache = StatementCache(countMax: 10)
    let composed = "SELECT '\u{e9}'", decomposed = "SELECT 'e\u{301}'"
    cache.give(composed, try connection.prepare(composed))
    #expect(cache.take(decomposed) == nil)
    for number in 0..<8 { cache.give(Self.text(number), try prepare(connection, number)) }
    #expect(cache.take(decomposed) == nil)
    #expect(cache.take(composed) != nil)
  }

  private func prepare(_ connection: Connection, _ number: Int) throws -> PreparedStatement {
    try connection.prepare(Self.text(number))
  }
}
