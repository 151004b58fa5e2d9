// PRAGMA: what reads and sets the connection and the file. The tables of pragmas that list the schema stand in
// SchemaPragmas.swift.
//
// An unknown pragma, or a known one with a value that has no effect, is never dropped silently: the program carries a
// warning, which `PRAGMA strict_pragmas = on` makes an error.

import ApusBase
import ApusSQL
import ApusStorage
import ApusVM

extension Generator {
  func pragma(_ pragma: Pragma) throws(EngineError) {
    let database = try pragma.schema.map { name throws(EngineError) in try number(of: name, pragma.offset) } ?? 0
    let key = pragma.name.key.string
    if try schemaPragma(key, pragma, database) { return }
    if let setting = Self.settings[key] {
      try self.setting(setting, pragma, database)
      return
    }
    switch key {
    case "user_version": try header(.userVersion, pragma, database)
    case "application_id": try header(.applicationID, pragma, database)
    case "schema_version": try header(.schemaCookie, pragma, database)
    case "journal_mode": try journalMode(pragma, database)
    case "incremental_vacuum":
      writes(database)
      let limit = register()
      codeInteger(pragma.argument.flatMap { Int64($0.text) } ?? 0, into: limit)
      builder.emit(.incrementalVacuum, Int32(database), limit)
    case "shrink_memory":
      // As in SQLite, an argument means nothing.
      let value = register()
      integer(1, into: value)
      builder.emit(.setting, 0, value, Setting.shrinkMemory.rawValue, p5: 1)
    case "wal_checkpoint": try checkpoint(pragma, database)
    case "concurrent_conflicts": try conflicts(pragma, database)
    case "integrity_check": try integrityCheck(pragma, database, isQuick: false)
    case "quick_check": try integrityCheck(pragma, database, isQuick: true)
    default: try warn("unknown pragma: \(pragma.name.text)")
    }
  }

  private func warn(_ text: String) throws(EngineError) {
    if context.settings.strictPragmas { throw EngineError(.error, text) }
    builder.warnings.append(text)
  }

  // MARK: settings

  enum ArgumentKind {
    case boolean, number
    /// A boolean, or a number of pages or KiB.
    case spilling
    /// Words with their numbers.
    case words([String: Int64])
    /// Cannot be set.
    case none
  }

  struct SettingPragma {
    var setting: Setting
    var argument: ArgumentKind
    /// Setting it answers with the new value.
    var answers = false
    /// Reading or setting touches the file.
    var usesFile = false
  }

  private static let settings: [String: SettingPragma] = [
    "page_size": SettingPragma(setting: .pageSize, argument: .number, usesFile: true),
    "page_checksums": SettingPragma(
      setting: .pageChecksums,
      argument: .words(["off": 0, "on": 1, "ignore": 2, "verify": 3, "no": 0, "false": 0, "yes": 1, "true": 1])),
    "page_count": SettingPragma(setting: .pageCount, argument: .none, usesFile: true),
    "freelist_count": SettingPragma(setting: .freelistCount, argument: .none, usesFile: true),
    "max_page_count": SettingPragma(setting: .maxPageCount, argument: .number, answers: true, usesFile: true),
    "cache_spill": SettingPragma(setting: .cacheSpill, argument: .spilling),
    "cache_size": SettingPragma(setting: .cacheSize, argument: .number),
    "synchronous": SettingPragma(
      setting: .synchronous,
      argument: .words(["off": 0, "normal": 1, "full": 2, "extra": 3, "no": 0, "false": 0, "on": 1, "yes": 1, "true": 1])),
    "busy_timeout": SettingPragma(setting: .busyTimeout, argument: .number, answers: true),
    "wal_autocheckpoint": SettingPragma(setting: .walAutocheckpoint, argument: .number, answers: true),
    "wal_size_limit": SettingPragma(setting: .walSizeLimit, argument: .number, answers: true),
    "data_version": SettingPragma(setting: .dataVersion, argument: .none, usesFile: true),
    "encoding": SettingPragma(
      setting: .encoding,
      argument: .words([
        "utf8": 1, "utf-8": 1, "utf16": 2, "utf-16": 2, "utf16le": 2, "utf-16le": 2, "utf16be": 3, "utf-16be": 3,
      ]), usesFile: true),
    "auto_vacuum": SettingPragma(setting: .autoVacuum, argument: .words(["none": 0, "full": 1, "incremental": 2]), usesFile: true),
    "locking_mode": SettingPragma(setting: .lockingMode, argument: .words(["normal": 0, "exclusive": 1]), answers: true),
    "recovery": SettingPragma(setting: .recovery, argument: .words(["prefix": 0, "strict": 1]), answers: true),
    "concurrent_isolation": SettingPragma(
      setting: .concurrentIsolation, argument: .words(["serializable": 0, "snapshot": 1])),
    "direct_reads": SettingPragma(setting: .directReads, argument: .boolean),
    "io_backend": SettingPragma(setting: .ioBackend, argument: .none),
    "foreign_keys": SettingPragma(setting: .foreignKeys, argument: .boolean),
    "recursive_triggers": SettingPragma(setting: .recursiveTriggers, argument: .boolean),
    "reverse_unordered_selects": SettingPragma(setting: .reverseUnordered, argument: .boolean),
    "query_only": SettingPragma(setting: .queryOnly, argument: .boolean),
    "ignore_check_constraints": SettingPragma(setting: .ignoreCheckConstraints, argument: .boolean),
    "case_sensitive_like": SettingPragma(setting: .caseSensitiveLike, argument: .boolean),
    "temp_store": SettingPragma(setting: .tempStore, argument: .words(["default": 0, "file": 1, "memory": 2])),
    "journal_size_limit": SettingPragma(setting: .journalSizeLimit, argument: .number, answers: true),
    "secure_delete": SettingPragma(setting: .secureDelete, argument: .words(["off": 0, "no": 0, "false": 0]), answers: true),
    "mmap_size": SettingPragma(setting: .mmapSize, argument: .words(["0": 0]), answers: true),
    "threads": SettingPragma(setting: .threads, argument: .words(["0": 0]), answers: true),
    "writable_schema": SettingPragma(setting: .writableSchema, argument: .boolean),
    "automatic_index": SettingPragma(setting: .automaticIndex, argument: .boolean),
    "legacy_alter_table": SettingPragma(setting: .legacyAlterTable, argument: .boolean),
    "trusted_schema": SettingPragma(setting: .trustedSchema, argument: .boolean),
    "cell_size_check": SettingPragma(setting: .cellSizeCheck, argument: .boolean),
    "strict_pragmas": SettingPragma(setting: .strictPragmas, argument: .boolean),
  ]

