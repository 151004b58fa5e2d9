// How a request completes: as a whole, in part, late, or not at all. The rule of what a part means is the engine's own
// (`TransferStep`), as in the queues of the real world.

import ApusBase
import ApusIO

extension SimulatedDisk {
  private static let lateNanosecondsMax = 500_000_000
  private static let stallSecondsMin = 30, stallSecondsMax = 300

  /// How long the request is held back.
  func drawDelay() -> UInt64 {
    let now = clock.monotonicNanoseconds
    if faults.meets(.stall) {
      faults.noteRetried(.stall)
      let seconds = Self.stallSecondsMin + faults.choices.below(Self.stallSecondsMax - Self.stallSecondsMin, .delay)
      trace.add("stall", "\(seconds)")
      return now + UInt64(seconds) * 1_000_000_000
    }
    if faults.meets(.delay) {
      faults.noteRetried(.delay)
      return now + UInt64(faults.choices.below(Self.lateNanosecondsMax, .delay))
    }
    return 0
  }

  /// When a request of a dropped statement may complete.
  func drawLateness() -> UInt64 {
    guard faults.isActive, faults.choices.oneIn(2, .fault) else { return 0 }
    faults.noteRetried(.delay)
    let longest = faults.choices.oneIn(3, .isLate) ? Self.lateNanosecondsMax : Self.lateNanosecondsMax / 10
    return clock.monotonicNanoseconds + UInt64(faults.choices.below(longest, .delay))
  }

  /// One of its requests has failed: the others land when their statement has been told of that, if it does not wait for them.
  private func holdBackRequests(of connection: Int) {
    for place in inFlight.indices where inFlight[place].actor == connection {
      inFlight[place].notBefore = max(inFlight[place].notBefore, drawLateness())
    }
  }

  /// Carries out a request in flight, or a part of it.
  func advance(_ place: Int) {
    var request = inFlight[place]
    let kind: TransferStep.Kind, byteCount: Int
    switch request.kind {
    case .read(_, _, let buffer): (kind, byteCount) = (.read, buffer.count)
    case .write(_, _, let views): (kind, byteCount) = (.write, views.reduce(0) { $0 + $1.count })
    case .sync, .syncDirectory: (kind, byteCount) = (.sync, 0)
    }
    let before = request.done
    let outcome = carryOut(request, byteCount)
    switch TransferStep.after(outcome.code, of: kind, byteCount: byteCount, done: &request.done) {
    case .settled(let count):
      if let fault = outcome.fault { faults.noteTakenForWhole(fault, count, of: byteCount) }
      finish(place, .done(count))
    case .failed(let number): finish(place, .failed(Self.error(request, number)))
    case .goesOn:
      if let fault = outcome.fault {
        faults.noteRetried(fault)
        trace.add("short", request.actor < 0 ? 0 : UInt64(request.actor), before, request.done)
      }
      inFlight[place] = request
    case .notCarriedOut:
      if let fault = outcome.fault { faults.noteRetried(fault) }
      trace.add("again", request.ticket.rawValue, before, Int(outcome.code))
      finish(place, carryOutWaiting(request, byteCount))
    }
  }

  /// By calls that wait, until all of it is done or one fails.
  private func carryOutWaiting(_ request: DiskRequest, _ byteCount: Int) -> IOResult {
    var request = request
    while true {
      let code = carryOut(request, byteCount, isPlain: true).code
      if code < 0 { return .failed(Self.error(request, -code)) }
      request.done += Int(code)
      guard case .write = request.kind, request.done < byteCount else { return .done(request.done) }
    }
  }

  private func finish(_ place: Int, _ result: IOResult) {
    let request = inFlight.remove(at: place)
    results[request.ticket] = result
    if case .failed(let error) = result {
      trace.add("fault", request.ticket.rawValue, request.actor, Int(error.code.rawValue))
      if faults.comeInRows { holdBackRequests(of: request.actor) }
      // Who uses what a failed read has left is to notice.
      if case .read(_, _, let buffer) = request.kind { buffer.fill(0, buffer.count, with: 0xa5) }
      return
    }
    if case .write(let file, let offset, let views) = request.kind {
      faults.noteWritten(offset..<offset + views.reduce(0) { $0 + $1.count }, file, by: request.actor)
      if file.role == .log, views.contains(where: { $0.array.contains { $0 != 0 } }) {
        noteLogWrite(of: request.actor, request.process)
        logLimit?.note(file.inode, offset, views.flatMap(\.array), by: request.actor)
      }
    }
  }

