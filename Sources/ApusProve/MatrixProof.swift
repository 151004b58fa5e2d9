// Files of every kind: page size, encoding, auto_vacuum, journal mode, and how the process that wrote them ended (well, or killed
// in its commits, checkpoints, VACUUMs). SQLite writes them and we recover, change and hand them back; and the other way round.

import ApusBase
import ApusHarness
import Glibc

struct MatrixProof {
  struct Cell: CustomStringConvertible {
    var pageSize: Int
    var encoding: String
    var autoVacuum: Int
    var journal: String
    var crash: String
    var maker: String

    static let pageSizes = [4096, 512, 1024, 65536, 2048, 8192, 16384, 32768]
    static let encodings = ["UTF-8", "UTF-16le", "UTF-16be"]
    static let journals = ["wal", "delete", "truncate", "persist"]
    static let crashes = ["commit", "checkpoint", "vacuum", "clean"]
    static var count: Int { pageSizes.count * encodings.count * 3 * journals.count * crashes.count }

    /// Neighbouring numbers differ in most; all cells come once before one comes twice, and any two dozen have all
    /// values of each.
    init(_ number: Int) {
      var rest = number % Self.count &* 517 % Self.count
      func take(_ count: Int) -> Int {
        defer { rest /= count }
        return rest % count
      }
      pageSize = Self.pageSizes[take(Self.pageSizes.count)]
      encoding = Self.encodings[take(3)]
      autoVacuum = take(3)
      journal = Self.journals[take(4)]
      crash = Self.crashes[take(4)]
      maker = (number + number / Self.count) % 3 == 2 ? "apus" : "sqlite"
    }

    var description: String {
      "page \(pageSize) \(encoding) auto_vacuum \(autoVacuum) \(journal), \(crash), by \(maker)"
    }
  }

  let options: ProveCommand.Options
  private let sqlite: any HarnessEngine
  private let ours: any HarnessEngine = ApusEngine()
  private static let suffixes = ["", "-journal", "-wal", "-shm"]
  /// So many files and more have journals or logs among them, and so many both.
  private static let filesForEither = 24, filesForBoth = 192

  init(_ options: ProveCommand.Options) throws {
    self.options = options
    sqlite = try SQLiteLibrary()
  }

  // MARK: - All files

  /// Splits the work among `jobs` children and adds their lines up.
  func run() -> Bool {
    let started = Console.nanoseconds()
    var children: [LiveChild] = []
    for job in 0..<options.jobs {
      let first = options.files * job / options.jobs, end = options.files * (job + 1) / options.jobs
      let arguments = [
        "matrix", "--child", "--seed", "\(options.seed)", "--number", "\(first)", "--files", "\(end - first)", "--transactions",
        "\(options.transactions)", "--directory", options.directory,
      ]
      guard let child = LiveChild.again(arguments) else { ProveCommand.stop("cannot start a child process") }
      children.append(child)
    }
    var figures = [0, 0, 0, 0], isGood = true
    while true {
      for child in children {
        for line in child.lines() {
          let fields = line.split(separator: "\t").map(String.init)
          switch fields.first {
          case "D": for (index, text) in fields.dropFirst().enumerated() { figures[index] += Int(text) ?? 0 }
          default:
            isGood = false
            Console.line(line)
          }
        }
      }
      if children.allSatisfy(\.isAtEnd) { break }
      LiveChild.wait(for: children, milliseconds: 200)
    }
    for child in children where child.join() != 0 {
      isGood = false
      Console.line("matrix: a child ended with \(child.join())")
    }
    if isGood, let lack = lack(figures) {
      isGood = false
      Console.line("matrix: \(lack)")
    }
    let seconds = (Console.nanoseconds() - started) / 1_000_000_000
    Console.line(
      "matrix: \(figures[0]) files held against the model (\(figures[1]) journals, \(figures[2]) logs left by "
        + "killed processes; \(figures[3]) transactions), \(seconds) s: \(isGood ? "ok" : "failed")")
    return isGood
  }

