// Seeds on several processes. An engine that traps takes only its worker with it: the seed is a finding (O14), and another worker
// goes on with the next one. Processes hash differently, so that an order that leaks from a dictionary shows between them.

import ApusHarness
import ApusSimulation

struct SeedPool {
  var world: WorldOptions
  var jobCount: Int
  /// Seeds that one process runs.
  var chunkCount = 20

  private final class Worker {
    let child: LiveChild
    var seeds: Range<UInt64>

    init(_ child: LiveChild, _ seeds: Range<UInt64>) {
      self.child = child
      self.seeds = seeds
    }
  }

  /// Runs seeds from `first` on.
  /// - Parameters:
  ///   - count: nil as many as the time allows.
  ///   - mayGoOn: asked before each chunk.
  ///   - handle: gets each report, in the order in which the workers end; false stops everything.
  func run(
    from first: UInt64, count: Int?, mayGoOn: () -> Bool = { true }, handle: (SeedReport) -> Bool
  ) {
    let end = count.map { first &+ UInt64($0) } ?? .max
    var next = first
    var waiting: [Range<UInt64>] = []
    var workers: [Worker] = []
    while true {
      while workers.count < jobCount, let seeds = takeChunk(&waiting, &next, end, mayGoOn) {
        let arguments = ["worker", "--from", "\(seeds.lowerBound)", "--count", "\(seeds.count)"] + world.arguments
        guard let child = LiveChild.again(arguments) else {
          Console.error("apus-sim: a worker cannot be started")
          return
        }
        workers.append(Worker(child, seeds))
      }
      if workers.isEmpty { return }
      LiveChild.wait(for: workers.map(\.child), milliseconds: 1000)
      var running: [Worker] = []
      for worker in workers {
        for line in worker.child.lines() {
          guard let report = SeedReport(FieldLine(line: line)) else { continue }
          worker.seeds = report.seed &+ 1..<max(report.seed &+ 1, worker.seeds.upperBound)
          if !handle(report) { return }
        }
        if !worker.child.isAtEnd {
          running.append(worker)
          continue
        }
        let status = worker.child.join()
        if worker.seeds.isEmpty { continue }
        let seed = worker.seeds.lowerBound
        if !handle(SeedReport(seed: seed, trap: Self.reason(status))) { return }
        if worker.seeds.count > 1 { waiting.append(seed &+ 1..<worker.seeds.upperBound) }
      }
      workers = running
    }
  }

  static func reason(_ status: Int32) -> String {
    status < 0 ? "the process stopped with signal \(-status)" : "the process ended with code \(status)"
  }

  private func takeChunk(
    _ waiting: inout [Range<UInt64>], _ next: inout UInt64, _ end: UInt64, _ mayGoOn: () -> Bool
  ) -> Range<UInt64>? {
    if let chunk = waiting.popLast() { return chunk }
    if next >= end || !mayGoOn() { return nil }
    let chunk = next..<min(end, next &+ UInt64(chunkCount))
    next = chunk.upperBound
    return chunk
  }
}
