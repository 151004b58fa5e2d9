// Who has which connection: one that writes, some that write concurrently, some that read; and who waits for one.

import ApusBase
import ApusIO

final class ConnectionPool: Sendable {
  enum Role: Int, CaseIterable, Sendable { case read, concurrentWrite, write }

  private struct Waiter {
    enum Kind {
      case task(UInt64, CheckedContinuation<ConnectionHandle, any Error>)
      case thread(ThreadWaiter)
    }

    var kind: Kind
    var owner: LeaseOwner
  }

  /// A thread that waits, and what it gets.
  final class ThreadWaiter: Sendable {
    private let answer = ThreadMutex<ConnectionHandle?>(nil)
    private let wakeUp: @Sendable () -> Void
    init(wakeUp: @escaping @Sendable () -> Void) { self.wakeUp = wakeUp }

    func give(_ handle: ConnectionHandle?) {
      answer.withLock { $0 = handle }
      wakeUp()
    }
    var handle: ConnectionHandle? { answer.withLock { $0 } }
  }

  /// The connections of one role, and who waits for one.
  private struct Lane {
    var all: [ConnectionHandle]
    var idle: [ConnectionHandle]
    var countMax: Int
    var waiters: [Waiter] = []

    init(_ all: [ConnectionHandle] = [], countMax: Int) {
      self.all = all
      idle = all
      self.countMax = countMax
    }

    func isHeld(by owner: LeaseOwner) -> Bool { all.contains { $0.leaseOwner == owner } }
  }

  private enum Closing {
    case open
    /// With those who have asked for it too, and wait for its end.
    case underWay([CheckedContinuation<Void, any Error>])
    case ended(Result<Void, any Error>)
  }

  private struct State {
    /// By role.
    var lanes: [Lane]
    var leaseCount = 0
    var waiterSerial: UInt64 = 0
    var abandoned: Set<UInt64> = []
    var closing = Closing.open
    var isClosed: Bool {
      switch closing {
      case .open: false
      case .underWay, .ended: true
      }
    }
    var closeContinuation: CheckedContinuation<Void, Never>?
  }

  private let state: ThreadMutex<State>
  /// There is one connection for all: a database in memory.
  private let isSingle: Bool
  private let make: @Sendable (Role, Int) -> ConnectionHandle

  /// - Parameters:
  ///   - readers: how many connections may read beside the writer; 0: the writer does all (a database in memory).
  ///   - concurrentWriters: how many may write concurrently beside it.
  ///   - make: makes the connection of a role with a number from 1 on.
  init(
    writer: ConnectionHandle, readers: Int, concurrentWriters: Int, make: @escaping @Sendable (Role, Int) -> ConnectionHandle
  ) {
    let lanes = [
      Lane(countMax: readers), Lane(countMax: concurrentWriters), Lane([writer], countMax: 1),
    ]
    state = ThreadMutex(State(lanes: lanes))
    isSingle = readers == 0
    self.make = make
  }

  static let closed = ApusError(.misuse, "bad parameter or other API misuse", cause: "the database is closed")

  /// What a task waits for that only its own transaction can give it.
  private static func waitsForItself(_ cause: String, _ hint: String) -> ApusError {
    ApusError(.misuse, "bad parameter or other API misuse", cause: cause, hint: hint)
  }

  /// No connection is free, and the caller has one of them: it would wait for itself, or with others like it for each
  /// other.
  private func checkNotWaitingForItself(_ role: Role, _ owner: LeaseOwner) throws(ApusError) {
    if !state.withLock({ !$0.isClosed && $0.lanes[role.rawValue].isHeld(by: owner) }) { return }
    let hint = role == .read ? ", or raise Configuration.readers" : "; its method savepoint undoes a part"
    throw Self.waitsForItself(
      "a transaction within a transaction of the same task or thread, and no connection is left for it",
      "use the outer closure's transaction" + hint)
  }

  private func role(_ role: Role) -> Role { isSingle ? .write : role }

