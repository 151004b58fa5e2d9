// Power cuts under a real file system: transactions on ext4 on a loop device on a disk that tells what it was asked
// (`DiskServer`); then, for many moments of that story, the disk as a cut at that moment could have left it, mounted, opened
// and compared with what had been acknowledged. It checks the simulator's model of a disk against the kernel's.
// `unsafe` lives here: mkdir(2), open(2), pwrite(2), unlink(2), access(2), io_uring_setup(2).

import ApusBase
import ApusHarness
import ApusIO
import Glibc

struct PowerCutRig {
  struct Setting: Sendable {
    var journal: String
    var synchronous: String
    /// Commits that a cut may take back although they were acknowledged; nil: any number, but a prefix stays.
    var mayLose: Int?
    /// All data goes through the ring, lone requests too.
    var usesRing = false

    var name: String { "\(journal) \(synchronous)\(usesRing ? " io_uring" : "")" }
  }

  /// A journal that is deleted comes back with its directory entry unless the directory is synced, which is EXTRA.
  static let settings = [
    Setting(journal: "wal", synchronous: "FULL", mayLose: 0),
    Setting(journal: "wal", synchronous: "FULL", mayLose: 0, usesRing: true),
    Setting(journal: "delete", synchronous: "EXTRA", mayLose: 0),
    Setting(journal: "delete", synchronous: "FULL", mayLose: 1, usesRing: true),
    Setting(journal: "truncate", synchronous: "FULL", mayLose: 0),
    Setting(journal: "persist", synchronous: "FULL", mayLose: 0, usesRing: true),
    Setting(journal: "wal", synchronous: "NORMAL", mayLose: nil),
  ]
  /// Without a sync commits must be lost, whatever the journal.
  static let controls = ["wal", "delete", "truncate", "persist"].map {
    Setting(journal: $0, synchronous: "OFF", mayLose: 0)
  }
  private static let cutsPerControl = 20
  /// One in so many cuts may leave a file system that does not mount: the rig's own noise.
  private static let cutsPerUnmountable = 50

  private static let imageBytes = 32 << 20
  private static let blockBytes = 4096

  let options: PowerCutCommand.Options
  private let directory: String

  init(_ options: PowerCutCommand.Options) {
    self.options = options
    directory = "\(options.directory)/apus-power-\(getpid())"
  }

  // MARK: all of it

  /// - Returns: true where every cut was clean and each negative control lost commits; also where the machine does
  ///   not carry the rig (`RigRefusal`), which is said.
  func run() -> Bool {
    do {
      unsafe mkdir(directory, 0o700)
      for part in ["disk", "live", "cut"] { unsafe mkdir("\(directory)/\(part)", 0o700) }
      defer { tidyUp() }
      let perSetting = max(1, (options.cuts + Self.settings.count - 1) / Self.settings.count)
      var cuts = 0, unmountable = 0
      for (index, setting) in Self.settings.enumerated() {
        let seed = options.seed &* 100 &+ UInt64(index)
        let story = try tell(setting, seed: seed)
        let outcome = try cut(story, setting, seed: seed, count: perSetting)
        for failure in outcome.failures { Console.line("FAILED \(setting.name) seed \(seed): \(failure)") }
        Console.line(
          "\(setting.name): \(story.acknowledged) commits, \(story.events.count) events, \(outcome.cuts) cuts, "
            + "\(outcome.failures.count + outcome.lost.count) failed, at most \(outcome.mostLost) commits taken back")
        for failure in outcome.lost { Console.line("FAILED \(setting.name) seed \(seed): \(failure)") }
        if !outcome.failures.isEmpty || !outcome.lost.isEmpty { return false }
        cuts += outcome.cuts
        unmountable += outcome.unmountable
      }
      var isProof = true
      for control in Self.controls {
        let story = try tell(control, seed: options.seed)
        let outcome = try cut(story, control, seed: options.seed, count: Self.cutsPerControl)
        let caught = outcome.lost.count + outcome.failures.count
        Console.line("negative control, \(control.name): \(caught) of \(outcome.cuts) cuts lost commits or worse")
        if caught > 0 { continue }
        Console.line("FAILED: the negative control lost nothing, so the rig proves nothing")
        isProof = false
      }
      let noise = unmountable == 0 ? "" : " (\(unmountable) more left a file system that would not mount)"
      Console.line("power cuts: \(cuts) clean\(noise)")
      if unmountable > perSetting * Self.settings.count / Self.cutsPerUnmountable {
        Console.line("FAILED: too many of them would not mount")
        isProof = false
      }
      return isProof
    } catch let refusal as RigRefusal {
      Console.line("SKIPPED power cuts: \(refusal.text)")
      return true
    } catch {
      Console.line("FAILED power cuts: \((error as? ProofFailure)?.text ?? "\(error)")")
      return false
    }
  }

  private func tidyUp() {
    for part in ["cut", "live"] { unsafe _ = umount2("\(directory)/\(part)", Int32(MNT_DETACH)) }
    _ = tool("/bin/rm", ["-rf", directory])
  }

