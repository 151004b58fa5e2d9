// The end of power and the end of a process: what of the volatile side survives, and whose handles die.

import ApusBase
import ApusIO

/// An open file of the virtual world.
struct OpenHandle {
  var path: String
  var file: DiskFile
  var process: SimulatedProcess
  /// Who has opened it; -1 none of the clients.
  var client: Int
}

/// What a power cut leaves: files by their names.
struct Platter {
  var names: [String: DiskFile]
  /// Of every file, with a name or without.
  var contents: [(file: DiskFile, content: [UInt8])] = []
  /// How many files are longer than what has been written to them.
  var sizesAhead = 0

  init(names: [String: DiskFile]) { self.names = names }

  func content(of path: String) -> [UInt8]? {
    guard let file = names[path] else { return nil }
    return contents.first { $0.file === file }?.content ?? file.durable
  }
}

/// A process of the virtual world: what it has open goes with it.
public final class SimulatedProcess: @unchecked Sendable {
  public internal(set) var isAlive = true

  public init() {}
}

extension SimulatedDisk {
  /// How much of what was not synced a power cut keeps.
  public enum Survival: CaseIterable, Sendable { case nothing, everything, someTorn, prefix, newestFirst }

  /// Makes everything durable, as a clean unmount does: the state that a run starts from.
  public func settle() {
    while completeOne() {}
    for file in allFiles() {
      file.durable = file.current
      file.volatile = []
    }
    durableNames = names
    volatileNames = []
  }

  /// True where a power cut now leaves the disk a choice.
  /// Records of a journal are on their way, and a power cut may leave some of them.
  var hasVolatileJournal: Bool { names.values.contains { $0.role == .journal && !$0.volatile.isEmpty } }

  var hasVolatileChanges: Bool {
    !volatileNames.isEmpty || names.values.contains { !$0.volatile.isEmpty }
      || inFlight.contains { if case .write = $0.kind { true } else { false } }
  }

  /// True where somebody who ends now leaves a name that no sync has covered, or a journal that has to be played back.
  var isInDoubt: Bool {
    !volatileNames.isEmpty || names.values.contains { file in
      file.role == .journal && file.current.first.map { $0 != 0 } ?? false
    }
  }

  /// True where a sync is on its way that has something to make durable.
  var isSyncDue: Bool {
    inFlight.contains { request in
      switch request.kind {
      case .sync(let file, _, _): !file.volatile.isEmpty
      case .syncDirectory: !volatileNames.isEmpty
      case .read, .write: false
      }
    }
  }

  /// True where something that the disk has owned up to losing may be needed still.
  var hasUntrustedFiles: Bool { allFiles().contains { !$0.untrusted.isEmpty || $0.hasHole } }

  /// What the platter holds where the power goes now; `choices` says what survives, as far as `survival` leaves it open.
  func platter(_ survival: Survival, _ choices: ChoiceStream) -> Platter {
    var platter = Platter(names: durableNames)
    var changes = allFiles().map { file in (file, file.volatile.map(\.kind)) }
    // A write in flight may have reached the platter or not.
    for request in inFlight {
      guard case .write(let file, let offset, let views) = request.kind else { continue }
      var bytes: [UInt8] = []
      for view in views { bytes.append(contentsOf: view.array) }
      if let index = changes.firstIndex(where: { $0.0 === file }) {
        changes[index].1.append(.write(offset: offset, bytes: bytes))
      }
    }
    for (file, kinds) in changes {
      let sizeBefore = file.current.count
      var content = file.durable
      for kind in chosen(kinds, survival, choices) {
        if case .someTorn = survival {
          applyTorn(kind, to: &content, choices)
        } else {
          DiskFile.apply(kind, to: &content)
        }
      }
      if content.count < sizeBefore, choices.oneIn(faults.rates[.sizeAhead], .sizeAhead) {
        // The size went to the platter before the data.
        platter.sizesAhead += 1
        let size = content.count + choices.below(sizeBefore - content.count + 1, .keptChanges)
        DiskFile.apply(.truncate(size: size), to: &content)
      }
      platter.contents.append((file, content))
    }
    let keptNames =
      switch survival {
      case .nothing: 0
      case .everything: volatileNames.count
      case .someTorn, .prefix, .newestFirst: choices.below(volatileNames.count + 1, .keptNames)
      }
    for change in volatileNames.prefix(keptNames) { platter.names[change.path] = change.file }
    return platter
  }

