// `apus backup`, `apus restore`, `apus verify`: archives of databases. A database of such a name is opened as ./backup.
// `unsafe` lives here: the C library makes a directory and catches a signal.

import Apus
import ApusBackup
import ApusBase
import ApusIO
import Glibc
import Synchronization

enum ArchiveCommands {
  static let usage = """
    Usage: apus backup [-level N] [-force] DATABASE ARCHIVE.zst
           apus backup -incremental [-level N] [-follow SECONDS] DATABASE DIRECTORY
           apus restore [-force] ARCHIVE.zst DATABASE
           apus restore [-at COMMIT] [-force] DIRECTORY DATABASE
           apus restore -list DIRECTORY
           apus verify ARCHIVE.zst|DIRECTORY
           apus reseal DATABASE
           apus recover DAMAGED DATABASE
    An archive is a database, compressed; `zstd -d` makes a database file of it, too. A directory holds a database in WAL
    mode with all its commits: each run of -incremental adds what was committed since; with -follow it goes on, misses no
    commit, and ends with SIGINT or SIGTERM. Other processes may use the database all the time.
    `reseal` accepts what is in a database with page checksums after a program has written to it that does not keep them.

    """

  /// nil where the arguments ask for something else.
  static func run(_ arguments: [String]) -> Int? {
    let verbs = ["backup", "restore", "verify", "reseal", "recover"]
    guard let verb = arguments.first, arguments.count > 1, verbs.contains(verb) else { return nil }
    let output = ShellOutput()
    do {
      guard let options = parse(Array(arguments.dropFirst())), try perform(verb, options, output) else {
        output.error(usage)
        return 1
      }
      output.flush()
      return 0
    } catch {
      Progress.clear()
      output.flush()
      let place = [error.object, error.cause].compactMap(\.self).joined(separator: ": ")
      output.error(
        "Error: \(error.message)" + (place.isEmpty ? "" : "\n  cause: \(place)") + (error.hint.map { "\n  hint: \($0)" } ?? ""))
      return Int(error.code.primary.rawValue)
    }
  }

  private struct Options {
    var paths: [String] = []
    var level = DatabaseArchive.levelDefault
    var replaces = false
    var isIncremental = false
    var follow: Double?
    var at: UInt64?
    var lists = false
  }

