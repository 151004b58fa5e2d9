// Functions that tell of the connection and the engine, and chance. Source: https://sqlite.org/lang_corefunc.html

import ApusBase
import ApusVM

/// The SQLite whose behaviour Apus follows.
public enum SQLiteVersion {
  public static let text: StaticString = "3.54.1"
  public static let number = 3_054_001
  public static let sourceIdentifier: StaticString =
    "2026-10-16 14:45:20 555e07ef33f69a0957d24d8e555b702464a131d6f1607f4c3c1e4551e8e6ca76"

  /// What `PRAGMA compile_options` lists, in order; without the prefix "SQLITE_".
  public static let compileOptions: [StaticString] = [
    "ENABLE_COLUMN_METADATA", "ENABLE_DBSTAT_VTAB", "ENABLE_MATH_FUNCTIONS", "ENABLE_PERCENTILE",
    "LIKE_DOESNT_MATCH_BLOBS",
    "MAX_LENGTH=1000000000", "MAX_LIKE_PATTERN_LENGTH=50000", "OMIT_LOAD_EXTENSION", "OMIT_SHARED_CACHE",
    "TEMP_STORE=1", "THREADSAFE=1",
  ]
}

enum ConnectionFunctions {
  private static let figures: FunctionTraits = [.innocuous, .readsConnection]

  static let definitions: [FunctionDefinition] = [
    .scalar("changes", .exactly(0), figures, changes),
    .scalar("total_changes", .exactly(0), figures, totalChanges),
    .scalar("last_insert_rowid", .exactly(0), figures, lastInsertRowid),
    .scalar("sqlite_version", .exactly(0), [.innocuous, .slowChange], version),
    .scalar("sqlite_source_id", .exactly(0), [.innocuous, .slowChange], sourceIdentifier),
    .scalar("sqlite_compileoption_used", .exactly(1), [.innocuous, .slowChange], optionUsed),
    .scalar("sqlite_compileoption_get", .exactly(1), [.innocuous, .slowChange], optionGet),
    .scalar("random", .exactly(0), .innocuous, random),
    .scalar("randomblob", .exactly(1), .innocuous, randomBlob),
  ]

  static func changes(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.setInteger(context.figures.changes)
  }

  static func totalChanges(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.setInteger(context.figures.totalChanges)
  }

  static func lastInsertRowid(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.setInteger(context.figures.lastInsertRowid)
  }

  static func version(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.setText(SQLiteVersion.text)
  }

  static func sourceIdentifier(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    context.setText(SQLiteVersion.sourceIdentifier)
  }

  static func optionUsed(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    if arguments[0].isNull { return context.setNull() }
    var name = context.text(arguments[0])
    if startsWith(name, "SQLITE_") { name = name.suffix(from: 7) }
    for option in SQLiteVersion.compileOptions where covers(option, name) { return context.setInteger(1) }
    context.setInteger(0)
  }

  // Whether `name` is the option, or its part before '='; case does not count.
  private static func covers(_ option: StaticString, _ name: ByteView) -> Bool {
    var buffer = ByteBuffer()
    buffer.append(option)
    let full = buffer.bytes
    guard name.count <= full.count, name.count > 0 else { return false }
    guard Collation.compareNoCase(full.slice(0, name.count), name) == 0 else { return false }
    return name.count == full.count || full[name.count] == 0x3d
  }

  private static func startsWith(_ text: ByteView, _ prefix: StaticString) -> Bool {
    var buffer = ByteBuffer()
    buffer.append(prefix)
    return text.count >= buffer.count
      && Collation.compareNoCase(text.slice(0, buffer.count), buffer.bytes) == 0
  }

  static func optionGet(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let index = arguments[0].asInteger
    guard index >= 0, index < SQLiteVersion.compileOptions.count else { return context.setNull() }
    context.setText(SQLiteVersion.compileOptions[Int(index)])
  }

  /// Never the smallest integer, so that `abs` of it cannot overflow.
  static func random(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let value = Int64(bitPattern: context.randomUInt64())
    context.setInteger(value == .min ? 0 : value)
  }

  static func randomBlob(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    let count = max(1, arguments[0].asInteger)
    guard count <= context.lengthLimit else { throw context.tooBig() }
    context.output.removeAll()
    context.output.reserve(Int(count))
    while context.output.count < Int(count) {
      var bits = context.randomUInt64()
      for _ in 0..<min(8, Int(count) &- context.output.count) {
        context.output.append(UInt8(truncatingIfNeeded: bits))
        bits >>= 8
      }
    }
    try context.setOutputBlob()
  }
}
