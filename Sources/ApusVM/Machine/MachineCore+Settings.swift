// Instructions behind pragmas: journals, checkpoints, settings, the integrity check.

import ApusBase
import ApusStorage

extension MachineCore {
  // MARK: Journals

  mutating func checkpoint(_ i: Instruction) throws(Fault) {
    let modes: [CheckpointMode?] = [.passive, .full, .restart, .truncate, nil]
    guard i.p2 >= 0, Int(i.p2) < modes.count else { throw .error(.internal, "an unknown checkpoint mode") }
    if !state.isAutocommit || state.active.contains(where: { $0 != reference }) {
      throw .error(.locked, "database table is locked")
    }
    if i.p1 >= 0 {
      pagersAtWork |= 1 << UInt64(i.p1)
      note(try checkpoint(state.pager(Int(i.p1)), modes[Int(i.p2)]), i, isFirst: true)
      return
    }
    // A wait resumes at the database at which it was. The temporary one has no log.
    while progress < state.databases.count {
      if progress != 1, let pager = state.databases[progress]?.pager {
        pagersAtWork |= 1 << UInt64(progress)
        note(try checkpoint(pager, modes[Int(i.p2)]), i, isFirst: progress == 0)
      }
      progress += 1
    }
    progress = 0
  }

  private func checkpoint(
    _ pager: Pager, _ mode: CheckpointMode?
  ) throws(Fault) -> (isBusy: Bool, walFrames: Int, checkpointed: Int) {
    guard let mode else { return try pager.logFigures() }
    return try pager.checkpoint(mode)
  }

  private func note(_ outcome: (isBusy: Bool, walFrames: Int, checkpointed: Int), _ i: Instruction, isFirst: Bool) {
    if isFirst || outcome.isBusy { registers[i.p3] = .boolean(outcome.isBusy) }
    if !isFirst { return }
    registers[i.p3 &+ 1] = .integer(Int64(outcome.walFrames))
    registers[i.p3 &+ 2] = .integer(Int64(outcome.checkpointed))
  }

  /// The journal modes by their number in p3.
  private static let journalModes: [JournalMode] = [.delete, .truncate, .persist, .memory, .off, .wal]

  mutating func setJournalMode(_ i: Instruction) throws(Fault) {
    let pager = try state.pager(Int(i.p1))
    if state.isConcurrent { try pager.checkConcurrent() }
    if i.p3 >= 0 {
      guard Int(i.p3) < Self.journalModes.count else { throw .error(.internal, "an unknown journal mode") }
      let wanted = Self.journalModes[Int(i.p3)]
      if !state.isAutocommit, wanted == .wal || pager.journalMode == .wal, wanted != pager.journalMode {
        throw .error(.error, "cannot change \(wanted == .wal ? "into" : "out of") wal mode from within a transaction")
      }
      // A statement that is dropped at a wait leaves a transaction of the pager's own behind.
      uses |= 1 << UInt64(i.p1)
      writes |= 1 << UInt64(i.p1)
      pagersAtWork |= 1 << UInt64(i.p1)
      setText(i.p2, try pager.setJournalMode(wanted).rawValue)
      return
    }
    // The file says whether it is in WAL mode.
    try open(pager, i)
    setText(i.p2, pager.journalMode.rawValue)
  }

  mutating func setText(_ register: Int32, _ text: String) {
    scratch.removeAll()
    scratch.append(contentsOf: text)
    registers.copyBytes(register, .text(scratch.bytes))
  }

  // MARK: Settings

  mutating func setting(_ i: Instruction) throws(Fault) {
    guard let name = Setting(rawValue: i.p3) else { throw .error(.internal, "an unknown setting") }
    let pager = try state.pager(Int(i.p1))
    if i.p5 & 1 != 0 {
      try set(name, pager, registers[i.p2].asInteger)
      // Without the name of a database, how files are locked, recovered and read is said for all of them.
      let isForAll = i.p5 & 2 != 0 && [.lockingMode, .recovery, .walAutocheckpoint, .directReads].contains(name)
      if isForAll {
        for database in state.databases {
          if let other = database?.pager { try set(name, other, registers[i.p2].asInteger) }
        }
      }
    } else {
      try read(name, pager, into: i)
    }
  }