  private static func parse(_ arguments: [String]) -> Options? {
    var options = Options()
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("-"), argument.count > 1 else {
        options.paths.append(argument)
        continue
      }
      switch argument.drop(while: { $0 == "-" }) {
      case "force": options.replaces = true
      case "incremental": options.isIncremental = true
      case "list": options.lists = true
      case "level":
        guard let level = rest.popFirst().flatMap({ Int($0) }), (1...19).contains(level) else { return nil }
        options.level = level
      case "at":
        guard let commit = rest.popFirst().flatMap({ UInt64($0) }) else { return nil }
        options.at = commit
      case "follow":
        guard let seconds = rest.popFirst().flatMap({ Double($0) }), seconds > 0, seconds < 1e6 else { return nil }
        options.follow = seconds
      default: return nil
      }
    }
    return options
  }

  private static func perform(_ verb: String, _ options: Options, _ output: ShellOutput) throws(EngineError) -> Bool {
    let environment = SystemEnvironment()
    let paths = options.paths
    if options.lists {
      guard verb == "restore", paths.count == 1 else { return false }
      try list(try CommitArchive(environment, directory: paths[0]), output)
      return true
    }
    guard paths.count == (["backup", "restore", "recover"].contains(verb) ? 2 : 1) else { return false }
    var progress = Progress(verb)
    switch verb {
    case "backup":
      if options.isIncremental {
        try archive(environment, options, output)
        return true
      }
      let summary = try DatabaseArchive.backup(
        environment, from: paths[0], to: paths[1], level: options.level, replaces: options.replaces
      ) { progress.show($0) }
      Progress.clear()
      output.write(text(summary) + "\n")
    case "restore":
      if isDirectory(paths[0]) {
        let commit = try CommitArchive(environment, directory: paths[0]).restore(
          to: paths[1], at: options.at, replaces: options.replaces
        ) { progress.show($0) }
        Progress.clear()
        output.write("commit \(commit)\n")
      } else {
        if options.at != nil { return false }
        let summary = try DatabaseArchive.restore(
          environment, from: paths[0], to: paths[1], replaces: options.replaces
        ) { progress.show($0) }
        Progress.clear()
        output.write(text(summary) + "\n")
      }
    case "recover":
      let recovery = try Recovery.run(environment, from: paths[0], to: paths[1])
      output.write("\(recovery.rows) rows, \(recovery.lostRows) in lost_and_found\n")
      if let first = recovery.firstRefusal {
        output.error("\(recovery.refused) statements were refused, the first: \(first)")
      }
    case "reseal":
      var opening = Connection.Options()
      opening.mayCreate = false
      let connection = try Connection(paths[0], opening, environment: environment)
      connection.busyTimeoutMilliseconds = 10_000
      try connection.resealPages()
      try connection.closeBlocking()
    default:
      if isDirectory(paths[0]) {
        try CommitArchive(environment, directory: paths[0]).verify()
        output.write("ok\n")
      } else {
        let summary = try DatabaseArchive.verify(environment, paths[0]) { progress.show($0) }
        Progress.clear()
        output.write("ok: \(text(summary))\n")
      }
    }
    return true
  }

  private static func text(_ summary: ArchiveSummary) -> String {
    "\(summary.pageCount) pages of \(summary.pageSize) bytes, \(summary.databaseByteCount) bytes, "
      + "archive \(summary.archiveByteCount)"
  }

  // MARK: Archives of commits

  private static func list(_ archive: CommitArchive, _ output: ShellOutput) throws(EngineError) {
    for entry in try archive.entries() {
      let commits = entry.firstCommit == entry.lastCommit ? "\(entry.lastCommit)" : "\(entry.firstCommit)-\(entry.lastCommit)"
      let kind = entry.isBase ? (entry.isBehindGap ? "base, commits before it may be missing" : "base") : "log"
      output.write("\(commits)  \(kind)  \(entry.byteCount) bytes  \(time(entry.timeMilliseconds))\n")
    }
  }

  private static func time(_ milliseconds: Int64) -> String {
    var moment = time_t(milliseconds / 1000)
    var parts = unsafe tm()
    _ = unsafe gmtime_r(&moment, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let date = unsafe "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    return unsafe date + " \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
  }

  private static func archive(
    _ environment: SystemEnvironment, _ options: Options, _ output: ShellOutput
  ) throws(EngineError) {
    let directory = options.paths[1]
    if !isDirectory(directory), unsafe mkdir(directory, 0o755) != 0 {
      throw EngineError(.cannotOpen, object: directory, cause: unsafe "mkdir: \(String(cString: strerror(errno)))")
    }
    let archive = try CommitArchive(environment, directory: directory)
    let archiver = try LogArchiver(archive, database: options.paths[0], level: options.level)
    defer { archiver.close() }
    if options.follow == nil {
      // The log is given free right behind this run.
      archiver.framesBeforeRestart = .max
    } else {
      for number in [SIGINT, SIGTERM] { _ = signal(number) { _ in mustStop.store(true, ordering: .relaxed) } }
    }
    var progress = Progress("backup")
    while true {
      let isLast = options.follow == nil || mustStop.load(ordering: .relaxed)
      let found = isLast ? try archiver.round { progress.show($0) } : try archiver.roundUnlessBusy { progress.show($0) }
      Progress.clear()
      if found == nil { output.error("the database is busy; trying again") }
      if let failure = found?.restartFailure {
        output.error("the log was not started again: \(failure.message)\(failure.cause.map { ": \($0)" } ?? "")")
      }
      if let round = found, round.commits > 0 || options.follow == nil {
        output.write(
          "commit \(archive.lastCommit ?? 0): \(round.commits) new\(round.tookBase ? ", base" : "")"
            + "\(round.restartedLog ? ", log restarted" : "")\n")
        output.flush()
      }
      if isLast { return }
      let end = environment.monotonicNanoseconds() + UInt64((options.follow ?? 0) * 1e9)
      while environment.monotonicNanoseconds() < end, !mustStop.load(ordering: .relaxed) {
        environment.sleep(untilMonotonic: min(end, environment.monotonicNanoseconds() + 100_000_000))
      }
    }
  }

  private static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }
}

private let mustStop = Atomic<Bool>(false)

/// A bar on the standard error output, where that is a terminal.
private struct Progress {
  private let verb: String
  private var shown = -1
  private static let isTerminal = isatty(2) == 1

  init(_ verb: String) { self.verb = verb }

  mutating func show(_ progress: ArchiveProgress) {
    let percent = progress.total > 0 ? Int(progress.done * 100 / progress.total) : 100
    guard Progress.isTerminal, percent != shown else { return }
    shown = percent
    let filled = percent * 40 / 100
    Progress.write(
      "\r\(verb) [\(String(repeating: "#", count: filled))\(String(repeating: "-", count: 40 - filled))] \(percent) %")
  }

  static func clear() {
    if isTerminal { write("\r\u{1b}[K") }
  }

  private static func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
  }
}
