// A database with a log or a hot journal beside it: recovery gives rows or an error, the same at each opening, and where both
// engines call the result whole, SQLite's rows.

import ApusBase
import ApusHarness
import ApusIO
import Glibc

final class LogTarget: FuzzTarget {
  static let name = "wal"
  static let summary = "write-ahead log beside a database: recovery as SQLite's"
  static let byteCountMax = 1 << 17

  private let recovery: Recovery

  init() throws(EngineFailure) { recovery = try Recovery(suffix: "-wal") }

  static func seeds() throws(EngineFailure) -> [FuzzSeed] { try DatabaseSeeds.logs() }

  func check(_ input: [UInt8]) throws(FuzzFinding) { try recovery.check(SplitInput(input)) }

  func mutate(_ input: inout [UInt8], _ random: inout SeededRandom) -> Bool {
    recovery.mutate(&input, &random) { log, random in
      if random.oneIn(2) {
        LogForgery.forge(&log, &random)
      } else {
        var damage = Damage(seed: random.next())
        damage.applyToLog(&log, "-wal")
      }
    }
  }

  func repair(_ input: inout [UInt8], _ random: inout SeededRandom) {
    var split = SplitInput(input)
    LogForgery.repair(&split.second, pageSize: Recovery.pageSize(of: split.first), &random)
    input = split.bytes
  }
}

final class JournalTarget: FuzzTarget {
  static let name = "journal"
  static let summary = "hot rollback journal beside a database: playback as SQLite's"
  static let byteCountMax = 1 << 17

  private let recovery: Recovery

  init() throws(EngineFailure) { recovery = try Recovery(suffix: "-journal") }

  static func seeds() throws(EngineFailure) -> [FuzzSeed] { try DatabaseSeeds.journals() }

  func check(_ input: [UInt8]) throws(FuzzFinding) { try recovery.check(SplitInput(input)) }

  func mutate(_ input: inout [UInt8], _ random: inout SeededRandom) -> Bool {
    recovery.mutate(&input, &random) { journal, random in
      var damage = Damage(seed: random.next())
      damage.applyToLog(&journal, "-journal")
    }
  }

  func repair(_ input: inout [UInt8], _ random: inout SeededRandom) {
    var split = SplitInput(input)
    JournalRepair.repair(&split.second, pageSize: Recovery.pageSize(of: split.first), &random)
    input = split.bytes
  }
}

private final class Recovery {
  private let suffix: String
  private let library: SQLiteLibrary
  private static let path = "/fuzzed.db"
  /// Where SQLite finds its copies.
  private let referencePath = "/dev/shm/apus-fuzz-\(getpid())-\(SystemEnvironment().randomUInt64()).db"

  init(suffix: String) throws(EngineFailure) {
    self.suffix = suffix
    library = try SQLiteLibrary()
  }

  static func pageSize(of database: [UInt8]) -> Int {
    guard database.count > 17 else { return 512 }
    let size = Int(database[16]) << 8 | Int(database[17])
    return size == 1 ? 65536 : size
  }

  func check(_ input: SplitInput) throws(FuzzFinding) {
    let world = MemoryEnvironment(
      seed: 1, cacheHits: .sometimes, fileByteCountMax: FuzzLimits.fileByteCountMax)
    world.setContents(of: Self.path, to: input.first)
    world.setContents(of: Self.path + suffix, to: input.second)
    let reading = try read(world)
    // Once more, on what the first opening left: recovery comes to an end, and to the same one.
    let again = try read(world)
    if reading != again {
      throw FuzzFinding(
        "the second opening differs", again.difference(from: reading) ?? "\(reading.check), \(again.check)")
    }
    if !reading.isWhole || !reading.hasErrors { try compare(reading, input) }
  }

  private func read(_ world: MemoryEnvironment) throws(FuzzFinding) -> DatabaseReading {
    let connection: ApusConnection
    do throws(EngineFailure) {
      connection = try FuzzEngines.ours(Self.path, in: world)
    } catch {
      try FuzzFinding.check(error, "opening")
      return DatabaseReading(refusal: error)
    }
    defer { connection.close() }
    return try DatabaseReading(connection)
  }

  private func compare(_ reading: DatabaseReading, _ input: SplitInput) throws(FuzzFinding) {
    guard input.first.count > 59, input.first[59] == 1 else { return }
    let suffixes = ["", "-journal", "-wal", "-shm"]
    defer { for suffix in suffixes { Console.remove(referencePath + suffix) } }
    guard Console.put(input.first, to: referencePath), Console.put(input.second, to: referencePath + suffix) else {
      throw FuzzFinding("the reference has no room", referencePath)
    }
    guard let reference = try? library.open(referencePath, readOnly: false) else { return }
    defer { reference.close() }
    if !reading.isWhole, hasImpossibleSize(input) { return }
    try reading.compare(with: reference, input.first[...], "SQLite recovers something else")
  }

  /// A commit that makes a database of more pages than the file and the log have: we refuse it at once, SQLite when it
  /// copies.
  private func hasImpossibleSize(_ input: SplitInput) -> Bool {
    if suffix != "-wal" { return false }
    let pageSize = max(512, Self.pageSize(of: input.first)), frameByteCount = 24 + pageSize
    let starts = stride(from: 32, to: input.second.count - 23, by: frameByteCount)
    let pageCount = UInt64(input.first.count / pageSize + input.second.count / frameByteCount)
    return starts.contains { start in
      input.second[start + 4..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } > pageCount
    }
  }

  /// Changes the journal or log; now and then the database.
  func mutate(
    _ input: inout [UInt8], _ random: inout SeededRandom, _ body: (inout [UInt8], inout SeededRandom) -> Void
  ) -> Bool {
    var split = SplitInput(input)
    if random.oneIn(6) {
      var damage = Damage(seed: random.next())
      damage.apply(to: &split.first)
    } else {
      body(&split.second, &random)
    }
    input = split.bytes
    return true
  }
}
