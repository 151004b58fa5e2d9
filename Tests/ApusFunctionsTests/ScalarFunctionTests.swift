import ApusVM
import Testing

@Suite("Scalar functions")
struct ScalarFunctionTests {
  /// Lines of name|argument|...=result, as SQLite 3.54.1 answered them.
  static func check(_ table: String, _ environment: FixedEnvironment = FixedEnvironment()) throws {
    var driver = FunctionDriver(environment: environment)
    for line in try RecordedCalls.lines(table) {
      let halves = line.split(separator: "=", maxSplits: 1)
      let fields = halves[0].split(separator: "|", omittingEmptySubsequences: false)
      #expect(driver.call(String(fields[0]), Array(fields.dropFirst())) == halves[1], "\(halves[0])")
    }
  }

  @Test("text, blob and value functions agree with SQLite 3.54.1")
  func core() throws { try Self.check("coreFunctions") }

  @Test("like and glob agree with SQLite 3.54.1")
  func patterns() throws { try Self.check("patterns") }

  @Test("mathematical functions agree with SQLite 3.54.1")
  func mathematics() throws { try Self.check("mathematics") }

  @Test("format agrees with SQLite 3.54.1")
  func formats() throws { try Self.check("formats") }

  @Test("date and time functions agree with SQLite 3.54.1")
  func dateTimes() throws { try Self.check("dateTimes") }

  @Test("local time agrees with SQLite 3.54.1")
  func localTimes() throws { try Self.check("localTimes", FixedEnvironment(offsetSeconds: 19_800)) }

  @Test("a pure call refuses the moment and the zone, and the calls beside it do not")
  func pureCalls() {
    var driver = FunctionDriver()
    let place = PurePlace.generatedColumn
    let refusal = "e" + escaped(Array("non-deterministic use of date() in a generated column".utf8))
    for arguments: [Substring] in [[], ["tnow"], ["tsubsec"], ["t2024-01-01", "tutc"], ["t2024-01-01", "tlocaltime"]] {
      #expect(driver.call("date", arguments, pureIn: place) == refusal, "\(arguments)")
      #expect(driver.call("date", arguments).hasPrefix("t20"), "\(arguments)")
    }
    #expect(driver.call("date", ["t2024-01-01", "t+1%20day"], pureIn: place) == "t2024-01-02")
    #expect(driver.call("date", ["tx", "tutc"], pureIn: place) == "n")
    #expect(driver.call("date", ["t2024-01-01", "tx", "tutc"], pureIn: place) == "n")
  }

  @Test("'now' is the environment's clock, local time its offset")
  func environmentTime() {
    var driver = FunctionDriver(environment: FixedEnvironment(milliseconds: 1_700_000_000_123, offsetSeconds: -3_600))
    #expect(driver.call("datetime", ["tnow"]) == "t2023-11-14%2022:13:20")
    #expect(driver.call("datetime", []) == "t2023-11-14%2022:13:20")
    #expect(driver.call("current_timestamp", []) == "t2023-11-14%2022:13:20")
    #expect(driver.call("unixepoch", ["tsubsec"]) == notation(.real(1_700_000_000.123)))
    #expect(driver.call("datetime", ["tnow", "tlocaltime"]) == "t2023-11-14%2021:13:20")
    #expect(driver.call("datetime", ["tnow", "tlocaltime", "tutc"]) == "t2023-11-14%2022:13:20")
    #expect(driver.call("time", ["t12:00", "tlocaltime"]) == "t11:00:00")
    #expect(driver.call("datetime", ["t1850-06-01", "tlocaltime"]) == "t1850-05-31%2023:00:00")
  }

  @Test("chance comes from the environment alone")
  func chance() {
    var driver = FunctionDriver()
    #expect(driver.call("random", []) == "i81985529216486895")
    #expect(driver.call("randomblob", ["i3"]) == "b%ef%cd%ab")
    #expect(driver.call("randomblob", ["i-1"]).count == 4)
  }

  @Test("a connection's figures are reported")
  func figures() {
    var driver = FunctionDriver()
    driver.context.figures.changes = 3
    driver.context.figures.totalChanges = 8
    driver.context.figures.lastInsertRowid = -5
    #expect(driver.call("changes", []) == "i3")
    #expect(driver.call("total_changes", []) == "i8")
    #expect(driver.call("last_insert_rowid", []) == "i-5")
    #expect(driver.call("sqlite_version", []) == "t3.54.1")
  }
}
