// Between two calls of one process to the system others go on: what it has seen may not hold any more when it acts on it. A wait
// is no such moment, there nobody expects anything to have stayed; here a connection is in the midst of a step, between a lock and
// the look behind it, or between the look and the unlink.
//
// Their steps are run within the call, on top of the caller's. So only connections of other processes can go on: those of its own
// share mutexes with it, which it may hold.

import ApusBase

struct OtherProcesses {
  let choices: ChoiceStream
  /// A connection is at work, and others may go on beside it.
  var mayGoOn = false
  /// Some of them are at it.
  fileprivate var isUnderWay = false
  fileprivate var callsLeft = 0
  /// What one of them met.
  var finding: Finding?

  init(_ choices: ChoiceStream) { self.choices = choices }

  /// How many steps are taken at one moment, about.
  fileprivate static let stepCounts = [0, 1, 2, 4, 8, 16, 40]
}

extension Simulation {
  /// The process is about to call the system, or has called it.
  func letOthersGoOn(_ process: SimulatedProcess) {
    guard others.mayGoOn, !others.isUnderWay, others.finding == nil else { return }
    others.callsLeft -= 1
    if others.callsLeft > 0 { return }
    let stepCount = others.choices.pick(OtherProcesses.stepCounts, .othersSteps)
    others.callsLeft = 1 + others.choices.below(world.profile.callsBetweenMax, .callsBetween)
    if stepCount == 0 { return }
    others.isUnderWay = true
    let actor = world.faults.actor
    defer {
      others.isUnderWay = false
      world.faults.actor = actor
    }
    do throws(Finding) {
      for _ in 0..<stepCount {
        if try !takeOthersStep(process) { break }
      }
    } catch {
      others.finding = error
    }
  }

  /// - Returns: false where nobody can go on.
  private func takeOthersStep(_ process: SimulatedProcess) throws(Finding) -> Bool {
    world.clock.monotonicNanoseconds += UInt64(others.choices.below(50_000, .clockAdvance))
    if others.choices.oneIn(3, .completes), world.disk.completeOne(advancesClock: false) {
      try checkCompletion()
      return true
    }
    let ready = clients.indices.filter { processes[homes[$0]].process !== process && isReady(clients[$0]) }
    if ready.isEmpty {
      guard world.disk.completeOne(advancesClock: false) else { return false }
      try checkCompletion()
      return true
    }
    let name = others.choices.place(in: ready, .ran) { others.choices.drawn(below: ready.count) }
    let own = ready[name]
    world.disk.noteTurn()
    let wake = CommitWake(clients[own], clients.filter { $0.name != own && homes[$0.name] == homes[own] })
    try clients[own].run(mayBegin: true)
    try checkEndless()
    try wake.check()
    return true
  }
}