  /// What a run without a failure has not done that it should have; nil where it has done all.
  private func lack(_ figures: [Int]) -> String? {
    if figures[0] != options.files { return "\(figures[0]) files were held against the model, not \(options.files)" }
    if figures[3] == 0 { return "no transaction was run" }
    if options.files >= Self.filesForEither, figures[1] + figures[2] == 0 {
      return "no killed process has left a journal or a log"
    }
    if options.files < Self.filesForBoth { return nil }
    return figures[1] == 0 || figures[2] == 0 ? "no killed process has left a journal, or none a log" : nil
  }

  /// Some of them, in a child.
  func runSlice() -> Int32 {
    var status: Int32 = 0
    for number in options.number..<options.number + options.files {
      let cell = Cell(number)
      var random = SeededRandom(seed: options.seed &* 1_000_003 &+ UInt64(number))
      let base = "\(options.directory)/apus-prove-\(options.tag)-matrix"
      var isKept = false
      do {
        let (journals, logs) = try check(cell, base, &random)
        Console.line("D\t1\t\(journals)\t\(logs)\t\(options.transactions)")
      } catch {
        status = 1
        isKept = true
        Console.line("file \(number), seed \(options.seed): \(cell): \((error as? ProofFailure)?.text ?? "\(error)")")
      }
      for path in [base + ".db", base + "-twin.db"] {
        for suffix in Self.suffixes {
          if isKept, let bytes = Console.contents(of: path + suffix) {
            _ = Console.put(bytes, to: "/tmp/apus-matrix-\(number)\(path.hasSuffix("twin.db") ? "-twin" : "").db\(suffix)")
          }
          Console.remove(path + suffix)
        }
      }
    }
    return status
  }

  // MARK: - One file

  private func check(_ cell: Cell, _ base: String, _ random: inout SeededRandom) throws -> (journals: Int, logs: Int) {
    let path = base + ".db", twin = base + "-twin.db"
    try make(cell, path, &random)
    let journals = (Console.contents(of: path + "-journal")?.first ?? 0) != 0 ? 1 : 0
    let logs = (Console.contents(of: path + "-wal")?.count ?? 0) > 32 ? 1 : 0
    for suffix in Self.suffixes {
      // The wal-index is not always there, as after a copy.
      if suffix == "-shm", random.oneIn(2) { continue }
      if let bytes = Console.contents(of: path + suffix), !Console.put(bytes, to: twin + suffix) {
        throw ProofFailure("cannot write \(twin)")
      }
    }
    let (maker, other) = cell.maker == "apus" ? (ours, sqlite) : (sqlite, ours)
    var model = try recovered(twin, by: maker)
    var changer = try opened(path, by: other)
    try model.check(changer, "\(other.name), recovered")
    // Where SQLite has recovered our file, it changes a little, and then we go on.
    if other === sqlite {
      for _ in 0..<20 { try model.runTransaction(&random, on: changer) }
      changer.close()
      changer = try opened(path, by: ours)
    }
    for _ in 0..<options.transactions { try model.runTransaction(&random, on: changer) }
    try model.check(changer, "ours, changed")
    changer.close()
    let last = try opened(path, by: sqlite)
    defer { last.close() }
    try model.check(last, "SQLite, at the end")
    let kind = try ["page_size", "encoding", "auto_vacuum", "journal_mode"].map { name -> String in
      guard case .some(let value) = try last.rows("PRAGMA \(name)").rows.first?.first else { return "" }
      if case .text(let bytes) = value { return String(decoding: bytes, as: UTF8.self) }
      return "\(value)"
    }
    let wanted = ["\(cell.pageSize)", cell.encoding, "\(cell.autoVacuum)", cell.journal == "wal" ? "wal" : "delete"]
    if kind != wanted { throw ProofFailure("the file is of the kind \(kind), not \(wanted)") }
    return (journals, logs)
  }

  private func opened(_ path: String, by engine: any HarnessEngine) throws -> any HarnessConnection {
    let connection = try engine.open(path, readOnly: false)
    try connection.execute("PRAGMA busy_timeout = 2000")
    return connection
  }