  private func setting(_ known: SettingPragma, _ pragma: Pragma, _ database: Int) throws(EngineError) {
    let value = register()
    // Setting the page size must come before the first read.
    if known.usesFile && (pragma.argument == nil || known.setting != .pageSize) { reads(database) }
    guard let argument = pragma.argument else {
      builder.emit(.setting, Int32(database), value, known.setting.rawValue)
      answer([pragma.name.key == "busy_timeout" ? "timeout" : pragma.name.key.string], from: value)
      return
    }
    guard let number = Self.number(argument.text, known.argument) else {
      // SQLite takes what it does not know for a request; Apus says so.
      try warn("PRAGMA \(pragma.name.text): the value '\(argument.text)' has no effect")
      if known.answers {
        builder.emit(.setting, Int32(database), value, known.setting.rawValue)
        answer([pragma.name.key.string], from: value)
      }
      return
    }
    if known.setting == .foreignKeys && number != 0 { throw unsupported("foreign key enforcement (PRAGMA foreign_keys = ON)") }
    if known.setting == .encoding, number != Int64(context.settings.textEncoding.rawValue),
      context.schemas.databases.contains(where: { $0.schema.tableCount > 1 })
    {
      try warn("PRAGMA encoding: a database that has tables keeps its encoding")
    }
    codeInteger(number, into: value)
    builder.emit(
      .setting, Int32(database), value, known.setting.rawValue, p5: pragma.schema == nil && database == 0 ? 3 : 1)
    if known.setting == .autoVacuum, number != 0 {
      writes(database)
      // A file that has auto_vacuum changes between FULL and INCREMENTAL at once.
      let largestRoot = register()
      let plain = builder.makeLabel()
      builder.emit(.readCookie, Int32(database), largestRoot, HeaderField.largestRoot.rawValue)
      builder.emit(.ifNot, largestRoot, to: plain)
      builder.emit(.setCookie, Int32(database), HeaderField.incrementalVacuum.rawValue, Int32(number - 1))
      builder.place(plain)
    }
    if known.answers {
      builder.emit(.setting, Int32(database), value, known.setting.rawValue)
      answer([pragma.name.key == "busy_timeout" ? "timeout" : pragma.name.key.string], from: value)
    }
  }

  static func number(_ text: String, _ kind: ArgumentKind) -> Int64? {
    let key = Name.fold(text).string
    switch kind {
    case .none: return nil
    case .number: return integer(key)
    case .spilling:
      if let number = integer(key) { return min(max(number, Int64(Int32.min)), Int64(Int32.max)) }
      return boolean(key).map { $0 ? Setting.spillsAsBefore : 0 }
    case .words(let words):
      if let number = words[key] { return number }
      guard let number = Int64(key) else { return nil }
      return words.values.contains(number) ? number : nil
    case .boolean: return boolean(key).map { $0 ? 1 : 0 }
    }
  }

  /// A decimal or hexadecimal integer.
  private static func integer(_ key: String) -> Int64? {
    if key.hasPrefix("0x") || key.hasPrefix("0X"), let bits = UInt64(key.dropFirst(2), radix: 16) { return Int64(bitPattern: bits) }
    return Int64(key) ?? (key.hasPrefix("+") ? Int64(key.dropFirst()) : nil)
  }