  private func takeNow(_ role: Role, _ owner: LeaseOwner, _ state: inout State) -> ConnectionHandle? {
    let handle: ConnectionHandle
    // A task on a driver's thread takes a connection of that driver, where there is one.
    let idle = state.lanes[role.rawValue].idle
    if let near = idle.lastIndex(where: \.driver.isCurrent) ?? idle.indices.last {
      handle = state.lanes[role.rawValue].idle.remove(at: near)
    } else if state.lanes[role.rawValue].all.count < state.lanes[role.rawValue].countMax {
      handle = make(role, state.lanes[role.rawValue].all.count + 1)
      state.lanes[role.rawValue].all.append(handle)
    } else {
      return nil
    }
    handle.leaseOwner = owner
    state.leaseCount += 1
    return handle
  }

  /// Waits for a connection in the order of asking; a cancelled task stops waiting.
  /// - Throws: SQLITE_MISUSE where the task has such a connection already and no other one is free.
  nonisolated(nonsending) func lease(_ wanted: Role) async throws -> ConnectionHandle {
    try Task.checkCancellation()
    let role = self.role(wanted), owner = LeaseOwner.current
    if let handle = state.withLock({ $0.isClosed ? nil : takeNow(role, owner, &$0) }) { return handle }
    try checkNotWaitingForItself(role, owner)
    let serial = state.withLock { state in
      state.waiterSerial += 1
      return state.waiterSerial
    }
    // A cancellation that comes when the task has been served finds it in no queue, and nobody asks with this number
    // again.
    defer { state.withLock { _ = $0.abandoned.remove(serial) } }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        enum Answer {
          case now(ConnectionHandle)
          case later
          case failed(any Error)
        }
        let answer = state.withLock { state -> Answer in
          if state.isClosed { return .failed(Self.closed) }
          if state.abandoned.remove(serial) != nil { return .failed(CancellationError()) }
          if let handle = takeNow(role, owner, &state) { return .now(handle) }
          append(Waiter(kind: .task(serial, continuation), owner: owner), role, &state)
          return .later
        }
        switch answer {
        case .now(let handle): continuation.resume(returning: handle)
        case .failed(let error): continuation.resume(throwing: error)
        case .later: break
        }
      }
    } onCancel: {
      abandon(serial)
    }
  }

  private func append(_ waiter: Waiter, _ role: Role, _ state: inout State) { state.lanes[role.rawValue].waiters.append(waiter) }

  private func abandon(_ serial: UInt64) {
    func isIt(_ waiter: Waiter) -> Bool {
      if case .task(serial, _) = waiter.kind { return true }
      return false
    }
    let found = state.withLock { state -> Waiter? in
      for lane in state.lanes.indices {
        if let index = state.lanes[lane].waiters.firstIndex(where: isIt) { return state.lanes[lane].waiters.remove(at: index) }
      }
      // Not in a queue yet, or not any more: who asks next with this number finds it here.
      state.abandoned.insert(serial)
      return nil
    }
    if case .task(_, let continuation) = found?.kind { continuation.resume(throwing: CancellationError()) }
  }

  /// Blocks the thread until a connection is free.
  /// - Throws: as `lease`.
  func leaseBlocking(_ wanted: Role, semaphore wait: (ThreadWaiter) -> Void, make: () -> ThreadWaiter) throws(ApusError)
    -> ConnectionHandle
  {
    let role = self.role(wanted), owner = LeaseOwner.current
    if let handle = state.withLock({ $0.isClosed ? nil : takeNow(role, owner, &$0) }) { return handle }
    try checkNotWaitingForItself(role, owner)
    let waiter = make()
    let (handle, isClosed) = state.withLock { state -> (ConnectionHandle?, Bool) in
      if state.isClosed { return (nil, true) }
      if let handle = takeNow(role, owner, &state) { return (handle, false) }
      append(Waiter(kind: .thread(waiter), owner: owner), role, &state)
      return (nil, false)
    }
    if isClosed { throw Self.closed }
    if let handle { return handle }
    wait(waiter)
    guard let handle = waiter.handle else { throw Self.closed }
    return handle
  }

  /// Gives a connection back; the next in the queue gets it.
  func giveBack(_ handle: ConnectionHandle) {
    let (next, closing) = state.withLock { state -> (Waiter?, CheckedContinuation<Void, Never>?) in
      let lane = handle.role.rawValue
      let next = state.lanes[lane].waiters.isEmpty ? nil : state.lanes[lane].waiters.removeFirst()
      handle.leaseOwner = next?.owner
      if next == nil { state.lanes[lane].idle.append(handle) }
      if next != nil { return (next, nil) }
      state.leaseCount -= 1
      if state.leaseCount == 0, let continuation = state.closeContinuation {
        state.closeContinuation = nil
        return (nil, continuation)
      }
      return (nil, nil)
    }
    switch next?.kind {
    case .task(_, let continuation): continuation.resume(returning: handle)
    case .thread(let waiter): waiter.give(handle)
    case nil: break
    }
    closing?.resume()
  }

  /// No lease is given any more; those who wait are refused.
  /// - Returns: false where it was closed before.
  private func refuseAll() -> Bool {
    let (waiters, isFirst) = state.withLock { state -> ([Waiter], Bool) in
      let isFirst = !state.isClosed
      let waiters = state.lanes.flatMap(\.waiters)
      if isFirst { state.closing = .underWay([]) }
      for lane in state.lanes.indices { state.lanes[lane].waiters = [] }
      return (waiters, isFirst)
    }
    for waiter in waiters {
      switch waiter.kind {
      case .task(_, let continuation): continuation.resume(throwing: Self.closed)
      case .thread(let thread): thread.give(nil)
      }
    }
    return isFirst
  }

  /// Refuses new leases and waits for those that are out.
  /// - Returns: the connections, to be closed before `endClosing` is called; nil where somebody else closes them, or has done so.
  /// - Throws: SQLITE_MISUSE where the caller is in a transaction, for whose end it would wait.
  nonisolated(nonsending) func drain() async throws(ApusError) -> [ConnectionHandle]? {
    let owner = LeaseOwner.current
    if state.withLock({ state in state.lanes.contains { $0.isHeld(by: owner) } }) {
      throw Self.waitsForItself(
        "a database is closed within one of its transactions, for whose end that would wait",
        "close it behind the closure")
    }
    guard refuseAll() else { return nil }
    await withCheckedContinuation { continuation in
      let isIdle = state.withLock { state -> Bool in
        if state.leaseCount == 0 { return true }
        state.closeContinuation = continuation
        return false
      }
      if isIdle { continuation.resume() }
    }
    return takeAll()
  }

  /// Whoever has drained the pool has closed its connections: answers those who wait for that.
  func endClosing(_ outcome: Result<Void, any Error>) {
    let waiting = state.withLock { state -> [CheckedContinuation<Void, any Error>] in
      guard case .underWay(let waiting) = state.closing else { preconditionFailure("a pool is closed once") }
      state.closing = .ended(outcome)
      return waiting
    }
    for continuation in waiting { continuation.resume(with: outcome) }
  }

  /// Waits until somebody else has closed the connections.
  /// - Throws: what that met.
  nonisolated(nonsending) func awaitClosing() async throws {
    try await withCheckedThrowingContinuation { continuation in
      let outcome = state.withLock { state -> Result<Void, any Error>? in
        switch state.closing {
        case .open: preconditionFailure("nobody closes the pool")
        case .underWay(let waiting):
          state.closing = .underWay(waiting + [continuation])
          return nil
        case .ended(let outcome): return outcome
        }
      }
      if let outcome { continuation.resume(with: outcome) }
    }
  }

  /// For tests: who waits for a connection, and who was remembered as one that does not any more.
  var waiterCount: Int { state.withLock { state in state.lanes.reduce(0) { $0 + $1.waiters.count } } }
  var abandonedCount: Int { state.withLock { $0.abandoned.count } }

  /// The idle connections, without waiting for the others: for a database that is dropped, which nobody uses any more.
  func drainNow() -> [ConnectionHandle] { refuseAll() ? takeAll() : [] }

  private func takeAll() -> [ConnectionHandle] {
    state.withLock { state in
      defer { for lane in state.lanes.indices { state.lanes[lane].idle = [] } }
      // The writer last: it checkpoints when nobody else has the file open.
      return state.lanes.flatMap(\.idle)
    }
  }
}
