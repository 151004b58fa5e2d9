// Instructions behind pragmas: journals, checkpoints, settings, the integrity check.

import ApusBase
import ApusStorage

extension MachineCore {
  mutating func checkpoint(_ i: Instruction) throws(Fault) {
    throw .error(.error, "PRAGMA wal_checkpoint is not supported yet")
  }

  mutating func setJournalMode(_ i: Instruction) throws(Fault) {
    throw .error(.error, "PRAGMA journal_mode is not supported yet")
  }

  mutating func checkIntegrity(_ i: Instruction) throws(Fault) {
    throw .error(.error, "PRAGMA integrity_check is not supported yet")
  }

  mutating func setting(_ i: Instruction) throws(Fault) {
    guard let name = Setting(rawValue: i.p3) else { throw .error(.internal, "an unknown setting") }
    let pager = try state.pager(Int(i.p1))
    let isSet = i.p5 & 1 != 0
    switch name {
    case .pageSize:
      if !isSet { registers[i.p2] = .integer(Int64(pager.pageSize)) }
    case .pageCount:
      uses |= 1 << UInt64(i.p1)
      try pager.beginRead()
      registers[i.p2] = .integer(Int64(pager.pageCount))
    case .dataVersion: registers[i.p2] = .integer(Int64(bitPattern: pager.dataVersion))
    case .queryOnly:
      if isSet { state.settings.isQueryOnly = registers[i.p2].truth ?? false }
      registers[i.p2] = .boolean(state.settings.isQueryOnly)
    default:
      if isSet { state.settings.values[name] = registers[i.p2].asInteger }
      registers[i.p2] = .integer(state.settings.values[name] ?? 0)
    }
  }

  mutating func resetCount() {
    state.figures.changes = changes
    state.figures.totalChanges += changes
    changes = 0
  }
}
