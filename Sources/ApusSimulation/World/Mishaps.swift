// What happens to the world as a whole while connections work: disks that fill up and are freed, processes that end, clocks that
// jump, other programs with locks, files that rot or are changed by somebody else.

import ApusBase
import ApusIO

final class Mishaps {
  private let world: World
  private let foreigner: ForeignHolder
  private var step = 0
  private var episodeEnd = 0
  private var damageStep: Int?
  /// A process ends soon after something has failed.
  private var killStep: Int?
  private var failureCount = 0
  private var damageKind = FaultKind.databaseRot

  private static let episodeStepsMax = 150, stepsToKillMax = 80
  /// One failure in so many is followed by the end of a process, where processes end.
  private static let killAfterFailureOneIn = 8
  /// One step in so many where a process may leave a name that no sync has covered, or a journal that is hot.
  private static let killInDoubtOneIn = 150
  private static let hourMilliseconds = 3_600_000
  private static let suspendSecondsMax = 600
  /// Most neighbouring sectors that rot together.
  private static let rottenSectorsMax = 8
  /// Where the file's header says how many bytes at the end of each page are reserved, how many checksums take, and what they say
  /// on page 1.
  private static let reservedByteCountOffset = 20, checksumFieldByteCount = 8
  private static let checksumMark = "aPc1".utf8

  init(_ world: World) {
    self.world = world
    foreigner = ForeignHolder(world.disk)
  }

  private var disk: SimulatedDisk { world.disk }
  private var faults: FaultInjector { world.faults }
  private var isLog: Bool { world.profile.journal == .wal }

  private var choices: ChoiceStream { faults.choices }
  private func happens(_ kind: FaultKind) -> Bool { faults.meets(kind) }

  /// One step of the world.
  /// - Returns: the number of the process that ends now.
  func step(processCount: Int) throws(Finding) -> Int? {
    step += 1
    foreigner.step()
    if step == damageStep { damage() }
    if faults.rates.isEmpty { return nil }
    if faults.hasEpisode {
      if step >= episodeEnd { endEpisode() }
    } else {
      startEpisode()
    }
    if happens(.foreignHolder) {
      faults.noteRetried(.foreignHolder)
      foreigner.take(path: World.path, isLog: isLog)
    }
    if happens(.strayClose) { try closeStray() }
    if happens(.clockStep) { stepClock() }
    if faults.failureCount > failureCount {
      failureCount = faults.failureCount
      if killStep == nil, faults.rates[.processKill] > 0, choices.oneIn(Self.killAfterFailureOneIn, .killsAfterFailure) {
        killStep = step + 1 + choices.below(Self.stepsToKillMax, .killStep)
      }
    }
    if world.profile.killsInDoubt, faults.isActive, disk.isInDoubt, choices.oneIn(Self.killInDoubtOneIn, .killsInDoubt) {
      killStep = step
    }
    let isKillDue = killStep.map { step >= $0 } ?? false
    if isKillDue { killStep = nil }
    // A process that ends while another has the disk full of it leaves nothing that could be told apart.
    if isKillDue || happens(.processKill) {
      faults.noteRetried(.processKill)
      return choices.below(processCount, .killedProcess)
    }
    return nil
  }

  // MARK: for a while

  private func startEpisode() {
    let room = choices.below(8 * world.profile.pageSize, .episodeRoom)
    if happens(.diskFull) {
      faults.spaceLimit = disk.usedByteCount + room
    } else if happens(.fileTooLarge) {
      let largest = disk.names.values.map(\.current.count).max() ?? 0
      faults.fileSizeLimit = largest + room
    } else if happens(.readOnlyFileSystem) {
      faults.isReadOnly = true
    } else {
      return
    }
    disk.trace.add("episode", "\(faults.spaceLimit ?? 0) \(faults.fileSizeLimit ?? 0) \(faults.isReadOnly)")
    episodeEnd = step + 1 + choices.below(Self.episodeStepsMax, .episodeSteps)
  }

  private func endEpisode() {
    faults.spaceLimit = nil
    faults.fileSizeLimit = nil
    faults.isReadOnly = false
  }

  /// The world is as it should be.
  func endAll() {
    endEpisode()
    foreigner.release()
    disk.badSectors = []
    for place in disk.inFlight.indices { disk.inFlight[place].notBefore = 0 }
  }

  /// From now on syncs answer and do nothing; the era ends with a cut.
  func drawLie() {
    guard happens(.lyingFlush) else { return }
    faults.liesAboutSyncs = true
  }

  // MARK: at once

