// What the connections of one run share: disk, clock, ledger, chance.

import ApusBase

/// What a client and the world around it share.
final class World {
  static let path = "/sim/test.db", otherPath = "/sim/other.db"

  let disk: SimulatedDisk
  let clock: VirtualClock
  let profile: SimulationProfile
  var ledger: Ledger
  let choices: ChoiceSource
  let generator: OperationGenerator
  var commitCount = 0
  var droppedCount = 0
  private var auditTurn = 0

  init(_ choices: ChoiceSource, profile: SimulationProfile, model: DatabaseModel) {
    self.choices = choices
    disk = SimulatedDisk(choices: choices)
    clock = VirtualClock()
    self.profile = profile
    ledger = Ledger(model)
    generator = OperationGenerator(
      shapes: model.shapes, keyCount: profile.keyCount, payloadMax: profile.payloadMax)
  }

  // MARK: the file's own oracle

  /// What the files hold right behind a commit: the log's committed frames over the file, read by the format alone.
  func audit() throws(Finding) {
    auditTurn += 1
    if auditTurn % profile.auditEvery == 0 { try checkFiles("behind commit \(commitCount)") }
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
    // A commit under way may be in the file already.
    if !ledger.underWay.isEmpty { return }
    let model = ledger.model(of: ledger.lastAcknowledged)
    if let first = model?.differences(schema: found.schema, entries: found.entries, database: database).first {
      throw Finding(oracle: .walk, text: "\(moment), transaction \(ledger.lastAcknowledged): \(first)")
    }
  }
}