  private func recovered(_ path: String, by engine: any HarnessEngine) throws -> TableModel {
    let connection = try opened(path, by: engine)
    defer { connection.close() }
    let model = try TableModel(of: connection)
    try model.check(connection, "\(engine.name), recovered")
    return model
  }

  // MARK: - The process that writes

  private func make(_ cell: Cell, _ path: String, _ random: inout SeededRandom) throws {
    for suffix in Self.suffixes { Console.remove(path + suffix) }
    let arguments = [
      "matrix", "--child", "--database", path, "--engine", cell.maker, "--seed", "\(random.next() >> 8)", "--mode", cell.crash,
      "--page-size", "\(cell.pageSize)", "--journal", cell.journal, "--base", cell.encoding, "--number", "\(cell.autoVacuum)",
    ]
    guard let child = LiveChild.again(arguments) else { throw ProofFailure("cannot start a child process") }
    let limit = Console.nanoseconds() + 60_000_000_000
    var isMade = false
    while true {
      for line in child.lines() {
        if line != "M" { throw ProofFailure(line) }
        isMade = true
      }
      if child.isAtEnd {
        let status = child.join()
        if cell.crash == "clean", status == 0 { return }
        throw ProofFailure("the writer ended by itself: \(status)")
      }
      if isMade, cell.crash != "clean" { break }
      if Console.nanoseconds() > limit { throw ProofFailure("the writer hangs") }
      LiveChild.wait(for: [child], milliseconds: 100)
    }
    usleep(UInt32(random.below(12_000)))
    let status = child.end()
    for line in child.lines() where line != "M" { throw ProofFailure(line) }
    if status != -SIGKILL { throw ProofFailure("the writer ended by itself: \(status)") }
  }

  func write() -> Int32 {
    do {
      try writeForEver()
      return 0
    } catch {
      Console.line("E \((error as? ProofFailure)?.text ?? "\(error)")")
      return 3
    }
  }

  private func writeForEver() throws {
    var random = SeededRandom(seed: options.seed)
    let engine = options.engine == "apus" ? ours : sqlite
    let connection = try engine.open(options.database, readOnly: false)
    try connection.execute("PRAGMA page_size = \(options.pageSize ?? 4096); PRAGMA encoding = '\(options.base)'")
    try connection.execute("PRAGMA auto_vacuum = \(options.number)")
    try connection.takeJournalMode(options.journal)
    let encoding = try connection.rows("PRAGMA encoding").rows, vacuum = try connection.rows("PRAGMA auto_vacuum").rows
    if encoding != [[.text(options.base)]] || vacuum != [[.integer(Int64(options.number))]] {
      throw ProofFailure("\(options.base) with auto_vacuum \(options.number) becomes \(encoding) with \(vacuum)")
    }
    if random.oneIn(2) { try connection.execute("PRAGMA cache_size = 10; PRAGMA wal_autocheckpoint = 20") }
    try connection.execute(TableModel.schema)
    var model = TableModel(isVerbose: false)
    for _ in 0..<10 + random.below(20) { try model.runTransaction(&random, on: connection) }
    Console.line("M")
    if options.mode == "clean" { return connection.close() }
    while true {
      // Killed in its midst, a transaction of many pages leaves most to be recovered.
      if random.oneIn(3) {
        try connection.execute("BEGIN; UPDATE t SET d = d || 'x'; UPDATE w SET c = c; COMMIT")
        model = try TableModel(of: connection)
      }
      try model.runTransaction(&random, on: connection)
      switch options.mode {
      case "checkpoint":
        if options.journal == "wal" {
          _ = try connection.rows("PRAGMA wal_checkpoint(\(["PASSIVE", "FULL", "RESTART", "TRUNCATE"][random.below(4)]))")
        }
      case "vacuum":
        if random.oneIn(2) { try connection.execute("DELETE FROM t WHERE k % 3 = \(random.below(3))") }
        model = try TableModel(of: connection)
        try connection.execute(options.number == 2 && random.oneIn(2) ? "PRAGMA incremental_vacuum(10)" : "VACUUM")
      default: break
      }
    }
  }
}
