import ApusBase
import ApusFunctions
import ApusVM
import Testing

@Suite("The function list")
struct FunctionListTests {
  /// What SQLite has built in and we do not yet.
  private static let missing: Set<String> = [
    "->", "->>", "cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "load_extension", "nth_value",
    "ntile", "percent_rank", "rank", "row_number", "sqlite_log",
  ]

  @Test("names, argument counts, types and flags are those of SQLite 3.54.1")
  func list() throws {
    let ours = BuiltInFunctions.library.definitions.map {
      "\($0.name)|\($0.arity.listed)|\($0.listedType)|\($0.traits.listed)"
    }
    let theirs = try RecordedCalls.lines("functionList").map(String.init).filter { line in
      let name = String(line.prefix { $0 != "|" })
      return !name.hasPrefix("json") && !Self.missing.contains(name)
    }
    #expect(Set(ours).count == ours.count, "a function is listed twice")
    #expect(Set(ours).subtracting(theirs).sorted() == [], "ours alone")
    #expect(Set(theirs).subtracting(ours).sorted() == [], "SQLite's alone")
  }

  @Test("an exact argument count beats an open one, the application's functions the built-in ones")
  func lookUp() {
    let registry = FunctionRegistry(builtIn: BuiltInFunctions.library)
    func name(_ name: String, _ count: Int) -> String {
      switch registry.lookUp(name, argumentCount: count) {
      case .found(let definition): "\(definition.listedType)\(definition.arity.listed)"
      case .wrongArgumentCount: "wrong number of arguments"
      case .unknown: "unknown"
      }
    }
    #expect(name("MAX", 1) == "w1")
    #expect(name("max", 2) == "s-3")
    #expect(name("abs", 2) == "wrong number of arguments")
    #expect(name("coalesce", 1) == "wrong number of arguments")
    #expect(name("nothing", 1) == "unknown")
    registry.register(.scalar("ABS", .any) { (context, _) throws(Fault) in context.setNull() })
    #expect(name("abs", 1) == "s-1")
    registry.unregister("abs", .any)
    #expect(name("abs", 1) == "s1")
    #expect(registry.version == 2)
  }
}
