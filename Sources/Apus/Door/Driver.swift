// The asynchronous driver: one thread on which the statements of many connections take turns.
//
// A job is a piece of work on one connection that is called again after each wait, as the engine's instructions are. The
// thread sleeps while every job waits: for a completion of its connection's ring, or for a moment. Nobody spins.

import ApusBase
import ApusIO
import Synchronization

/// Work on one connection; made by a task, carried out by the driver's thread.
final class Job: Sendable {
  enum Progress {
    case finished
    case waiting(Wait)
  }

  private enum Phase { case waiting, running, finished }
  private struct State {
    var phase = Phase.waiting
    var isCancelled = false
  }

  let handle: ConnectionHandle
  private let state = Mutex(State())
  private let body: @Sendable (Job) -> Progress
  private let begun = Atomic<Bool>(false)

  /// - Parameter body: called on the driver's thread until it says that it is finished; it answers whoever waits itself.
  init(_ handle: ConnectionHandle, _ body: @escaping @Sendable (Job) -> Progress) {
    self.handle = handle
    self.body = body
  }

  /// True from the second call of its body on.
  var hasBegun: Bool { begun.load(ordering: .relaxed) }

  var isCancelled: Bool { state.withLock { $0.isCancelled } }

  /// Interrupts the statement at its next instruction. Any thread may call it; after the job's end it does nothing.
  func cancel() {
    state.withLock { state in
      if state.phase == .finished { return }
      state.isCancelled = true
      if state.phase == .running { handle.interrupt() }
    }
    handle.driver.wake()
  }

  fileprivate func advance() -> Progress {
    state.withLock { state in
      // An interrupt that was meant for an earlier job does not hit this one; one for this job comes behind the lock.
      if state.phase == .waiting, !state.isCancelled { handle.clearInterrupt() }
      state.phase = .running
    }
    defer { begun.store(true, ordering: .relaxed) }
    return body(self)
  }

  /// From now on `cancel` does nothing. To be called before whoever waits is answered.
  func finish() { state.withLock { $0.phase = .finished } }
}

final class Driver: Sendable {
  private struct Inbox {
    var jobs: [Job] = []
    var isStopping = false
  }

  private let inbox = Mutex(Inbox())
  private let environment: any Environment
  private let waiter: Waiter
  /// The thread sleeps, or is about to: who has something for it wakes it. Nobody else spends a system call.
  private let isAsleep = Atomic<Bool>(false)

  init(_ environment: any Environment) throws(EngineError) {
    self.environment = environment
    waiter = try Waiter()
  }

  /// Starts the thread. It ends after `stop`, when no job is left.
  func start() throws(EngineError) {
    if !EngineThread.start({ [self] in run() }) {
      throw EngineError(.noMemory, cause: "pthread_create", hint: "the process has too many threads")
    }
  }

  func submit(_ job: Job) {
    inbox.withLock { $0.jobs.append(job) }
    wake()
  }

  func stop() {
    inbox.withLock { $0.isStopping = true }
    wake()
  }

  /// Something has changed that the thread must look at.
  func wake() {
    if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { waiter.wake() }
  }

  private struct Turn {
    var job: Job
    /// What it waits for; nil: it can go on.
    var wait: Wait?
    var descriptor: Int32?

    /// It waits for nothing that others bring.
    var isReadyNow: Bool {
      switch wait {
      case nil, .nothing: return true
      case .moment, .completion: return false
      }
    }
  }

  private func run() {
    let hub = environment.makeHub(wakeUp: waiter)
    var turns: [Turn] = []
    var readable: [Int32] = []
    var mustSleep = false
    while true {
      // First the flag, then the look: who brings something in between wakes.
      isAsleep.store(mustSleep, ordering: .sequentiallyConsistent)
      let (arrived, isStopping) = inbox.withLock { inbox in
        defer { inbox.jobs = [] }
        return (inbox.jobs, inbox.isStopping)
      }
      for job in arrived { turns.append(Turn(job: job)) }
      if turns.isEmpty, isStopping { return }
      var advanced = 0, kept = 0
      for index in turns.indices {
        if isReady(turns[index], readable) {
          advanced += 1
          turns[index].job.handle.queue?.join(hub)
          switch turns[index].job.advance() {
          case .finished: continue
          case .waiting(let wait): park(&turns[index], wait, hub)
          }
        }
        if kept != index { turns.swapAt(kept, index) }
        kept += 1
      }
      turns.removeLast(turns.count - kept)
      readable = []
      if advanced > 0 {
        // What the first round has asked for goes out with what the next one asks for, or with falling asleep.
        if mustSleep || turns.contains(where: \.isReadyNow) { hub?.turn(untilMonotonic: nil, mayWait: false) }
        mustSleep = !mustSleep
      } else if !mustSleep {
        mustSleep = true
      } else {
        readable = sleep(turns, hub)
        mustSleep = false
      }
    }
  }

  private func isReady(_ turn: Turn, _ readable: [Int32]) -> Bool {
    if turn.job.isCancelled { return true }
    switch turn.wait {
    case nil, .nothing: return true
    case .moment(let moment): return turn.job.handle.monotonicNanoseconds() >= moment
    case .completion:
      if let descriptor = turn.descriptor { return readable.contains(descriptor) }
      return turn.job.handle.queue?.takeNews() ?? true
    }
  }

  private func park(_ turn: inout Turn, _ wait: Wait, _ hub: (any IOHub)?) {
    turn.wait = wait
    turn.descriptor = nil
    guard case .completion = wait else { return }
    let queue = turn.job.handle.queue
    queue?.submit()
    if hub != nil { return }
    turn.descriptor = queue?.completionDescriptor
    // Without a descriptor requests complete at once, or when they are waited for.
    if turn.descriptor == nil { queue?.waitForCompletion() }
  }

  private func sleep(_ turns: [Turn], _ hub: (any IOHub)?) -> [Int32] {
    var moment: UInt64?
    var descriptors: [Int32] = []
    for turn in turns {
      switch turn.wait {
      case .moment(let wanted): moment = min(moment ?? .max, wanted)
      case .completion: if let descriptor = turn.descriptor { descriptors.append(descriptor) }
      case nil, .nothing: break
      }
    }
    if let hub {
      hub.turn(untilMonotonic: moment, mayWait: true)
      return []
    }
    return waiter.wait(for: descriptors, untilMonotonic: moment)
  }
}