  private static func error(_ request: DiskRequest, _ number: Int32) -> EngineError {
    switch request.kind {
    case .read: SystemError.make(.ioErrorRead, call: "read", errno: number, path: request.path)
    case .write: SystemError.make(.ioErrorWrite, call: "write", errno: number, path: request.path)
    case .sync: SystemError.make(.ioErrorFsync, call: "fdatasync", errno: number, path: request.path)
    case .syncDirectory: SystemError.make(.ioErrorDirectoryFsync, call: "fsync", errno: number, path: request.path)
    }
  }

  /// - Parameter isPlain: nothing gets into its way.
  /// - Returns: bytes transferred, or -errno; and the fault that must be made good below the statement.
  private func carryOut(_ request: DiskRequest, _ byteCount: Int, isPlain: Bool = false) -> (code: Int32, fault: FaultKind?) {
    if !isPlain, faults.meets(.notCarriedOut) {
      let numbers = [SystemErrorNumber.interrupted, SystemErrorNumber.again, SystemErrorNumber.cancelled]
      return (-faults.choices.pick(numbers, .errorNumber), .notCarriedOut)
    }
    switch request.kind {
    case .read(let file, let offset, let buffer):
      let rest = buffer.slice(request.done, buffer.count - request.done)
      return read(file, at: offset + request.done, into: rest, request, isPlain)
    case .write(let file, let offset, let views):
      // The disk reads the caller's memory now, at completion: a buffer given back too early shows.
      var bytes: [UInt8] = []
      bytes.reserveCapacity(byteCount)
      for view in views { bytes.append(contentsOf: view.array) }
      if request.done > 0 { bytes.removeFirst(request.done) }
      return write(file, at: offset + request.done, bytes, request, isPlain)
    case .sync(let file, let upTo, let handle): return (sync(file, upTo, handle, request), nil)
    case .syncDirectory(let directory, let upTo): return (sync(directory, upTo, request), nil)
    }
  }

  // MARK: reads

  private func read(
    _ file: DiskFile, at offset: Int, into buffer: MutableByteView, _ request: DiskRequest, _ isPlain: Bool
  ) -> (code: Int32, fault: FaultKind?) {
    var place = offset
    var count = max(0, min(buffer.count, file.current.count - offset))
    var fault: FaultKind?
    if !isPlain, count > 0 {
      let range = offset..<offset + count
      if faults.meets(.stickyReadError, on: file.role) {
        faults.noteFailure(.stickyReadError, of: request, file)
        badSectors.insert(sector(file, range.lowerBound + faults.choices.below(count, .badSector)))
        return (-SystemErrorNumber.io, nil)
      }
      if hasBadSector(file, range) {
        faults.noteFailure(.stickyReadError, of: request, file)
        return (-SystemErrorNumber.io, nil)
      }
      if faults.meets(.readError, on: file.role) {
        faults.noteFailure(.readError, of: request, file)
        return (-SystemErrorNumber.io, nil)
      }
      if count > 1, faults.meets(.shortRead, on: file.role) {
        count = 1 + faults.choices.below(count - 1, .transferPart)
        fault = .shortRead
      }
      // Another page of the file, where pages are read; what checks itself otherwise is told in SPEC.md.
      if faults.transferDamage == .misdirectedRead, file.role == .database || file.role == .log, buffer.count >= 512,
        offset >= buffer.count, faults.meets(.misdirectedRead)
      {
        faults.noteForAll(.misdirectedRead)
        place = offset - buffer.count
      }
    }
    buffer.copy(file.current, from: place, count: count)
    trace.add("read", file.inode, place, count)
    return (Int32(count), fault)
  }

  private func sector(_ file: DiskFile, _ offset: Int) -> UInt64 { file.inode << 32 | UInt64(offset / sectorByteCount) }

  func hasBadSector(_ file: DiskFile, _ range: Range<Int>) -> Bool {
    if badSectors.isEmpty || !faults.isActive || range.isEmpty { return false }
    return (sector(file, range.lowerBound)...sector(file, range.upperBound - 1)).contains { badSectors.contains($0) }
  }

