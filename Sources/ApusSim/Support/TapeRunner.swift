// Runs that a search tries: in this process, or where the engine traps, each in one of its own.

import ApusHarness
import ApusSimulation
import Glibc

struct TapeRunner {
  var world: WorldOptions
  /// The finding that is searched for is a process that stops.
  var isTrap: Bool

  func replay(_ tape: Tape) -> ShrinkOutcome {
    if !isTrap {
      let verdict = world.settings.run(.tape(tape), records: true)
      return ShrinkOutcome(finding: verdict.finding, tape: verdict.tape)
    }
    return ShrinkOutcome(finding: stopped(tape, []), tape: tape)
  }

  /// Whether it fails in the same way when all behind `step` is drawn anew.
  func fails(_ tape: Tape, from step: Int, seed: UInt64, _ oracle: Finding.Oracle) -> Bool {
    if !isTrap { return world.settings.run(.branch(tape, step: step, seed: seed)).finding?.oracle == oracle }
    return stopped(tape, ["--branch", "\(step)", "--from", "\(seed)"]) != nil
  }

  private func stopped(_ tape: Tape, _ arguments: [String]) -> Finding? {
    let path = "/tmp/apus-sim-\(getpid())\(ReproFile.suffix)"
    defer { Console.remove(path) }
    let file = ReproFile(oracle: .trap, plant: nil, finding: "", tape: tape)
    guard Console.put(Array(file.text.utf8), to: path),
      let child = LiveChild.again(["worker", "--tape", path] + arguments + world.arguments)
    else { return nil }
    let status = child.join()
    return status == 0 ? nil : Finding(oracle: .trap, text: SeedPool.reason(status))
  }
}
