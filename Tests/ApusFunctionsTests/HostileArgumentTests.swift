import ApusBase
import ApusFunctions
import ApusVM
import Testing

@Suite("Hostile arguments")
struct HostileArgumentTests {
  /// A value that somebody would send who wants to see the process fall.
  private static func field(_ random: inout SeededRandom) -> Substring {
    let integers: [Int64] = [0, 1, -1, 2, 31, 255, 0x10ffff, -100, 1 << 31, 1 << 32, .max, .min, .max - 1, .min + 1]
    let texts = [
      "", "%", "%%%", "%s%d%f", "%5$*.*s", "+464269999999999 seconds", "-9999-99-99", "9999-12-31 23:59:59",
      "-4713-11-24 12:00", "weekday 0", "start of month", "utc", "localtime", "unixepoch", "auto", "subsec",
      "+14712-11-30 23:59:59", "-14712-11-30", "+176545 months", "1e999", "-1e999", "[", "[^", "[a-", "\\",
      "*******a", "a\0b", "41", "\\u", "\\uffff", "\\Uffffffff", "0x1F", "123456789012345678901234567890", "now",
      "24:00", "%.30f", "%!.26e", "%,200d", "%.100c", "%+#0!,-*.*g", "%2147483647d", "%.2147483647f", "%.999999999d",
    ]
    switch random.below(5) {
    case 0: return "i\(integers[random.below(integers.count)])"
    case 1: return "i\(Int64(bitPattern: random.next()) >> Int64(random.below(64)))"
    case 2:
      let real = Double(bitPattern: random.next())
      return real.isNaN ? "n" : Substring(notation(.real(real)))
    case 3: return Substring((random.oneIn(2) ? "t" : "b") + escaped(Array(texts[random.below(texts.count)].utf8)))
    default:
      let bytes = (0..<random.below(12)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      return Substring((random.oneIn(2) ? "t" : "b") + escaped(bytes))
    }
  }

  @Test("no arguments make a function stop the process or exceed the length limit", arguments: UInt64(1)...4)
  func scalars(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var driver = FunctionDriver()
    driver.context.lengthLimit = 100_000
    for definition in driver.registry.builtInDefinitions where !definition.isAggregate {
      for _ in 0..<25 {
        let count = if case .exactly(let number) = definition.arity { number } else { 1 + random.below(5) }
        let result = driver.call(definition.name, (0..<count).map { _ in Self.field(&random) })
        #expect(result.utf8.count <= 300_010, "seed \(seed), \(definition.name)")
      }
    }
  }

  @Test("modifiers in any order never stop the process", arguments: UInt64(1)...4)
  func modifiers(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var driver = FunctionDriver(environment: FixedEnvironment(milliseconds: .max / 4, offsetSeconds: 50_400))
    for _ in 0..<1_000 {
      let fields = (0..<1 + random.below(30)).map { _ in Self.field(&random) }
      _ = driver.call("datetime", fields)
      _ = driver.call("strftime", ["t%25Y%25s%25J%25W%25V"] + fields)
    }
  }

  @Test("no rows make an aggregate stop the process", arguments: UInt64(1)...4)
  func aggregates(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var driver = FunctionDriver()
    for definition in driver.registry.builtInDefinitions where definition.isAggregate {
      guard case .exactly(let arity) = definition.arity, case .aggregate(let function) = definition.body else { continue }
      for _ in 0..<20 {
        let rows = (0..<random.below(12)).map { _ in (0..<arity).map { _ in Self.field(&random) } }
        _ = driver.aggregate(definition.name, rows, arity: arity)
        if function.inverse == nil { continue }
        _ = driver.aggregate(definition.name, rows, frame: 1 + random.below(4), arity: arity)
      }
    }
  }
}