  // MARK: writes

  private func write(
    _ file: DiskFile, at offset: Int, _ bytes: [UInt8], _ request: DiskRequest, _ isPlain: Bool
  ) -> (code: Int32, fault: FaultKind?) {
    let range = offset..<offset + bytes.count
    // What is told is the request, wherever in it the failure was.
    let start = offset - request.done
    let place = start..<start + 1
    var bytes = bytes
    var fault: FaultKind?
    if faults.isReadOnly {
      faults.noteFailure(.readOnlyFileSystem, of: request, file, place)
      return (-SystemErrorNumber.readOnly, nil)
    }
    if let (room, kind, number) = room(for: range, in: file) {
      if room == 0 {
        faults.noteFailure(kind, of: request, file, place)
        return (-number, nil)
      }
      // What there is room for is written; the rest is asked for again, and told then.
      bytes.removeLast(bytes.count - room)
    } else if !isPlain, !bytes.isEmpty {
      let isTurn = !request.isAbandoned && faults.meetsTurn(.writeError, of: request.actor)
      if isTurn || faults.meets(.writeError, on: file.role) {
        faults.noteFailure(.writeError, of: request, file, place)
        let kept = faults.choices.below(bytes.count / sectorByteCount + 1, .transferPart) * sectorByteCount
        if kept > 0 { change(file, .write(offset: offset, bytes: Array(bytes.prefix(kept)))) }
        return (-SystemErrorNumber.io, nil)
      }
      if bytes.count > 1, faults.meets(.shortWrite, on: file.role) {
        bytes.removeLast(1 + faults.choices.below(bytes.count - 1, .transferPart))
        fault = .shortWrite
      }
    }
    if let damage = faults.transferDamage, damage != .misdirectedRead, file.role == .database || file.role == .log {
      if faults.meets(.lostWrite) {
        faults.noteForAll(.lostWrite)
        return (Int32(bytes.count), nil)
      }
      if offset >= bytes.count, faults.meets(.misdirectedWrite) {
        faults.noteForAll(.misdirectedWrite)
        change(file, .write(offset: offset - bytes.count, bytes: bytes))
        return (Int32(bytes.count), nil)
      }
    }
    if !badSectors.isEmpty, !bytes.isEmpty {
      // A disk puts a spare sector in the place of a bad one that is written.
      for bad in sector(file, offset)...sector(file, offset + bytes.count - 1) { badSectors.remove(bad) }
    }
    change(file, .write(offset: offset, bytes: bytes))
    return (Int32(bytes.count), fault)
  }

  /// How much of `range` there is room for, where that is not all.
  private func room(for range: Range<Int>, in file: DiskFile) -> (room: Int, kind: FaultKind, errno: Int32)? {
    let growth = range.upperBound - max(file.current.count, range.lowerBound)
    if let limit = faults.fileSizeLimit, range.upperBound > max(limit, file.current.count) {
      return (max(0, max(limit, file.current.count) - range.lowerBound), .fileTooLarge, SystemErrorNumber.fileTooLarge)
    }
    if let limit = faults.spaceLimit, growth > 0 {
      let free = limit - usedByteCount
      if growth > free {
        let isQuota = limit % 2 == 1
        return (
          max(0, range.count - growth + max(0, free)), .diskFull, isQuota ? SystemErrorNumber.quota : SystemErrorNumber.noSpace
        )
      }
    }
    return nil
  }

  // MARK: syncs