  /// Cuts the power: what was not durable survives in part, as `survival` says; all handles die.
  public func cutPower(_ survival: Survival) {
    trace.add("cut", "\(survival)")
    let platter = platter(survival, survivors)
    for _ in 0..<platter.sizesAhead { faults.noteRetried(.sizeAhead) }
    for (file, content) in platter.contents {
      file.durable = content
      file.current = content
      file.volatile = []
      file.locks = []
      file.untrusted = []
      file.hasHole = false
      file.untoldHandles = []
    }
    durableNames = platter.names
    names = durableNames
    volatileNames = []
    inFlight = []
    results = [:]
    sharedMemories = [:]
    handles = [:]
    generation += 1
  }

  private func chosen(
    _ kinds: [VolatileChange.Kind], _ survival: Survival, _ choices: ChoiceStream
  ) -> ArraySlice<VolatileChange.Kind> {
    switch survival {
    case .nothing: []
    case .everything, .someTorn: kinds[...]
    case .prefix: kinds.prefix(choices.below(kinds.count + 1, .keptChanges))
    case .newestFirst: kinds.suffix(choices.below(kinds.count + 1, .keptChanges))
    }
  }

  private func applyTorn(_ kind: VolatileChange.Kind, to content: inout [UInt8], _ choices: ChoiceStream) {
    if choices.oneIn(3, .losesChange) { return }
    guard case .write(let offset, let bytes) = kind, choices.oneIn(2, .tears) else {
      DiskFile.apply(kind, to: &content)
      return
    }
    for part in sectors(of: offset..<offset + bytes.count) where !choices.oneIn(2, .losesSector) {
      let piece = Array(bytes[part.lowerBound - offset..<part.upperBound - offset])
      DiskFile.apply(.write(offset: part.lowerBound, bytes: piece), to: &content)
    }
  }

  /// The pieces of a range that lie in one sector each.
  private func sectors(of range: Range<Int>) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(range.upperBound, start / sectorByteCount * sectorByteCount + sectorByteCount)
      pieces.append(start..<end)
      start = end
    }
    return pieces
  }

  /// Ends a process where it stands: its locks and handles go, the page cache stays. A write that was under way has happened as a
  /// whole, in part or not at all.
  func kill(_ process: SimulatedProcess) {
    process.isAlive = false
    trace.add("kill", UInt64(handles.values.count { $0.process === process }), inFlight.count, 0)
    for request in inFlight where request.process === process {
      guard case .write(let file, let offset, let views) = request.kind else { continue }
      var bytes: [UInt8] = []
      for view in views { bytes.append(contentsOf: view.array) }
      let kept =
        switch faults.choices.below(3, .killedWrite) {
        case 0: 0
        case 1: bytes.count
        default: faults.choices.below(bytes.count + 1, .killedPart)
        }
      if kept > request.done {
        change(file, .write(offset: offset + request.done, bytes: Array(bytes[request.done..<kept])))
      }
    }
    for request in inFlight where request.process === process { results[request.ticket] = nil }
    inFlight.removeAll { $0.process === process }
    let owners = Set(handles.filter { $0.value.process === process }.keys)
    for owner in owners.sorted() {
      // By the handle: a file that has lost its name, for good, is found in no other way.
      handles[owner]?.file.locks.removeAll { $0.owner == owner }
      handles[owner] = nil
    }
    for (path, shared) in sharedMemories.sorted(by: { $0.key < $1.key }) {
      if shared.isWritten(by: process), faults.choices.oneIn(2, .tearsIndex) {
        trace.add("torn", path)
        shared.tearHeader()
      }
      shared.leave(process)
      if shared.openCount == 0 { sharedMemories[path] = nil }
    }
  }
}