  private mutating func read(_ name: Setting, _ pager: Pager, into i: Instruction) throws(Fault) {
    let target = i.p2
    let kept = state.settings.values[name]
    switch name {
    case .pageSize: registers[target] = .integer(Int64(pager.pageSize))
    case .pageCount:
      try open(pager, i)
      pager.noteHeaderRead()
      registers[target] = .integer(Int64(pager.pageCount))
    case .pageChecksums:
      try open(pager, i)
      registers[target] = .integer(pager.hasChecksums ? 1 : 0)
    case .freelistCount:
      let count = try meta(0, pager, i)
      registers[target] = .integer(count)
    case .autoVacuum:
      try open(pager, i)
      if pager.pageCount == 0 {
        registers[target] = .integer(Int64(pager.configuration.autoVacuum.rawValue))
        return
      }
      let largestRoot = try meta(4, pager, i)
      let isIncremental = try meta(7, pager, i)
      registers[target] = .integer(largestRoot == 0 ? 0 : isIncremental == 0 ? 1 : 2)
    case .dataVersion:
      try open(pager, i)
      registers[target] = .integer(Int64(bitPattern: pager.dataVersion))
    case .encoding: setText(target, state.settings.textEncoding.name)
    case .lockingMode: setText(target, pager.configuration.locksExclusively ? "exclusive" : "normal")
    case .recovery: setText(target, pager.configuration.recoversStrictly ? "strict" : "prefix")
    case .ioBackend:
      let environment = state.environment
      let backend = environment.backendName + (environment.backendReason.map { " (\($0))" } ?? "")
      setText(target, backend + (pager.directReadState.map { ", \($0)" } ?? ""))
    case .directReads: registers[target] = .boolean(pager.configuration.readsDirectly)
    case .concurrentIsolation: setText(target, (ConcurrentIsolation(rawValue: kept ?? 0) ?? .serializable).name)
    case .cacheSize: registers[target] = .integer(pager.configuration.cacheSize)
    case .synchronous: registers[target] = .integer(Int64(pager.configuration.synchronous.rawValue))
    case .walAutocheckpoint: registers[target] = .integer(Int64(pager.configuration.autocheckpointFrames))
    case .cacheSpill: registers[target] = .integer(pager.spillSize)
    case .queryOnly: registers[target] = .boolean(state.settings.isQueryOnly)
    case .maxPageCount: registers[target] = .integer(Int64(pager.configuration.pageCountMax))
    case .journalSizeLimit: registers[target] = .integer(pager.configuration.journalSizeLimit)
    case .walSizeLimit: registers[target] = .integer(pager.logSizeLimit)
    case .automaticIndex, .trustedSchema, .shortColumnNames: registers[target] = .integer(kept ?? 1)
    case .busyTimeout, .foreignKeys, .recursiveTriggers, .reverseUnordered, .ignoreCheckConstraints,
      .caseSensitiveLike, .tempStore, .secureDelete, .mmapSize, .threads, .writableSchema, .deferForeignKeys,
      .legacyAlterTable, .cellSizeCheck, .fullColumnNames, .countChanges, .shrinkMemory, .strictPragmas:
      registers[target] = .integer(kept ?? 0)
    }
  }