  @discardableResult
  private func tool(_ program: String, _ arguments: [String]) -> ChildResult? {
    ChildProcess.run(program, [program] + arguments)?.wait()
  }

  private func need(_ program: String, _ arguments: [String]) throws -> String {
    if unsafe access(program, X_OK) != 0 { throw RigRefusal.error(program) }
    guard let result = tool(program, arguments) else { throw ProofFailure("\(program) cannot be started") }
    if result.status != 0 {
      throw ProofFailure("\(program) \(arguments.joined(separator: " ")): exit \(result.status)")
    }
    return String(result.output.split(separator: "\n").first ?? "")
  }

  /// What the tools need of the machine.
  private func needDevices() throws {
    let control = unsafe open("/dev/loop-control", O_RDWR | O_CLOEXEC)
    if control < 0 { throw RigRefusal.error("/dev/loop-control") }
    close(control)
    if unsafe access("/dev/loop0", R_OK | W_OK) != 0 { throw RigRefusal.error("/dev/loop0") }
  }

  // MARK: the story

  struct Story {
    /// The disk when the transactions began, and all that arrived then.
    var image: [UInt8]
    var events: [DiskEvent]
    var acknowledged: Int
  }

  /// Runs the transactions on a fresh disk.
  private func tell(_ setting: Setting, seed: UInt64) throws -> Story {
    let disk = "\(directory)/disk", live = "\(directory)/live"
    let server = try DiskServer(mountPoint: disk, byteCount: Self.imageBytes)
    defer { server.stop() }
    try needDevices()
    let loop = try need(
      "/usr/sbin/losetup", ["-f", "--show", "--direct-io=on", "\(disk)/\(DiskServer.imageName)"])
    defer { tool("/usr/sbin/losetup", ["-d", loop]) }
    _ = try need("/usr/sbin/mkfs.ext4", ["-q", "-F", "-b", "4096", "-J", "size=4", "-E", "nodiscard", loop])
    _ = try need("/usr/bin/mount", ["-t", "ext4", loop, live])
    defer { tool("/usr/bin/umount", [live]) }
    _ = try writer(setting, seed: seed, count: 0)
    sync()
    let image = server.takeImage()
    let backend = try writer(setting, seed: seed, count: options.commits)
    if setting.usesRing, !backend.hasPrefix("io_uring") {
      if Self.kernelGrantsRings { throw ProofFailure("\(setting.name) has run with \(backend)") }
      Console.line("SKIPPED \(setting.name): this kernel grants no io_uring; what follows has run with \(backend)")
    }
    let events = server.takeEvents()
    let acknowledged = events.reduce(0) { last, event in
      if case .acknowledged(let number) = event { return number }
      return last
    }
    if acknowledged != options.commits {
      throw ProofFailure("\(setting.name): \(acknowledged) commits were acknowledged")
    }
    return Story(image: image, events: events, acknowledged: acknowledged)
  }

  /// Whether io_uring_setup(2) gives a ring, asked without the engine, whose answer is on trial.
  private static let kernelGrantsRings: Bool = {
    typealias SystemCall = @convention(c) (Int, UInt, UnsafeMutableRawPointer?) -> Int
    guard let library = unsafe dlopen(nil, RTLD_NOW), let address = unsafe dlsym(library, "syscall") else {
      return false
    }
    let systemCall = unsafe unsafeBitCast(address, to: SystemCall.self)
    // `struct io_uring_params` has 120 bytes.
    var parameters = [UInt8](repeating: 0, count: 120)
    let ring = unsafe parameters.withUnsafeMutableBytes { unsafe systemCall(425, 1, $0.baseAddress) }
    if ring < 0 { return false }
    close(Int32(ring))
    return true
  }()

  /// A process of its own runs the transactions, and is killed at their end: nothing is closed.
  /// - Returns: how it had its data written, in the end.
  private func writer(_ setting: Setting, seed: UInt64, count: Int) throws -> String {
    let arguments = [
      "power-cut-writer", "--seed", "\(seed)", "--commits", "\(count)", "--journal", setting.journal, "--synchronous",
      setting.synchronous, "--directory", "\(directory)/live", "--acknowledgements",
      "\(directory)/disk/\(DiskServer.acknowledgementName)",
    ]
    guard let result = ChildProcess.again(arguments + (setting.usesRing ? ["--ring"] : []))?.wait() else {
      throw ProofFailure("the writer cannot be started")
    }
    if result.status != (count == 0 ? 0 : -SIGKILL) {
      throw ProofFailure("the writer: \(result.status) \(result.output)")
    }
    return String(result.output.prefix { $0 != "\n" })
  }