  /// A process opens and closes the file once more: the locks of its other handles stay.
  private func closeStray() throws(Finding) {
    guard let content = disk.file(named: World.path) else { return }
    faults.noteRetried(.strayClose)
    let before = content.locks.count
    guard let owner = content.locks.first?.owner, let handle = disk.handles[owner] else { return }
    let stray = SimulatedFile(
      path: World.path, content: content, isWritable: true, disk: disk, process: handle.process)
    stray.close()
    if content.locks.count != before {
      throw Finding(oracle: .leak, text: "closing one handle of a file has taken locks of another")
    }
  }

  private func stepClock() {
    faults.noteRetried(.clockStep)
    if choices.oneIn(3, .clockKind) {
      world.clock.monotonicNanoseconds += UInt64(choices.below(Self.suspendSecondsMax, .suspendTime)) * 1_000_000_000
    } else {
      let hours = choices.below(3, .clockHours) - 1
      world.clock.wallOffsetMilliseconds += Int64(hours * Self.hourMilliseconds)
    }
  }

  // MARK: damage

  /// Draws what becomes of the files in the last era, and when.
  func drawDamage(steps: Int) {
    let kinds: [FaultKind] = [
      .databaseRot, .logRot, .misdirectedWrite, .misdirectedRead, .lostWrite, .outsideChange,
    ].filter { faults.rates[$0] > 0 }
    if kinds.isEmpty || steps == 0 { return }
    damageKind = choices.pick(kinds, .damageKind)
    damageStep = step + 1 + choices.below(steps, .damageStep)
  }

  private func damage() {
    disk.trace.add("damage", damageKind.name)
    // An attached file has none.
    let isTold = world.profile.hasChecksums && !world.profile.attaches
    switch damageKind {
    case .databaseRot:
      faults.noteForAll(.databaseRot)
      for _ in 0...choices.below(5, .rotCount) { rot(World.path) }
      world.damage = isTold && stillSaysThatItHasChecksums(World.path) ? .detectable : .anything
    case .logRot:
      faults.noteForAll(.logRot)
      for _ in 0...choices.below(3, .rotCount) { rot(World.path + "-wal") }
      world.damage = isTold ? .detectable : .anything
    case .misdirectedRead:
      faults.transferDamage = .misdirectedRead
      world.damage = isTold ? .detectable : .anything
    case .misdirectedWrite, .lostWrite:
      // What is stale has a checksum that fits.
      faults.transferDamage = damageKind
      world.damage = .anything
    default:
      faults.noteForAll(.outsideChange)
      changeOutside()
      world.damage = .anything
    }
  }

  /// Whether the first page still asks for checksums. A file in which the damage took away the words that say so is read as one
  /// without them, as SQLite would: nothing can then be told from its pages.
  private func stillSaysThatItHasChecksums(_ path: String) -> Bool {
    guard let bytes = disk.file(named: path)?.current, bytes.count >= world.profile.pageSize else { return false }
    let markStart = world.profile.pageSize - Self.checksumFieldByteCount
    return Int(bytes[Self.reservedByteCountOffset]) == Self.checksumFieldByteCount
      && bytes[markStart..<markStart + Self.checksumMark.count].elementsEqual(Self.checksumMark)
  }

  /// Some neighbouring sectors go bad, in memory and on the platter alike.
  private func rot(_ path: String) {
    guard let file = disk.file(named: path), file.current.count > 600 else { return }
    let start = choices.below(file.current.count, .rotPlace)
    let count = 1 + choices.below(Self.rottenSectorsMax * disk.sectorByteCount, .rotLength)
    let isFlip = choices.oneIn(2, .rotIsFlip)
    for offset in start..<min(file.current.count, start + (isFlip ? 1 : count)) {
      let mask = isFlip ? 1 << UInt8(choices.below(8, .rotBit)) : UInt8(1 + choices.below(255, .rotByte))
      file.current[offset] ^= mask
      if offset < file.durable.count { file.durable[offset] ^= mask }
    }
  }

  /// Somebody truncates, replaces, unlinks or overwrites the file.
  private func changeOutside() {
    let path = World.path
    guard let file = disk.file(named: path) else { return }
    switch choices.below(4, .outsideKind) {
    case 0: disk.change(file, .truncate(size: choices.below(file.current.count + 1, .outsideSize)))
    case 1: disk.change(file, .write(offset: 0, bytes: [UInt8](repeating: 0, count: min(100, file.current.count))))
    case 2: disk.setName(path, to: nil)
    default:
      let other = disk.create(path)
      disk.change(other, .write(offset: 0, bytes: Array(file.current.prefix(choices.below(file.current.count + 1, .outsideSize)))))
    }
  }
}
