// A world in which nothing happens by chance: requests complete in the order of their making, nothing is cached, no fault comes.
// What tries every case one by one (each crash point, each wait) stands on it.

import ApusBase

final class QuietWorld {
  /// The files of a world, apart from everything else in it.
  struct Files {
    var content: [(path: String, bytes: [UInt8])]
  }

  static let path = World.path
  /// Most waits of one statement before it counts as hanging.
  private static let patience = 400_000

  let disk: SimulatedDisk
  let clock = VirtualClock()
  /// Requests that have completed since the beginning.
  private(set) var completedCount = 0

  /// - Parameter survivorSeed: what decides over the sectors that a torn survivor set keeps.
  init(_ files: Files? = nil, survivorSeed: UInt64 = 0) {
    disk = SimulatedDisk(choices: ChoiceSource(.only("survivors", seed: survivorSeed)))
    disk.clock = clock
    for file in files?.content ?? [] { disk.install(file.path, file.bytes) }
  }

  var files: Files {
    Files(content: disk.names.sorted { $0.key < $1.key }.map { (path: $0.key, bytes: $0.value.current) })
  }

  func connect(pageFaultSeed: UInt64? = nil) throws(EngineError) -> EngineClient {
    let process = SimulatedEnvironment(disk: disk, clock: clock, seed: 1)
    return try EngineClient(
      environment: process, path: Self.path, lockByteOffset: 0x4000_0000, faultSeed: pageFaultSeed)
  }

  /// What one wait waits for happens.
  func serve(_ wait: Wait) {
    switch wait {
    case .moment(let moment), .signal(let moment): clock.monotonicNanoseconds = max(clock.monotonicNanoseconds, moment)
    case .completion, .nothing: if disk.completeOne() { completedCount += 1 }
    }
  }

  func drain() { while disk.completeOne() { completedCount += 1 } }

  /// Runs a statement to its end.
  /// - Returns: nil where `isOver` said so at a wait; the statement stands there then.
  func run(
    _ engine: EngineClient, _ sql: String, _ bindings: [Operation.Binding] = [], until isOver: () -> Bool = { false }
  ) throws(Finding) -> Result<[[ImageField]], EngineError>? {
    engine.start(sql, bindings)
    var rows: [[ImageField]] = []
    for _ in 0..<Self.patience {
      switch engine.poll() {
      case .row(let fields): rows.append(fields)
      case .done: return .success(rows)
      case .failed(let error): return .failure(error)
      case .waiting(let wait):
        if isOver() { return nil }
        serve(wait)
      }
    }
    throw Finding(oracle: .liveness, text: "\(sql) does not end")
  }

  /// Runs a statement that must succeed.
  @discardableResult
  func must(_ engine: EngineClient, _ sql: String) throws(Finding) -> [[ImageField]] {
    switch try run(engine, sql) {
    case .success(let rows)?: return rows
    case .failure(let error)?: throw Finding(oracle: .error, text: "\(sql): \(error) (code \(error.code.rawValue))")
    case nil: return []
    }
  }

  func open(pageFaultSeed: UInt64? = nil) throws(Finding) -> EngineClient {
    do throws(EngineError) {
      return try connect(pageFaultSeed: pageFaultSeed)
    } catch {
      throw Finding(oracle: .error, text: "opening: \(error) (code \(error.code.rawValue))")
    }
  }

  func close(_ engine: EngineClient) throws(Finding) {
    if let error = try engine.close() { throw Finding(oracle: .error, text: "closing: \(error)") }
  }

  /// The database as its bytes say, and what is wrong with them.
  func walk() -> (
    image: FileImage, walker: FileWalker, schema: [FileWalker.SchemaRow], entries: [Int: [FileWalker.Entry]]
  ) {
    let image = FileImage(
      database: disk.content(of: Self.path) ?? [], wal: disk.content(of: Self.path + "-wal"))
    var walker = FileWalker(image)
    let found = walker.walk()
    return (image, walker, found.schema, found.entries)
  }
}
