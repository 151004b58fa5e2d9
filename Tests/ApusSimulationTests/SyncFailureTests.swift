// A failed sync of the log that one connection asks for, told once or to those who have the log open, and the commits of others.

import Apus
import ApusBase
import Testing

@testable import ApusSimulation

@Suite("A failed sync of the log")
struct SyncFailureTests {
  /// Two connections of a process on one log: one writes, the other one copies back.
  private struct Pair {
    let disk: SimulatedDisk
    let clock = VirtualClock()
    let process: SimulatedEnvironment
    let writer: EngineClient
    let copier: EngineClient

    init(_ kind: FaultKind) throws {
      let choices = ChoiceSource(.seed(9))
      disk = SimulatedDisk(choices: choices)
      disk.clock = clock
      var rates = FaultRates()
      rates[kind] = 1
      disk.faults = FaultInjector(rates, choices)
      process = SimulatedEnvironment(disk: disk, clock: clock, seed: 9)
      writer = try Self.open(process)
      copier = try Self.open(process)
      for sql in [
        "PRAGMA journal_mode=wal", "PRAGMA synchronous=full", "PRAGMA wal_autocheckpoint=0", "CREATE TABLE t(x)",
        "INSERT INTO t VALUES (0)",
      ] { try run(writer, sql) }
      for sql in ["SELECT x FROM t", "PRAGMA synchronous=full", "PRAGMA wal_autocheckpoint=0"] { try run(copier, sql) }
      try run(writer, "INSERT INTO t VALUES (1)")
    }

    static func open(_ process: SimulatedEnvironment) throws(EngineError) -> EngineClient {
      try EngineClient(environment: process, path: "/s.db", lockByteOffset: 0x4000_0000, faultSeed: nil)
    }

    /// Goes on with the statement that was started.
    func finish(_ client: EngineClient) throws {
      while client.isBusy {
        switch client.poll() {
        case .row, .done: break
        case .failed(let error): throw error
        case .waiting(.completion), .waiting(.nothing): disk.completeOne()
        case .waiting(.moment(let moment)), .waiting(.signal(let moment)):
          if !disk.completeOne() { clock.monotonicNanoseconds = max(clock.monotonicNanoseconds, moment) }
        }
      }
    }

    func run(_ client: EngineClient, _ sql: String) throws {
      client.start(sql, [])
      try finish(client)
    }

    /// Goes on until a request of the kind is in flight, alone.
    func goOn(_ client: EngineClient, until isIt: (DiskRequest.Kind) -> Bool) throws {
      for _ in 0..<1000 where !disk.inFlight.contains(where: { isIt($0.kind) }) {
        if case .failed(let error) = client.poll() { throw error }
        while !disk.inFlight.contains(where: { isIt($0.kind) }), disk.completeOne() {}
      }
    }

    static func isLogWrite(_ kind: DiskRequest.Kind) -> Bool {
      if case .write(let file, _, _) = kind { file.role == .log } else { false }
    }

    static func isLogSync(_ kind: DiskRequest.Kind) -> Bool {
      if case .sync(let file, _, _) = kind { file.role == .log } else { false }
    }

    /// The oldest request in flight completes: a sync, which fails.
    func failSync() {
      disk.faults.isActive = true
      disk.advance(0)
      disk.faults.isActive = false
    }
  }

  @Test(
    "a checkpoint's failed sync is told to the commit whose frames it was to cover, pending or just written",
    arguments: [FaultKind.syncToldOnce, .syncKeepsView, .syncRevertsView], [true, false])
  func checkpoint(kind: FaultKind, isPending: Bool) throws {
    let pair = try Pair(kind)
    pair.writer.start("INSERT INTO t VALUES (2)", [])
    try pair.goOn(pair.writer, until: Pair.isLogWrite)
    while pair.disk.completeOne() {}
    pair.copier.start("PRAGMA wal_checkpoint(passive)", [])
    try pair.goOn(pair.copier, until: Pair.isLogSync)
    // It hands its turn over, and waits for the sync that is under way.
    if isPending, case .failed(let error) = pair.writer.poll() { throw error }
    pair.failSync()
    #expect { try pair.finish(pair.copier) } throws: { ($0 as? EngineError)?.code == .ioErrorFsync }
    // Nobody else would ever be told: the descriptors of those who come later know nothing.
    let other = try Pair.open(pair.process)
    try pair.run(other, "PRAGMA wal_checkpoint(passive)")
    #expect { try pair.finish(pair.writer) } throws: { ($0 as? EngineError)?.code.primary == .ioError }
    for client in [pair.writer, pair.copier, other] { _ = try client.close() }
  }

  @Test("the sync that a dropped checkpoint has left is not the one that a transaction on a pending commit waits for")
  func droppedCheckpoint() throws {
    let pair = try Pair(.syncToldOnce)
    pair.copier.start("PRAGMA wal_checkpoint(passive)", [])
    try pair.goOn(pair.copier, until: Pair.isLogSync)
    pair.copier.drop()
    pair.writer.start("INSERT INTO t VALUES (2)", [])
    try pair.goOn(pair.writer, until: Pair.isLogWrite)
    while pair.disk.completeOne() {}
    if case .failed(let error) = pair.writer.poll() { throw error }
    for sql in ["BEGIN IMMEDIATE", "SELECT count(*) FROM t"] {
      pair.copier.start(sql, [])
      for _ in 0..<100 where pair.copier.isBusy {
        if case .row(let fields) = pair.copier.poll() { Issue.record("\(fields) is told of a commit that is not durable") }
        while let place = pair.disk.inFlight.firstIndex(where: { if case .read = $0.kind { true } else { false } }) {
          pair.disk.advance(place)
        }
      }
    }
    #expect(pair.copier.isBusy)
    try pair.finish(pair.copier)
    try pair.run(pair.copier, "COMMIT")
    try pair.finish(pair.writer)
    for client in [pair.writer, pair.copier] { _ = try client.close() }
  }
}