  static func boolean(_ key: String) -> Bool? {
    switch key {
    case "on", "yes", "true": true
    case "off", "no", "false": false
    default: key.utf8.first.map { $0 &- 0x30 < 10 } == true ? leadingInteger(key) != 0 : nil
    }
  }

  /// The number that a text begins with, decimal with a sign or hexadecimal without; 0 where there is none, or none of 32
  /// bits with a sign.
  static func leadingInteger(_ text: String) -> Int32 {
    let bytes = Array(text.utf8)
    if bytes.count > 2, bytes[0] == 0x30, bytes[1] | 0x20 == 0x78 {
      let digits = bytes[2...].prefix { Character(Unicode.Scalar($0)).isHexDigit }
      return Int32(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0
    }
    let isSigned = bytes.first == 0x2b || bytes.first == 0x2d
    let digits = bytes.dropFirst(isSigned ? 1 : 0).prefix { $0 &- 0x30 < 10 }
    return Int32((bytes.first == 0x2d ? "-" : "") + String(decoding: digits, as: UTF8.self)) ?? 0
  }

  /// One row of the registers from `first` on.
  private func answer(_ names: [String], from first: Int32) {
    builder.resultColumns = names.map { ResultColumn(name: $0) }
    builder.emit(.resultRow, first, Int32(names.count))
  }

  // MARK: the header

  private func header(_ field: HeaderField, _ pragma: Pragma, _ database: Int) throws(EngineError) {
    guard let argument = pragma.argument else {
      reads(database)
      let value = register()
      builder.emit(.readCookie, Int32(database), value, field.rawValue)
      answer([pragma.name.key.string], from: value)
      return
    }
    let number = Self.leadingInteger(argument.text)
    if Self.integer(argument.text) != Int64(number) {
      try warn("PRAGMA \(pragma.name.text): the value '\(argument.text)' is no integer of 32 bits; \(number) is stored")
    }
    writes(database)
    builder.emit(.setCookie, Int32(database), field.rawValue, number)
    if field == .schemaCookie { builder.emit(.schemaChanged, Int32(database)) }
  }

  // MARK: journal and checkpoints

  /// In the order of their numbers in p3 of `journalMode`.
  private static let journalModes = ["delete", "truncate", "persist", "memory", "off", "wal"]

  private func journalMode(_ pragma: Pragma, _ database: Int) throws(EngineError) {
    let result = register()
    var mode: Int32 = -1
    if let argument = pragma.argument {
      guard let wanted = Self.journalModes.firstIndex(of: Name.fold(argument.text).string) else {
        try warn("PRAGMA journal_mode: the value '\(argument.text)' has no effect")
        builder.emit(.journalMode, Int32(database), result, -1)
        answer(["journal_mode"], from: result)
        return
      }
      mode = Int32(wanted)
    }
    if mode >= 0, pragma.schema == nil {
      // All databases change, and main answers.
      for other in context.schemas.databases.indices.reversed() where other > 1 {
        builder.emit(.journalMode, Int32(other), result, mode)
      }
    }
    builder.emit(.journalMode, Int32(database), result, mode)
    answer(["journal_mode"], from: result)
    builder.isReadOnly = mode < 0
  }

  /// Without a schema in the pragma's name all databases that have a file are reported.
  private func conflicts(_ pragma: Pragma, _ database: Int) throws(EngineError) {
    if let argument = pragma.argument { try warn("PRAGMA concurrent_conflicts: the value '\(argument.text)' has no effect") }
    let names = ["schema", "measure", "table", "kind", "count"]
    builder.resultColumns = names.map { ResultColumn(name: $0) }
    let first = registers(names.count)
    for number in context.schemas.databases.indices where pragma.schema == nil ? number != 1 : number == database {
      let next = builder.labelHere(), behind = builder.makeLabel()
      builder.emit(.conflictNext, Int32(number), to: behind, first)
      builder.emit(.resultRow, first, Int32(names.count))
      builder.emit(.goto, to: next)
      builder.place(behind)
    }
  }

  private func checkpoint(_ pragma: Pragma, _ database: Int) throws(EngineError) {
    let modes: [String: Int32] = ["passive": 0, "full": 1, "restart": 2, "truncate": 3, "noop": 4]
    var mode: Int32 = 0
    if let argument = pragma.argument {
      if let known = modes[Name.fold(argument.text).string] {
        mode = known
      } else {
        try warn("PRAGMA wal_checkpoint: the value '\(argument.text)' has no effect")
      }
    }
    let first = registers(3)
    builder.emit(.checkpoint, pragma.schema == nil ? -1 : Int32(database), mode, first)
    answer(["busy", "log", "checkpointed"], from: first)
    builder.isReadOnly = false
  }
}
