// The asynchronous driver: one thread on which the statements of many connections take turns. `unsafe` lives here: an executor
// runs its jobs by an unowned reference to itself.
//
// A job is a piece of work on one connection that is called again after each wait, as the engine's instructions are. The
// thread sleeps while every job waits: for a completion of its connection's ring, or for a moment. Nobody spins.

import ApusBase
import ApusIO
import Synchronization

/// Work on one connection; made by a task, carried out by the driver's thread.
final class Job: @unchecked Sendable {
  enum Progress {
    /// With what answers whoever waits. It is called when the driver has let go of the body, and so of all that the body holds:
    /// who is answered may use the connection, and the driver then destroys nothing that hangs from it.
    case finished(answer: () -> Void)
    case waiting(Wait)
  }

  private enum Phase { case waiting, running, finished }

  let handle: ConnectionHandle
  private let phase = ThreadMutex(Phase.waiting)
  /// Changed under the mutex; the driver looks at it in each round.
  private let wasCancelled = Atomic<Bool>(false)
  /// Set before the job is submitted, then the driver's.
  private var body: @Sendable (Job) -> Progress
  private let begun = Atomic<Bool>(false)
  /// The driver has ended: the body is called once, to answer whoever waits, and must not touch the connection.
  private(set) var isRefused = false

  private static let nothing: @Sendable (Job) -> Progress = { _ in .finished {} }

  /// - Parameter body: called on the driver's thread until it says that it is finished.
  init(_ handle: ConnectionHandle, _ body: @escaping @Sendable (Job) -> Progress = Job.nothing) {
    self.handle = handle
    self.body = body
  }

  /// Gives the job to its connection's driver; it may have been cancelled before.
  func start(_ body: @escaping @Sendable (Job) -> Progress) {
    self.body = body
    handle.driver.submit(self)
  }

  /// True from the second call of its body on.
  var hasBegun: Bool { begun.load(ordering: .relaxed) }

  var isCancelled: Bool { wasCancelled.load(ordering: .acquiring) }

  /// Interrupts the statement at its next instruction. Any thread may call it; after the job's end it does nothing.
  func cancel() {
    phase.withLock { phase in
      if phase == .finished { return }
      wasCancelled.store(true, ordering: .releasing)
      if phase == .running { handle.interrupt() }
    }
    handle.driver.wake()
  }

  /// - Returns: what it waits for; nil where it is finished.
  fileprivate func advance() -> Wait? {
    phase.withLock { phase in
      // An interrupt that was meant for an earlier job does not hit this one; one for this job comes behind the lock.
      if phase == .waiting, !isCancelled { handle.clearInterrupt() }
      phase = .running
    }
    let progress = body(self)
    begun.store(true, ordering: .relaxed)
    switch progress {
    case .waiting(let wait): return wait
    case .finished(let answer):
      finish(answer)
      return nil
    }
  }

  /// On the submitting thread, since there is no other one any more.
  fileprivate func refuse() {
    isRefused = true
    guard case .finished(let answer) = body(self) else { preconditionFailure("a refused job waits for nothing") }
    finish(answer)
  }

  private func finish(_ answer: () -> Void) {
    // From now on `cancel` does nothing: the connection may be another job's as soon as this one is answered.
    phase.withLock { $0 = .finished }
    body = Self.nothing
    answer()
  }
}

/// The thread is an executor too: a task that prefers it runs between the statements, on the same thread, and is not handed
/// from one thread to another at each statement.
final class Driver: TaskExecutor, @unchecked Sendable {
  private struct Inbox {
    var jobs: [Job] = []
    var tasks: [UnownedJob] = []
    var isStopping = false
    var hasEnded = false
  }

  private struct Turn {
    var job: Job
    /// What it waits for; nil: it can go on.
    var wait: Wait?
    var descriptor: Int32?
    /// Its connection's, while it waits.
    var queue: (any IOQueue)?
    /// The job was called since it was cancelled.
    var hasSeenCancellation = false

    /// It waits for nothing that others bring.
    var isReadyNow: Bool {
      switch wait {
      case nil, .nothing: return true
      case .moment, .completion, .signal: return false
      }
    }
  }

  private let inbox = ThreadMutex(Inbox())
  private let environment: any Environment
  private let waiter: Waiter
  /// The thread sleeps, or is about to: who has something for it wakes it. Nobody else spends a system call.
  private let isAsleep = Atomic<Bool>(false)
  private let thread = Atomic<UInt>(0)

  // What the thread alone touches.
  private var hub: (any IOHub)?
  private var turns: [Turn] = []
  /// So many jobs of tasks on this thread may still begin at once in this round; the others wait for their turn.
  private var immediateCount = 0
  private static let immediateCountMax = 64

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

  /// The caller runs on the driver's thread.
  var isCurrent: Bool { thread.load(ordering: .relaxed) == EngineThread.current }

