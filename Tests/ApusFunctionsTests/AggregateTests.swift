import Testing

@Suite("Aggregates")
struct AggregateTests {
  @Test("aggregates over whole groups and sliding frames agree with SQLite 3.54.1")
  func recorded() throws {
    var driver = FunctionDriver()
    // name|arity|frame or -|row~row~...=result~...; a row is argument,argument.
    for line in try RecordedCalls.lines("aggregates") {
      let halves = line.split(separator: "=", maxSplits: 1)
      let fields = halves[0].split(separator: "|", omittingEmptySubsequences: false)
      let rows = fields[3].split(separator: "~").map { $0.split(separator: "^") }
      let results = driver.aggregate(String(fields[0]), rows, frame: Int(fields[2]), arity: Int(fields[1])!)
      #expect(results.joined(separator: "~") == halves[1], "\(halves[0])")
    }
  }
}
