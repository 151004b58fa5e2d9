// Copies that a client makes of the file while others change it, and what must be in them.

import ApusBase

extension Client {
  /// Of what a client does at rest one in so many is a copy.
  static let copyOneIn = 25

  static let copyText = "-- a copy of the database"

  /// Each client has a file of its own for that; it stays, and the next copy takes its place.
  private var copyPath: String { World.copyPrefix + "\(name).db" }

  func startCopy() {
    phase = .checking(rows: [])
    copyFloor = world.ledger.lastSeen
    engine?.plannedCopy = CopyPlan(
      path: copyPath, pagesPerStep: choices.pick([-1, 1, 3, 10], .copyPages),
      restartCountMax: choices.pick([3, 0, 1], .copyRestarts))
    start(Self.copyText, [])
  }

  /// The copy is answered: it is durable, and some committed state of the file, not older than what was seen when it began.
  func checkCopy(from floor: Int64) throws(Finding) {
    if world.damage != .none { return }
    let found = try checkCopy(world.disk.content(of: copyPath), world.disk.content(of: copyPath + "-wal"), "the copy", floor)
    world.ledger.see(found)
    if world.faults.liesAboutSyncs || world.disk.hasUntrustedFiles { return }
    let isLeft = world.disk.durableContent(of: copyPath + "-journal").map { !JournalImage($0).isHeadless } ?? false
    if isLeft { throw Finding(oracle: .durability, text: "client \(name): the power would take the copy back that was answered") }
    let durable = try checkCopy(
      world.disk.durableContent(of: copyPath), world.disk.durableContent(of: copyPath + "-wal"), "the copy on the platter", floor)
    if durable != found {
      throw Finding(oracle: .durability, text: "client \(name): the copy is at transaction \(found), on the platter \(durable)")
    }
  }

  private func checkCopy(
    _ content: [UInt8]?, _ log: [UInt8]?, _ what: String, _ floor: Int64
  ) throws(Finding) -> Int64 {
    let image = FileImage(database: content ?? [], wal: log, lockByteOffset: Int(world.profile.lockByteOffset))
    var walker = FileWalker(image)
    let found = walker.walk()
    if let first = walker.violations.first {
      throw Finding(oracle: .walk, text: "client \(name): \(what): \(first) (\(walker.violations.count) in all)")
    }
    if world.profile.hasKeys, let problem = KeyModel.problem(found) {
      throw Finding(oracle: .walk, text: "client \(name): \(what): \(problem)")
    }
    guard let stamp = walker.stamp(found), let model = world.ledger.model(of: stamp), world.ledger.descends(stamp, from: floor)
    else {
      throw Finding(
        oracle: .snapshot,
        text: "client \(name): \(what) is at transaction \(walker.stamp(found).map(String.init) ?? "none"), and \(floor) was seen "
          + "before")
    }
    if let first = model.differences(schema: found.schema, entries: found.entries).first {
      throw Finding(oracle: .snapshot, text: "client \(name): \(what), transaction \(stamp): \(first)")
    }
    return stamp
  }
}
