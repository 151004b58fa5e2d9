// The engine's own recovery, on a copy of what a power cut would leave: the files must hold afterwards what their formats say that
// they held before, page by page. A real cut shows that once in an era; here every kind of change is cut in its midst.
//
// What is promised does not matter here: a journal that was torn is played back as far as it goes, by both.

import ApusBase
import ApusIO

struct RecoveryProbe {
  private static let stepsMax = 100_000

  private let world: World
  private let disk: SimulatedDisk
  private let environment: SimulatedEnvironment

  /// - Parameter seed: of the other world.
  init(_ platter: Platter, _ world: World, seed: UInt64) {
    self.world = world
    disk = SimulatedDisk(choices: ChoiceSource(.seed(seed)))
    environment = SimulatedEnvironment(disk: disk, clock: disk.clock, seed: seed)
    #if PlantedBugs
      disk.smallLimits = world.disk.smallLimits
    #endif
    for path in platter.names.keys.sorted() { disk.install(path, platter.content(of: path) ?? []) }
  }

  /// Breaks the file's header where its log holds page 1, and so all that the header says: the log is the file's own all the same
  /// (SPEC, "Which file has a log"), and recovery makes of both what it would have made of a whole header.
  func damageHeader(_ path: String, _ choices: ChoiceStream) {
    guard var content = disk.content(of: path), content.count >= Self.headerByteCount,
      disk.content(of: path + "-journal")?.isEmpty ?? true, let log = disk.content(of: path + "-wal"),
      FileImage.committedFrames(log).frames[1] != nil
    else { return }
    let broken: Range<Int> =
      switch choices.below(3, .headerDamage) {
      case 0: 0..<Self.headerByteCount
      case 1: 0..<16
      default: 18..<20
      }
    for place in broken { content[place] = broken.count == 2 ? Self.rollbackVersion : 0 }
    disk.install(path, content)
  }

  private static let headerByteCount = 100
  /// What the header says where the file has no log.
  private static let rollbackVersion: UInt8 = 1

  /// Opens the file, reads it and closes it again.
  /// - Returns: the file then, or why what it holds cannot be read; its log is not copied back in that case.
  func recover(_ path: String, _ moment: String) throws(Finding) -> Result<FileImage, EngineError> {
    let engine: EngineClient
    do throws(EngineError) {
      engine = try EngineClient(
        environment: environment, path: path, lockByteOffset: world.profile.lockByteOffset, faultSeed: nil)
    } catch {
      throw Finding(oracle: .error, text: "\(moment): opening \(path): \(error) (code \(error.code.rawValue))")
    }
    engine.start("SELECT n FROM stamp", [])
    var problem: EngineError?
    steps: for _ in 0..<Self.stepsMax {
      disk.noteTurn()
      switch engine.poll() {
      case .row: break
      case .done: break steps
      case .failed(let error):
        problem = error
        if FaultKind.damageCodes.contains(error.code) || error.code == .error { break steps }
        throw Finding(oracle: .error, text: "\(moment): reading \(path): \(error) (code \(error.code.rawValue))")
      case .waiting(.moment(let moment)), .waiting(.signal(let moment)):
        disk.clock.monotonicNanoseconds = max(disk.clock.monotonicNanoseconds, moment)
      case .waiting(.completion), .waiting(.nothing): disk.completeOne()
      }
    }
    _ = try engine.close()
    if let problem { return .failure(problem) }
    if let left = remains(path) {
      throw Finding(oracle: .leak, text: "\(moment) recovery of \(path) would leave \(left)")
    }
    return .success(image(path))
  }

  /// What is left of a file that was recovered, read and closed by somebody alone: of its journal nothing that is played back once
  /// more, of its log nothing at all, nor a handle or a lock.
  private func remains(_ path: String) -> String? {
    if let journal = disk.content(of: path + "-journal"), !JournalImage(journal).isHeadless { return "its journal" }
    // An empty one is none.
    if disk.content(of: path + "-wal")?.isEmpty == false { return "its log" }
    if let handle = disk.handles.min(by: { $0.key < $1.key })?.value { return "\(handle.path) open" }
    if let shared = disk.sharedMemories.keys.min() { return "the wal-index of \(shared)" }
    if let lock = disk.file(named: path)?.locks.first { return "a lock (\(lock.kind)) on bytes \(lock.range)" }
    return disk.inFlight.first.map { "a request for \($0.path)" }
  }

  /// The super-journals that hold the files' journals together: each is there, and every journal that ends with its name counts.
  func superJournals(_ paths: [String]) -> Set<String> {
    let journals = paths.compactMap { disk.content(of: $0 + "-journal") }.map(JournalImage.init)
    let wanted = Set(journals.filter { !$0.isHeadless }.compactMap(\.superJournal))
    return wanted.subtracting(journals.filter(\.isHeadless).compactMap(\.superJournal)).filter {
      disk.content(of: $0) != nil
    }
  }

  /// When all files are recovered that a super-journal has held together, it is gone.
  func checkSuperJournals(_ names: Set<String>, _ moment: String) throws(Finding) {
    guard let name = names.sorted().first(where: { disk.content(of: $0) != nil }) else { return }
    throw Finding(oracle: .leak, text: "\(moment) the recovery of all files would leave the super-journal \(name)")
  }

  /// The file as it lies there now.
  private func image(_ path: String) -> FileImage {
    FileImage(
      database: disk.content(of: path) ?? [], wal: disk.content(of: path + "-wal"),
      lockByteOffset: Int(world.profile.lockByteOffset))
  }
}

extension FileImage {
  /// - Returns: the first page in which the two differ, in words; nil where they are the same.
  func difference(from other: FileImage) -> String? {
    if pages.count != other.pages.count { return "\(other.pages.count) pages instead of \(pages.count)" }
    for place in pages.indices where place + 1 != lockPage && pages[place] != other.pages[place] {
      return "another page \(place + 1), of \(pages.count)"
    }
    return nil
  }
}
