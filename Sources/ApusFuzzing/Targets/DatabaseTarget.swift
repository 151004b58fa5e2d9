// Database files: any bytes give rows or an error. What our check calls whole, SQLite reads the same, and changes keep it whole.

import ApusBase
import ApusHarness
import ApusIO

final class DatabaseTarget: FuzzTarget {
  static let name = "database"
  static let summary = "database file: open, integrity check, dump, change; beside SQLite where it is whole"
  static let byteCountMax = 1 << 16
  static let dictionary = [
    "SQLite format 3\u{0}", "table", "index", "view", "CREATE TABLE ", "CREATE INDEX ", "sqlite_sequence",
  ]
  private static let path = "/fuzzed.db"

  private let library: SQLiteLibrary

  init() throws(EngineFailure) { library = try SQLiteLibrary() }

  static func seeds() throws(EngineFailure) -> [FuzzSeed] { try DatabaseSeeds.databases() }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    let world = MemoryEnvironment(
      seed: 1, cacheHits: .sometimes, fileByteCountMax: FuzzLimits.fileByteCountMax)
    world.setContents(of: Self.path, to: input)
    let connection: ApusConnection
    do throws(EngineFailure) {
      connection = try FuzzEngines.ours(Self.path, in: world)
    } catch {
      try FuzzFinding.check(error, "opening")
      return try compare(DatabaseReading(refusal: error), input)
    }
    defer { connection.close() }
    let reading = try DatabaseReading(connection)
    try compare(reading, input)
    try DatabaseChanges.run(connection, reading.tables.keys.sorted().filter { $0 != "sqlite_schema" })
    let again = try DatabaseReading(connection)
    if reading.isWhole, !reading.hasErrors, !again.isWhole {
      throw FuzzFinding("changes break a whole database", "\(again.check)")
    }
    if again.isWhole { try Self.vacuum(connection, again) }
  }

  /// What is whole keeps its rows when it is written anew.
  private static func vacuum(_ connection: ApusConnection, _ before: DatabaseReading) throws(FuzzFinding) {
    do throws(EngineFailure) {
      try connection.execute("VACUUM")
    } catch {
      try FuzzFinding.check(error, "VACUUM")
      return
    }
    let after = try DatabaseReading(connection)
    if !after.isWhole { throw FuzzFinding("VACUUM breaks a whole database", "\(after.check)") }
    for (name, table) in before.tables where name != "sqlite_schema" && after.tables[name] != table {
      throw FuzzFinding("VACUUM changes a table", name)
    }
  }

  /// SQLite reads the same of it. Databases in WAL mode and in UTF-16 are not compared: SQLite does not take the former from
  /// memory, and repairs broken text in its own way.
  private func compare(_ reading: DatabaseReading, _ input: [UInt8]) throws(FuzzFinding) {
    guard input.count >= 512, input[18] == 1, input[19] == 1, input[59] == 1 else { return }
    guard let reference = try? library.open(image: input) else { return }
    defer { reference.close() }
    try reading.compare(with: reference, input[...], "SQLite reads something else")
  }

  func mutate(_ input: inout [UInt8], _ random: inout SeededRandom) -> Bool {
    if random.oneIn(4) { return DatabaseSeeds.change(&input, &random, byteCountMax: Self.byteCountMax) }
    guard input.count >= 512 else { return false }
    var damage = Damage(seed: random.next())
    damage.apply(to: &input)
    return true
  }

  func repair(_ input: inout [UInt8], _ random: inout SeededRandom) { DatabaseRepair.repair(&input, &random) }
}
