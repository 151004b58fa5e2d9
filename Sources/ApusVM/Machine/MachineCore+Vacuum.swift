// VACUUM and VACUUM INTO: the instruction goes on with one run after each wait, and looks for interrupts between pieces.

import ApusBase
import ApusStorage

extension MachineCore {
  mutating func vacuum(_ i: Instruction) throws(Fault) {
    if vacuumRun == nil { try beginVacuum(i) }
    guard let run = vacuumRun else { return }
    while try !run.advance() {
      if state.isInterrupted { throw .error(.interrupt) }
    }
    if let target = vacuumTarget { try target.shutDown() }
    vacuumRun = nil
    vacuumTarget = nil
    if i.p2 == 0 {
      schemaChanged |= 1 << UInt64(i.p1)
      state.markCatalogsStale(1 << UInt64(i.p1))
    }
  }

  private mutating func beginVacuum(_ i: Instruction) throws(Fault) {
    guard state.isAutocommit else { throw .error(.error, "cannot VACUUM from within a transaction") }
    if state.active.contains(where: { $0 != reference }) {
      throw .error(.error, "cannot VACUUM - SQL statements in progress")
    }
    let index = Int(i.p1)
    let pager = try state.pager(index)
    uses |= 1 << UInt64(index)
    if i.p2 == 0 {
      if state.isQueryOnly { throw .error(.readOnly) }
      try state.beginWrite(index, pager, exclusive: false)
      writes |= 1 << UInt64(index)
    } else {
      guard registers[i.p2].kind == .text else { throw .error(.error, "non-text filename") }
      try pager.beginRead()
    }
    // What the others would read from here on is half one database and half another.
    state.vacuuming = reference
    pager.beginOperation()
    var configuration = Pager.Configuration()
    configuration.synchronous = pager.configuration.synchronous
    configuration.lockByteOffset = pager.configuration.lockByteOffset
    let shape = try newShape(of: pager)
    configuration.pageSize = shape.pageSize
    configuration.reservedBytes = pager.pageSize - pager.usableSize
    configuration.autoVacuum = shape.autoVacuum
    let target: Pager
    if i.p2 == 0 {
      target = Pager.temporary(environment: state.environment, queue: state.queue, configuration: configuration)
    } else {
      let path = registers[i.p2].bytes.string
      // A repaired name is another file's.
      guard registers[i.p2].bytes.isEqual(to: path) else { throw .error(.cannotOpen, cause: "the name is not UTF-8") }
      target = try openVacuumFile(path, configuration)
      if pager.hasChecksums { _ = target.setChecksums(true) }
      vacuumTarget = target
    }
    vacuumRun = VacuumRun(source: pager, target: target, replaces: i.p2 == 0)
  }

  /// What PRAGMA page_size and PRAGMA auto_vacuum have asked for since the file was made.
  private func newShape(of pager: Pager) throws(Fault) -> (pageSize: Int, autoVacuum: AutoVacuum) {
    var pageSize = pager.pageSize
    let isFixed = pager.isInMemory || pager.journalMode == .wal
    if !isFixed, let asked = state.settings.values[.pageSize], let size = Int(exactly: asked), Pager.isPageSize(size) {
      pageSize = size
    }
    var autoVacuum = pager.configuration.autoVacuum
    if pager.pageCount > 0 {
      autoVacuum = try pager.meta(4) == 0 ? .none : try pager.meta(7) == 0 ? .full : .incremental
    }
    if let asked = state.settings.values[.autoVacuum], let mode = AutoVacuum(rawValue: Int(clamping: asked)) {
      autoVacuum = mode
    }
    return (pageSize, autoVacuum)
  }

  private func openVacuumFile(_ path: String, _ configuration: Pager.Configuration) throws(Fault) -> Pager {
    if path.hasPrefix("file:") { throw .error(.error, "not supported: a URI in VACUUM INTO") }
    do throws(EngineError) {
      if let size = try state.environment.size(of: state.environment.fullPath(path)), size > 0 {
        throw EngineError(.error, "output file already exists", object: path)
      }
      return try Pager(environment: state.environment, queue: state.queue, path: path, configuration: configuration)
    } catch {
      throw .failure(error)
    }
  }

  /// The statement ends: what was not done is given up.
  mutating func dropVacuum() {
    if vacuumRun == nil { return }
    vacuumRun = nil
    vacuumTarget?.close()
    vacuumTarget = nil
  }
}