  static func runWriter(_ options: PowerCutCommand.Options) throws {
    var ring = RingOptions()
    ring.sendsEverything = options.usesRing
    let engine = ApusEngine(environment: SystemEnvironment(options: ring))
    let connection = try engine.open("\(options.directory)/test.db", readOnly: false)
    let workload = CutWorkload(seed: options.seed)
    try connection.takeJournalMode(options.journal)
    try connection.execute("PRAGMA synchronous = \(options.synchronous)")
    let level = ["OFF", "NORMAL", "FULL", "EXTRA"].firstIndex(of: options.synchronous).map { Int64($0) } ?? -1
    let found = try connection.rows("PRAGMA synchronous").rows
    if found != [[.integer(level)]] { throw ProofFailure("synchronous = \(options.synchronous) is \(found)") }
    if options.commits == 0 {
      try connection.execute(CutWorkload.schema)
      return connection.close()
    }
    // Small logs: checkpoints and restarts are a part of the story.
    try connection.execute("PRAGMA wal_autocheckpoint = 40")
    try workload.run(on: connection, count: options.commits, acknowledgements: options.acknowledgements)
    guard case .text(let backend)? = try connection.rows("PRAGMA io_backend").rows.first?.first else {
      throw ProofFailure("io_backend gives no text")
    }
    Console.line(String(decoding: backend, as: UTF8.self))
    kill(getpid(), SIGKILL)
  }

  // MARK: cuts

  struct Outcome {
    var cuts = 0
    var unmountable = 0
    /// Damage: what was found is no transaction's end.
    var failures: [String] = []
    /// Whole, but older than what had been acknowledged.
    var lost: [String] = []
    var mostLost = 0
  }

  private func cut(_ story: Story, _ setting: Setting, seed: UInt64, count: Int) throws -> Outcome {
    var outcome = Outcome()
    var random = SeededRandom(seed: seed ^ 0xc07)
    var moments: [Int] = []
    for _ in 0..<count {
      var moment = random.below(story.events.count + 1)
      // Half of them at once behind an acknowledgement, where a sync that is missing shows.
      if random.oneIn(2) {
        while moment < story.events.count {
          if case .acknowledged = story.events[moment] { break }
          moment += 1
        }
        moment = min(moment + 1, story.events.count)
      }
      moments.append(moment)
    }
    moments.sort()
    var image = story.image, done = 0, acknowledged = 0
    var unflushed: [(offset: Int, bytes: [UInt8])] = []
    for (number, moment) in moments.enumerated() {
      while done < moment {
        switch story.events[done] {
        case .write(let offset, let bytes): unflushed.append((offset, bytes))
        case .flush:
          for write in unflushed { image.replaceSubrange(write.offset..<write.offset + write.bytes.count, with: write.bytes) }
          unflushed = []
        case .acknowledged(let number): acknowledged = number
        }
        done += 1
      }
      var left = image
      // Of what no flush has covered: nothing, all, or some blocks.
      let fate = random.below(4)
      for write in unflushed where fate != 0 {
        for start in stride(from: 0, to: write.bytes.count, by: Self.blockBytes) {
          if fate > 1, random.oneIn(2) { continue }
          let end = min(start + Self.blockBytes, write.bytes.count)
          left.replaceSubrange(write.offset + start..<write.offset + end, with: write.bytes[start..<end])
        }
      }
      try examine(left, setting, seed, moment, acknowledged, byApus: number % 2 == 0, &outcome)
    }
    return outcome
  }

  private func examine(
    _ image: [UInt8], _ setting: Setting, _ seed: UInt64, _ moment: Int, _ acknowledged: Int, byApus: Bool,
    _ outcome: inout Outcome
  ) throws {
    let path = "\(directory)/cut.img"
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw ProofFailure("\(path): \(RigRefusal.reason)") }
    var written = 0
    unsafe image.withUnsafeBytes { bytes in
      while written < bytes.count {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[written...])
        let count = unsafe pwrite(descriptor, rest.baseAddress, rest.count, off_t(written))
        if count <= 0 { break }
        written += count
      }
    }
    close(descriptor)
    if written < image.count { throw ProofFailure("\(path): short write") }
    let mounted = tool("/usr/bin/mount", ["-t", "ext4", "-o", "loop", path, "\(directory)/cut"])
    guard let mounted, mounted.status == 0 else {
      outcome.unmountable += 1
      return
    }
    let arguments = [
      "power-cut-check", "--seed", "\(seed)", "--directory", "\(directory)/cut", "--engine", byApus ? "apus" : "sqlite",
    ]
    let result = ChildProcess.again(arguments)?.wait()
    tool("/usr/bin/umount", ["\(directory)/cut"])
    outcome.cuts += 1
    let what = "cut at event \(moment), \(byApus ? "Apus" : "SQLite") recovers"
    guard let result, result.status == 0, let found = Int(result.output.prefix { $0.isNumber }) else {
      outcome.failures.append("\(what): exit \(result?.status ?? -1): \(result?.output ?? "")")
      return
    }
    outcome.mostLost = max(outcome.mostLost, acknowledged - found)
    if let mayLose = setting.mayLose, found + mayLose < acknowledged {
      outcome.lost.append("\(what): transaction \(found), \(acknowledged) was acknowledged")
    }
  }

  /// Prints the number of the transaction that the file ends with.
  static func runCheck(_ options: PowerCutCommand.Options) throws {
    let engine = try Engines.named(options.engine)
    let connection = try engine.open("\(options.directory)/test.db", readOnly: false)
    guard let number = try CutWorkload(seed: options.seed).check(connection) else { throw ProofFailure("no table") }
    Console.line("\(number)")
    connection.close()
  }
}
