// What the connections of one run share: disk, clock, ledger, chance.

import ApusBase

/// What a client and the world around it share.
final class World {
  static let path = "/sim/test.db", otherPath = "/sim/other.db"
  /// Of the files that clients copy the database into.
  static let copyPrefix = "/sim/copy"
  static let writeVersionOffset = 18

  /// What was done to the files from outside.
  enum Damage {
    case none
    /// Page checksums tell it: what is read is right or an error.
    case detectable
    /// Nobody can tell it: only that nothing traps or hangs is asked.
    case anything
  }

  let disk: SimulatedDisk
  let clock: VirtualClock
  let profile: SimulationProfile
  var ledger: Ledger
  var side = SideLedger()
  var keys = KeyLedger()
  /// The largest row id of a ticket that any client was told.
  var largestTicket: Int64 = 0
  var largestSlip: Int64 = 0, largestCoupon: Int64 = 0
  /// What the names of items begin with.
  let namePrefix: String
  var changes = ChangeLedger()
  var keptLog = KeptLog()
  var settledMode = SettledMode()
  var busyReason = BusyReason()
  let choices: ChoiceSource
  /// Processes and page faults.
  let chance: ChoiceStream
  let generator: OperationGenerator
  /// Where the run has lists.
  let recorder: HistoryRecorder?
  var commitCount = 0
  var droppedCount = 0
  /// Statements may be dropped at their waits.
  var mayDrop = true
  var damage = Damage.none
  var faults: FaultInjector { disk.faults }
  #if PlantedBugs
    let buggifier: Buggifier?
  #endif
  private var auditTurn = 0

  init(_ choices: ChoiceSource, profile: SimulationProfile, model: DatabaseModel) {
    self.choices = choices
    chance = choices.stream("world")
    disk = SimulatedDisk(choices: choices)
    clock = VirtualClock()
    disk.clock = clock
    disk.faults = FaultInjector(
      profile.faults, focus: profile.faultFocus, comeInRows: profile.faultsComeInRows, choices)
    disk.faults.failsAtTurns = profile.failsAtTurns
    disk.sectorByteCount = profile.sectorByteCount
    self.profile = profile
    namePrefix = String(repeating: "n", count: profile.nameBytes)
    ledger = Ledger(model)
    recorder = profile.hasLists ? HistoryRecorder() : nil
    generator = OperationGenerator(
      shapes: model.shapes, keyCount: profile.keyCount, payloadMax: profile.payloadMax, taste: profile.taste)
    #if PlantedBugs
      buggifier = profile.buggifies ? Buggifier(choices) : nil
      if profile.regionFrameCount > 0 { disk.smallLimits.regionFrameCount = UInt32(profile.regionFrameCount) }
      if profile.trunkLeafCount > 0 { disk.smallLimits.trunkLeafCount = profile.trunkLeafCount }
      if profile.noteByteCount > 0 { disk.smallLimits.noteByteCount = profile.noteByteCount }
    #endif
  }

  /// What a power cut may take from the acknowledged commits.
  var promise: Ledger.Promise {
    promise(behind: ledger.lastAcknowledged, ledger.modelAfterCut(of: ledger.lastAcknowledged))
  }

  /// The same where `stamp` is the last of them, which has left `model`.
  func promise(behind stamp: Int64, _ model: DatabaseModel?) -> Ledger.Promise {
    // It has changed one file of two, and had no super-journal.
    let isOfOneFile = profile.attaches && model.map { $0.otherStamp != stamp } ?? false
    return isOfOneFile ? profile.promiseOfOneFile : profile.promise
  }

  /// True where nobody sees a commit before a sync has covered it: recovery syncs the log first, but not as who may only read.
  var showsOnlyWhatIsSynced: Bool {
    profile.hasLog && profile.promise == .everything && faults.tallies[FaultKind.readOnlyFileSystem.rawValue].injected == 0
  }

  /// Most pages that the file may have; nil where nothing limits them. `PRAGMA max_page_count` is raised to what is there already,
  /// and a VACUUM may need more pages of another size.
  var pageCountMax: Int?

  /// Clients that have committed since a connection was opened the last time, none of them at OFF.
  var syncedWriters: Set<Int> = []

  /// The file is in WAL mode now.
  var hasLog: Bool { disk.hasLog(Self.path) }

  /// A transaction over two files is under way, or was ended by a power cut or a failure.
  var hasSuperJournal: Bool { disk.names.keys.contains { FileRole($0) == .superJournal } }

  /// A commit is answered when a sync of the log has covered it, as far as the disk tells the truth.
  var keepsWhatIsAnswered: Bool {
    profile.hasLog && profile.synchronous != .normal && damage == .none && !faults.liesAboutSyncs
  }

  /// The engine may leave a log as long as it is.
  var skipsCuts: Bool {
    #if PlantedBugs
      buggifier != nil
    #else
      false
    #endif
  }

  /// A new process of this world.
  func makeProcess() -> SimulatedEnvironment {
    let process = SimulatedEnvironment(disk: disk, clock: clock, seed: chance.number(.processSeed))
    #if PlantedBugs
      process.buggify = buggifier
    #endif
    return process
  }

