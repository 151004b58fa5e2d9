// Power cuts that do not happen. While connections work, the platter that a cut would leave is looked at again and again: recovered
// and walked by the file formats alone, it must be what the ledger allows (O4, O1). One real cut ends an era; of these an era has
// many, in the midst of every kind of change. What the engine's own recovery makes of it must be the same: see RecoveryProbe.

import ApusBase

struct CrashProbe {
  /// One completed request in so many is followed by a look; where it was a sync, and behind a call that has changed a name or
  /// cut a file, one in so many; behind what decides over several files, every second.
  private static let oneIn = 40, turningPointOneIn = 7, decisionOneIn = 2
  /// The same while a journal is being written that nothing is promised of but how much of it is played back.
  private static let journalOneIn = 10
  /// Of the platters with a journal that counts, and of the others, one in so many is recovered by the engine, too.
  private static let recoversJournalOneIn = 2, recoversOneIn = 5
  /// One recovery in so many finds the header broken of a file whose log holds it.
  private static let damagesHeaderOneIn = 2

  private let world: World
  private let choices: ChoiceStream

  /// What a file holds by its format alone, and whether that comes from a journal.
  private struct Recovered {
    var image: FileImage
    var isPlayedBack: Bool
  }

  /// - Returns: nil where nothing is promised for a power cut, and recovery is no matter either.
  init?(_ world: World) {
    if world.profile.cutCount == 0, !world.profile.probesRecovery { return nil }
    self.world = world
    choices = world.choices.stream("probe")
  }

  private var oneIn: Int {
    world.profile.probesRecovery && world.disk.hasVolatileJournal ? Self.journalOneIn : Self.oneIn
  }

  /// A request has completed, or a connection has gone on.
  func look() throws(Finding) {
    let (isTurningPoint, isDecision) = world.disk.takeTurningPoint()
    let looksOneIn = isDecision ? Self.decisionOneIn : isTurningPoint ? Self.turningPointOneIn : oneIn
    guard choices.oneIn(looksOneIn, .probes), isPromised,
      isTurningPoint || world.disk.hasVolatileChanges
    else { return }
    let survivals = SimulatedDisk.Survival.allCases
    let survival = survivals[choices.below(survivals.count, .survival)]
    let platter = world.disk.platter(survival, choices)
    let moment = "if the power went now (\(survival))"
    let paths = world.profile.attaches ? [World.path, World.otherPath] : [World.path]
    let recovered = paths.map { recover(platter, $0) }
    if world.profile.cutCount > 0 {
      let stamp = try check(recovered[0].image, nil, moment) { stamp in
        world.ledger.allowsAfterCut(stamp, promise: world.promise)
      }
      let isKept = world.profile.synchronous != .normal && !world.profile.attaches
      if isKept, let problem = world.settledMode.problem(recovered[0].image.pages.first?[World.writeVersionOffset]) {
        throw Finding(oracle: .durability, text: "\(moment) the file would \(problem)")
      }
      if world.profile.attaches {
        let due = world.ledger.modelAfterCut(of: stamp)?.otherStamp
        _ = try check(recovered[1].image, "o", "\(moment), with the file at transaction \(stamp), attached") { $0 == due }
      }
    }
    let oneIn = recovered.contains(where: \.isPlayedBack) ? Self.recoversJournalOneIn : Self.recoversOneIn
    if !choices.oneIn(oneIn, .recovers) { return }
    // The file that comes first may take a super-journal with it.
    let isOtherFirst = paths.count > 1 && choices.oneIn(2, .recoveryOther)
    let probe = RecoveryProbe(platter, world, seed: choices.number(.processSeed))
    if choices.oneIn(Self.damagesHeaderOneIn, .damagesHeader) { for path in paths { probe.damageHeader(path, choices) } }
    var superJournals = probe.superJournals(paths)
    for place in isOtherFirst ? paths.indices.reversed() : Array(paths.indices) {
      let found: FileImage
      switch try probe.recover(paths[place], moment) {
      case .success(let image): found = image
      case .failure(let error):
        // A journal that was torn may leave anything, where nothing is promised; what its format makes whole is whole.
        if isSound(recovered[place].image) {
          throw Finding(oracle: .durability, text: "\(moment) recovery would end in \(error) (code \(error.code.rawValue))")
        }
        superJournals = []
        continue
      }
      if let problem = recovered[place].image.difference(from: found) {
        throw Finding(oracle: .durability, text: "\(moment) recovery would make of \(paths[place]) \(problem)")
      }
    }
    try probe.checkSuperJournals(superJournals, moment)
  }

  private func isSound(_ image: FileImage) -> Bool {
    var walker = FileWalker(image)
    let found = walker.walk()
    return walker.violations.isEmpty && walker.stamp(found) != nil
  }

  private var isPromised: Bool {
    world.damage == .none && !world.faults.liesAboutSyncs && !world.disk.hasUntrustedFiles
  }

  private func recover(_ platter: Platter, _ path: String) -> Recovered {
    var content = platter.content(of: path) ?? []
    var isPlayedBack = false
    if let bytes = platter.content(of: path + "-journal"), !content.isEmpty {
      let journal = JournalImage(bytes)
      if !journal.isHeadless, journal.superJournal.map({ platter.names[$0] != nil }) ?? true {
        content = journal.playedBack(over: content)
        isPlayedBack = true
      }
    }
    let image = FileImage(
      database: content, wal: platter.content(of: path + "-wal"), lockByteOffset: Int(world.profile.lockByteOffset))
    return Recovered(image: image, isPlayedBack: isPlayedBack)
  }

  /// - Returns: the transaction that the file would be at.
  private func check(
    _ image: FileImage, _ database: String?, _ moment: String, isAllowed: (Int64) -> Bool
  ) throws(Finding) -> Int64 {
    var walker = FileWalker(image)
    let found = walker.walk()
    if let first = walker.violations.first {
      throw Finding(oracle: .walk, text: "\(moment): \(first) (\(walker.violations.count) in all)")
    }
    let ledger = world.ledger
    guard let stamp = walker.stamp(found), isAllowed(stamp), let model = ledger.modelAfterCut(of: stamp) else {
      throw Finding(
        oracle: .durability,
        text: "\(moment) the file would hold transaction \(walker.stamp(found).map(String.init) ?? "none"), and "
          + "\(ledger.lastAcknowledged) was acknowledged")
    }
    if world.showsOnlyWhatIsSynced, !ledger.descends(stamp, from: ledger.lastSeen) {
      throw Finding(
        oracle: .durability, text: "\(moment) the file would hold transaction \(stamp); \(ledger.lastSeen) was seen")
    }
    if let first = model.differences(schema: found.schema, entries: found.entries, database: database).first {
      throw Finding(oracle: .walk, text: "\(moment), transaction \(stamp): \(first)")
    }
    return stamp
  }
}
