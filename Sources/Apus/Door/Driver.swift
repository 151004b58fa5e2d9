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
  private let waiter: Waiter

  init() throws(EngineError) {
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
    waiter.wake()
  }

  func stop() {
    inbox.withLock { $0.isStopping = true }
    waiter.wake()
  }

  func wake() { waiter.wake() }

  private struct Turn {
    var job: Job
    /// What it waits for; nil: it can go on.
    var wait: Wait?
    var descriptor: Int32?
  }

  private func run() {
    var turns: [Turn] = []
    var readable: [Int32] = []
    while true {
      let (arrived, isStopping) = inbox.withLock { inbox in
        defer { inbox.jobs = [] }
        return (inbox.jobs, inbox.isStopping)
      }
      for job in arrived { turns.append(Turn(job: job)) }
      if turns.isEmpty, isStopping { return }
      var mustSleep = true
      var next: [Turn] = []
      for var turn in turns {
        if !isReady(turn, readable) {
          next.append(turn)
          continue
        }
        mustSleep = false
        switch turn.job.advance() {
        case .finished: continue
        case .waiting(let wait): park(&turn, wait)
        }
        next.append(turn)
      }
      turns = next
      readable = []
      if mustSleep || turns.isEmpty { readable = sleep(turns) }
    }
  }

  private func isReady(_ turn: Turn, _ readable: [Int32]) -> Bool {
    if turn.job.isCancelled { return true }
    switch turn.wait {
    case nil, .nothing: return true
    case .moment(let moment): return turn.job.handle.monotonicNanoseconds() >= moment
    case .completion: return turn.descriptor.map { readable.contains($0) } ?? true
    }
  }

  private func park(_ turn: inout Turn, _ wait: Wait) {
    turn.wait = wait
    turn.descriptor = nil
    guard case .completion = wait else { return }
    let queue = turn.job.handle.queue
    queue?.submit()
    turn.descriptor = queue?.completionDescriptor
    // Without a descriptor requests complete at once, or when they are waited for.
    if turn.descriptor == nil { queue?.waitForCompletion() }
  }

  private func sleep(_ turns: [Turn]) -> [Int32] {
    var moment: UInt64?
    var descriptors: [Int32] = []
    for turn in turns {
      switch turn.wait {
      case .moment(let wanted): moment = min(moment ?? .max, wanted)
      case .completion: if let descriptor = turn.descriptor { descriptors.append(descriptor) }
      case nil, .nothing: break
      }
    }
    return waiter.wait(for: descriptors, untilMonotonic: moment)
  }
}