  private func sync(_ file: DiskFile, _ upTo: UInt64, _ handle: UInt64, _ request: DiskRequest) -> Int32 {
    syncCount += 1
    if faults.liesAboutSyncs {
      faults.noteRetried(.lyingFlush)
      return 0
    }
    // Whether or not faults go on: what is owed for one that has been is told all the same.
    if file.untoldHandles.remove(handle) != nil {
      noteFailedSync(.syncKeepsView, of: request, file)
      return -failedSyncNumber(upTo)
    }
    func fails(_ kind: FaultKind) -> Bool {
      request.isAbandoned ? faults.meets(kind, onAbandonedOf: file.role) : faults.meets(kind, on: file.role)
    }
    if fails(.syncKeepsView) {
      fail(file, upTo, keepsView: true)
      tellOthers(file, handle)
      noteFailedSync(.syncKeepsView, of: request, file)
      return -failedSyncNumber(upTo)
    }
    if fails(.syncToldOnce) {
      fail(file, upTo, keepsView: true, toldOnlyTo: request.process)
      noteFailedSync(.syncToldOnce, of: request, file)
      return -failedSyncNumber(upTo)
    }
    if fails(.syncRevertsView) {
      fail(file, upTo, keepsView: false)
      tellOthers(file, handle)
      noteFailedSync(.syncRevertsView, of: request, file)
      return -failedSyncNumber(upTo)
    }
    noteTurningPoint()
    var kept: [VolatileChange] = []
    for change in file.volatile {
      if change.sequence <= upTo {
        DiskFile.apply(change.kind, to: &file.durable)
      } else {
        kept.append(change)
      }
    }
    file.volatile = kept
    if kept.isEmpty, file.untrusted.isEmpty { file.hasHole = false }
    trace.add("sync", file.inode, file.durable.count, kept.count)
    return 0
  }

  /// A full disk may be found out as late as at the sync: what is lost is lost all the same.
  private func failedSyncNumber(_ upTo: UInt64) -> Int32 { upTo % 3 == 0 ? SystemErrorNumber.noSpace : SystemErrorNumber.io }

  /// One sync of a log serves the commits of all connections of its process.
  private func noteFailedSync(_ kind: FaultKind, of request: DiskRequest, _ file: DiskFile) {
    faults.noteFailure(kind, of: request, file)
    if file.role == .log { for open in handles.values where open.file === file { faults.noteSharedFailure(kind, of: open.client) } }
  }

  /// Everybody who has the file open now is told once, by the next sync.
  private func tellOthers(_ file: DiskFile, _ handle: UInt64) {
    for (other, open) in handles where other != handle && open.file === file { file.untoldHandles.insert(other) }
  }

  /// A failed sync: what it was to cover counts as written and never will be, or is gone for readers too.
  private func fail(_ file: DiskFile, _ upTo: UInt64, keepsView: Bool, toldOnlyTo process: SimulatedProcess? = nil) {
    // What an earlier one has left in the view alone counts as written, and stays there.
    let keepsView = keepsView || !file.untrusted.isEmpty
    let lost = file.volatile.filter { $0.sequence <= upTo }
    file.volatile.removeAll { $0.sequence <= upTo }
    if file.role == .log { noteLost(lost, onlyTo: process) }
    trace.add("syncfail", file.inode, lost.count, keepsView ? 1 : 0)
    if keepsView {
      file.hasHole = file.hasHole || !lost.isEmpty
      for change in lost {
        switch change.kind {
        case .write(let offset, let bytes): file.untrusted.append(offset..<offset + bytes.count)
        // What was to go is there as long as nobody has cut it off again.
        case .truncate(let size): file.untrusted.append(size..<max(size + 1, file.durable.count))
        }
      }
    } else {
      faults.hasRevertedView = true
      if file.role == .log, !lost.isEmpty {
        for open in handles.values where open.file === file { faults.noteReverted(open.client) }
      }
      file.current = file.durable
      for change in file.volatile { DiskFile.apply(change.kind, to: &file.current) }
    }
  }

  private func sync(_ directory: String, _ upTo: UInt64, _ request: DiskRequest) -> Int32 {
    syncCount += 1
    if faults.liesAboutSyncs { return 0 }
    if faults.meets(.syncRevertsView) {
      faults.noteFailure(.syncRevertsView, of: request, nil)
      // That of a log's first commits.
      for open in handles.values where open.file.role == .log { faults.noteSharedFailure(.syncRevertsView, of: open.client) }
      return -SystemErrorNumber.io
    }
    noteTurningPoint()
    var kept: [(sequence: UInt64, path: String, file: DiskFile?)] = []
    for change in volatileNames {
      if change.sequence <= upTo && Self.directory(of: change.path) == directory {
        durableNames[change.path] = change.file
        noteTurningPoint(change.path)
      } else {
        kept.append(change)
      }
    }
    volatileNames = kept
    trace.add("syncdir", directory)
    return 0
  }
}