  private mutating func set(_ name: Setting, _ pager: Pager, _ value: Int64) throws(Fault) {
    if name == .synchronous, !state.isAutocommit {
      throw .error(.error, "Safety level may not be changed inside a transaction")
    }
    state.settings.values[name] = value
    switch name {
    case .pageSize:
      // As in SQLite, a size that is none, or that comes too late, changes nothing.
      if let size = Int(exactly: value) { _ = pager.setPageSize(size) }
    case .pageChecksums:
      // On and off come too late where there is a page, and then change nothing, as a page size does.
      if value < 2 { _ = pager.setChecksums(value == 1) } else { pager.verifiesChecksums = value == 3 }
    case .cacheSize:
      // Pages where positive, kibibytes where negative. Source: https://sqlite.org/pragma.html#pragma_cache_size
      let most = Int64(Int32.max)
      let bytes = value < 0 ? min(value == .min ? most : -value, most) * 1024 : min(value, most) * Int64(pager.pageSize)
      pager.setCacheBytes(Int(bytes))
      pager.setCacheSize(value)
    case .synchronous: pager.setSynchronous(Synchronous(rawValue: Int(clamping: value)) ?? .full)
    // As in SQLite, a number that no 32 bits hold is none.
    case .walAutocheckpoint: pager.setAutocheckpoint(frames: Int(Int32(exactly: max(value, 0)) ?? 0))
    case .lockingMode: pager.setLocking(exclusive: value != 0)
    case .recovery: pager.setRecovery(strict: value != 0)
    case .directReads: pager.setDirectReads(value != 0)
    case .journalSizeLimit: pager.setJournalSizeLimit(value)
    case .walSizeLimit: pager.setLogSizeLimit(value)
    case .cacheSpill:
      if value != Setting.spillsAsBefore { pager.setSpillSize(value) }
      // Whether pages spill is said for all databases, how many for one.
      state.settings.values[name] = value == 0 ? 0 : 1
      for database in state.databases { database?.pager.setSpilling(value != 0) }
    case .queryOnly: state.settings.isQueryOnly = value != 0
    case .busyTimeout: state.settings.values[name] = max(value, 0)
    case .autoVacuum:
      // Of a file that has pages, VACUUM changes it.
      if let mode = AutoVacuum(rawValue: Int(clamping: value)) { _ = try pager.setAutoVacuum(mode) }
    case .maxPageCount: if value > 0 { pager.limit(pageCount: UInt32(clamping: value)) }
    case .encoding:
      // Nothing may be stored yet.
      guard let encoding = TextEncoding(rawValue: UInt32(clamping: value)) else { break }
      for database in state.databases {
        if let pager = database?.pager, pager.pageCount > 0, try pager.meta(5) != 0 { return }
      }
      state.settings.textEncoding = encoding
      state.markCatalogsStale(.max)
    case .pageCount, .freelistCount, .dataVersion, .ioBackend,
      .foreignKeys, .recursiveTriggers, .reverseUnordered, .ignoreCheckConstraints, .caseSensitiveLike, .tempStore,
      .secureDelete, .mmapSize, .threads, .writableSchema, .deferForeignKeys, .automaticIndex,
      .legacyAlterTable, .trustedSchema, .cellSizeCheck, .fullColumnNames, .shortColumnNames, .countChanges,
      .strictPragmas, .concurrentIsolation:
      break
    case .shrinkMemory: state.shrinkMemory()
    }
  }

  /// Gives the pager a snapshot, which ends with this statement.
  private mutating func open(_ pager: Pager, _ i: Instruction) throws(Fault) {
    uses |= 1 << UInt64(i.p1)
    if state.isConcurrent { try state.joinConcurrent(Int(i.p1), pager) }
    try pager.beginRead()
    pager.beginOperation()
  }

  private mutating func meta(_ index: Int, _ pager: Pager, _ i: Instruction) throws(Fault) -> Int64 {
    try open(pager, i)
    pager.noteHeaderRead()
    return pager.pageCount == 0 ? 0 : Int64(try pager.meta(index))
  }

  // MARK: Checks

  mutating func checkIntegrity(_ i: Instruction) throws(Fault) {
    let index = Int(i.p1)
    let pager = try state.pager(index)
    try openWholeFile(index, pager)
    let most = Int(registers[i.p3].asInteger)
    let roots = program.integerLists[Int(i.p4)].map { PageNumber(UInt32(bitPattern: $0)) }
    // The walk remembers how far it has come before a wait.
    let check = integrityCheck ?? IntegrityCheck(pager, roots: roots, most: most)
    integrityCheck = check
    do {
      try check.run()
    } catch {
      if case .failure = error { integrityCheck = nil }
      throw error
    }
    integrityCheck = nil
    registers[i.p3] = .integer(Int64(most - check.complaints.count))
    if check.complaints.isEmpty {
      registers[i.p2] = .null
    } else {
      let name = index < state.databases.count ? state.databases[index]?.name : nil
      setText(i.p2, "*** in database \(name ?? "temp") ***\n" + check.complaints.joined(separator: "\n"))
    }
  }

  mutating func resetCount() {
    state.figures.changes = changes
    state.figures.totalChanges += changes
    changes = 0
  }
}