  /// Somebody has opened the file. Where the log has rotted its recovery ends at the rot; what a checkpoint had copied from behind
  /// it lies in the file, page by page as it should be.
  func noteOpened() {
    if damage == .detectable, faults.tallies[FaultKind.logRot.rawValue].injected > 0 { damage = .anything }
  }

  /// The file's header has a write version from the future: the format bids every program only to read it.
  var saysReadOnly: Bool {
    guard let content = disk.file(named: Self.path)?.current, content.count > Self.writeVersionOffset else { return false }
    return content[Self.writeVersionOffset] > 2
  }

  /// Write skews, and reads that others had made stale before the commit.
  var skewCount: Int { keys.skewCount + side.skewCount + (recorder?.skewCount ?? 0) }

  /// What the run has exercised.
  var coverage: Coverage {
    var coverage = Coverage()
    coverage.faults = faults.tallies
    #if PlantedBugs
      coverage.buggifyHits = buggifier?.hits ?? Array(repeating: 0, count: BuggifyPoint.allCases.count)
    #endif
    return coverage
  }

  // MARK: the file's own oracle

  /// What the files hold right behind a commit: the log's committed frames over the file, read by the format alone.
  func audit() throws(Finding) {
    if damage != .none { return }
    auditTurn += 1
    if auditTurn % profile.auditEvery != 0 { return }
    try checkFiles("behind commit \(commitCount)")
    try checkPlatter("behind commit \(commitCount)")
  }

  func checkFiles(_ moment: String) throws(Finding) {
    try checkFile(moment, Self.path, nil)
    if profile.attaches { try checkFile(moment + ", attached", Self.otherPath, "o") }
  }

  private func checkFile(_ moment: String, _ path: String, _ database: String?) throws(Finding) {
    let image = FileImage(
      database: disk.content(of: path) ?? [], wal: disk.content(of: path + "-wal"),
      lockByteOffset: Int(profile.lockByteOffset))
    var walker = FileWalker(image)
    let found = walker.walk()
    if let first = walker.violations.first {
      throw Finding(oracle: .walk, text: "\(moment): \(first) (\(walker.violations.count) in all)")
    }
    if profile.hasKeys, database == nil, let problem = KeyModel.problem(found) {
      throw Finding(oracle: .walk, text: "\(moment): \(problem)")
    }
    // The file says itself which transaction it is at: the last that was seen, or one on top of it whose commit is not answered.
    let stamp = walker.stamp(found)
    let newest = ledger.lastAcknowledged
    let acknowledged = database == nil ? newest : ledger.model(of: newest)?.otherStamp ?? newest
    guard let stamp, let model = ledger.model(of: stamp), ledger.descends(stamp, from: acknowledged) else {
      throw Finding(
        oracle: .walk,
        text: "\(moment): the file is at transaction \(stamp.map(String.init) ?? "none"), and \(acknowledged) was acknowledged")
    }
    if let first = model.differences(schema: found.schema, entries: found.entries, database: database).first {
      throw Finding(oracle: .walk, text: "\(moment), transaction \(stamp): \(first)")
    }
    if database == nil, let pageCountMax, image.pages.count > pageCountMax {
      throw Finding(
        oracle: .pragma, text: "\(moment): the file has \(image.pages.count) pages, and max_page_count is \(pageCountMax)")
    }
    if database == nil, let version = image.userVersion, !ledger.versions(of: stamp).contains(version) {
      throw Finding(
        oracle: .walk,
        text: "\(moment), transaction \(stamp): user_version is \(version), "
          + "\(ledger.versions(of: stamp).sorted()) may be")
    }
  }

  /// The platter holds, byte for byte, what readers see of the file and of its log: what was found of the one is true of the
  /// other.
  private var isPlatterAsSeen: Bool {
    [Self.path, Self.path + "-wal"].allSatisfy { disk.content(of: $0) == disk.durableContent(of: $0) }
  }

  /// What the platter would hold if the power went now and took all that no sync has covered: for a commit in WAL mode with
  /// FULL, whatever was acknowledged, as a whole (O13).
  private func checkPlatter(_ moment: String) throws(Finding) {
    guard keepsWhatIsAnswered, !disk.hasUntrustedFiles, !isPlatterAsSeen else { return }
    let image = FileImage(
      database: disk.durableContent(of: Self.path) ?? [], wal: disk.durableContent(of: Self.path + "-wal"),
      lockByteOffset: Int(profile.lockByteOffset))
    var walker = FileWalker(image)
    let found = walker.walk()
    let stamp = walker.stamp(found)
    guard walker.violations.isEmpty, let stamp, ledger.descends(stamp, from: ledger.lastPromised) else {
      throw Finding(
        oracle: .logAudit,
        text: "\(moment): the platter alone holds transaction \(stamp.map(String.init) ?? "none"), "
          + "and \(ledger.lastPromised) was promised\(walker.violations.first.map { "; " + $0 } ?? "")")
    }
  }
}