  /// Carries the job out on the driver's thread; where that has ended, the job is refused.
  func submit(_ job: Job) {
    if isCurrent {
      // A task of this thread's executor: it may as well begin now, with what it finds in memory.
      var turn = Turn(job: job)
      immediateCount -= 1
      if immediateCount < 0 || advance(&turn) { turns.append(turn) }
      return
    }
    let isTaken = inbox.withLock { inbox in
      if !inbox.hasEnded { inbox.jobs.append(job) }
      return !inbox.hasEnded
    }
    if isTaken { wake() } else { job.refuse() }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isTaken = inbox.withLock { inbox in
      if !inbox.hasEnded { inbox.tasks.append(job) }
      return !inbox.hasEnded
    }
    // The database is closed; the task goes on where others do.
    if isTaken { wake() } else { globalConcurrentExecutor.enqueue(job) }
  }

  func stop() {
    inbox.withLock { $0.isStopping = true }
    wake()
  }

  /// Something has changed that the thread must look at.
  func wake() {
    if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { waiter.wake() }
  }

  private func run() {
    thread.store(EngineThread.current, ordering: .relaxed)
    hub = environment.makeHub(wakeUp: waiter)
    let executor = unsafe asUnownedTaskExecutor()
    var readable: [Int32] = []
    var mustSleep = false
    while true {
      // First the flag, then the look: who brings something in between wakes.
      isAsleep.store(mustSleep, ordering: .sequentiallyConsistent)
      let (arrived, tasks, hasEnded) = inbox.withLock { inbox in
        let hasNone = turns.isEmpty && inbox.jobs.isEmpty && inbox.tasks.isEmpty
        inbox.hasEnded = inbox.isStopping && hasNone
        defer {
          inbox.jobs = []
          inbox.tasks = []
        }
        return (inbox.jobs, inbox.tasks, inbox.hasEnded)
      }
      if hasEnded { break }
      immediateCount = Self.immediateCountMax
      for task in tasks { unsafe task.runSynchronously(on: executor) }
      for job in arrived { turns.append(Turn(job: job)) }
      if goRound(readable) || !tasks.isEmpty {
        // What the first round has asked for goes out with what the next one asks for, or with falling asleep.
        if mustSleep || turns.contains(where: \.isReadyNow) { hub?.turn(untilMonotonic: nil, mayWait: false) }
        mustSleep = !mustSleep
        readable = []
      } else if !mustSleep {
        mustSleep = true
        readable = []
      } else {
        readable = sleep()
        mustSleep = false
      }
    }
    thread.store(0, ordering: .relaxed)
    hub = nil
  }

  /// Lets each job go on that can.
  /// - Returns: false where none could.
  private func goRound(_ readable: [Int32]) -> Bool {
    var advanced = false
    var kept = 0
    for index in turns.indices {
      if isReady(index, readable) {
        advanced = true
        if !advance(&turns[index]) { continue }
      }
      if kept != index { turns.swapAt(kept, index) }
      kept += 1
    }
    turns.removeLast(turns.count - kept)
    return advanced
  }

  /// - Returns: false where the job is finished; otherwise the turn says what it waits for.
  private func advance(_ turn: inout Turn) -> Bool {
    turn.job.handle.queue?.join(hub)
    guard let wait = turn.job.advance() else { return false }
    park(&turn, wait)
    return true
  }

  private func isReady(_ index: Int, _ readable: [Int32]) -> Bool {
    if turns[index].job.isCancelled, !turns[index].hasSeenCancellation {
      // Once: what cannot be interrupted, such as a commit that waits for the disk, goes on waiting.
      turns[index].hasSeenCancellation = true
      return true
    }
    switch turns[index].wait {
    case nil, .nothing: return true
    case .moment(let moment), .signal(let moment):
      return turns[index].queue?.alarm.take() ?? true || turns[index].job.handle.monotonicNanoseconds() >= moment
    case .completion:
      if let descriptor = turns[index].descriptor { return readable.contains(descriptor) }
      return turns[index].queue?.takeNews() ?? true
    }
  }

  private func park(_ turn: inout Turn, _ wait: Wait) {
    let queue = turn.job.handle.queue
    turn.wait = wait
    turn.descriptor = nil
    turn.queue = queue
    guard case .completion = wait else { return }
    queue?.submit()
    if hub != nil { return }
    turn.descriptor = queue?.completionDescriptor
    // Without a descriptor requests complete at once, or when they are waited for.
    if turn.descriptor == nil { queue?.waitForCompletion() }
  }

  private func sleep() -> [Int32] {
    var moment: UInt64?
    var descriptors: [Int32] = []
    for turn in turns {
      switch turn.wait {
      case .moment(let wanted), .signal(let wanted): moment = min(moment ?? .max, wanted)
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
