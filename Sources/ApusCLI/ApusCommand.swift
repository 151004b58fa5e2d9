// apus: the command line shell. `apus FILE "SQL"...` runs the statements, `apus FILE` reads them.

import Glibc

@main
enum ApusCommand {
  static let version = "0.1.0"
  /// The version of SQLite whose files, SQL and messages are followed.
  static let sqliteVersion = "3.54.1"

  static let usage = """
    Usage: apus [OPTIONS] FILENAME [SQL]...
           apus backup|restore|verify|reseal|recover ...   archives; "apus backup -help" tells
    FILENAME is the name of an SQLite database. A new database is created
    if the file does not previously exist; ":memory:" is one in memory.
    SQL statements and dot commands after it are run one by one; without
    them, and on a terminal, the shell is interactive.
    OPTIONS include:
       -bail                stop after hitting an error
       -batch               force batch I/O
       -box                 set output mode to 'box'
       -column              set output mode to 'column'
       -cmd COMMAND         run "COMMAND" before reading stdin
       -csv                 set output mode to 'csv'
       -echo                print inputs before execution
       -init FILENAME       read/process named file
       -[no]header          turn headers on or off
       -help                show this message
       -insert              set output mode to 'insert'
       -interactive         force interactive I/O
       -json                set output mode to 'json'
       -line                set output mode to 'line'
       -list                set output mode to 'list'
       -markdown            set output mode to 'markdown'
       -newline SEP         set output row separator. Default: '\\n'
       -nullvalue TEXT      set text string for NULL values. Default ''
       -quote               set output mode to 'quote'
       -readonly            open the database read-only
       -separator SEP       set output column separator. Default: '|'
       -table               set output mode to 'table'
       -tabs                set output mode to 'tabs'
       -version             show the version
    Exit codes are SQLite's result code of the statement that failed (1 for
    input that is read), 0 where all succeeded.

    """

  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    let code = ArchiveCommands.run(arguments) ?? run(arguments)
    exit(Int32(truncatingIfNeeded: code))
  }

  private struct Options {
    var settings = ShellSettings()
    var path: String?
    var statements: [String] = []
    var commands: [String] = []
    var initFile: String?
    var isReadOnly = false
    var isBatch = false
    var isInteractive = false
  }

  private static func parse(_ arguments: [String]) -> (options: Options, exitCode: Int?) {
    var options = Options()
    var rest = arguments[...]
    let output = ShellOutput()
    func failed(_ text: String) -> (Options, Int?) {
      output.error(text)
      return (options, 1)
    }
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("-"), argument.count > 1, options.statements.isEmpty else {
        if options.path == nil { options.path = argument } else { options.statements.append(argument) }
        continue
      }
      let name = String(argument.drop { $0 == "-" })
      switch name {
      case "help":
        output.write(usage)
        output.flush()
        return (options, 0)
      case "version":
        output.write("\(version) (SQLite \(sqliteVersion))\n")
        output.flush()
        return (options, 0)
      case "bail": options.settings.bails = true
      case "batch": options.isBatch = true
      case "interactive": options.isInteractive = true
      case "echo": options.settings.echoes = true
      case "readonly": options.isReadOnly = true
      case "header", "headers", "noheader":
        options.settings.showsHeader = name != "noheader"
        options.settings.isHeaderChosen = true
      case "csv":
        options.settings.mode = .csv
        options.settings.columnSeparator = ","
      case "cmd", "init", "nullvalue", "separator", "newline":
        guard let value = rest.popFirst() else { return failed("apus: Error: missing argument to \(argument)") }
        switch name {
        case "cmd": options.commands.append(value)
        case "init": options.initFile = value
        case "nullvalue": options.settings.nullText = value
        case "separator": options.settings.columnSeparator = value
        default: options.settings.rowSeparator = value
        }
      default:
        guard let mode = OutputMode(rawValue: name) else {
          return failed("apus: Error: unknown option: \(argument)\nUse -help for a list of options.")
        }
        options.settings.select(mode)
        if mode == .column { options.settings.showsHeader = options.settings.isHeaderChosen && options.settings.showsHeader }
      }
    }
    return (options, nil)
  }

  private static func run(_ arguments: [String]) -> Int {
    let (options, exitCode) = parse(arguments)
    if let exitCode { return exitCode }
    let path = options.path ?? ":memory:"
    let shell: Shell
    do {
      shell = try Shell(path: path, readOnly: options.isReadOnly)
    } catch {
      let lines = "Error: unable to open database \"\(path)\": \(error.message)"
      ShellOutput().error(
        lines + (error.cause.map { "\n  cause: \($0)" } ?? "") + (error.hint.map { "\n  hint: \($0)" } ?? ""))
      return 1
    }
    shell.settings = options.settings
    let code = run(options, shell)
    shell.output.flush()
    _ = shell.output.redirect(to: nil, forOneCommand: false)
    shell.session.close()
    return shell.exitCode ?? code
  }

  private static func run(_ options: Options, _ shell: Shell) -> Int {
    if let file = options.initFile, !shell.readFile(file), shell.settings.bails { return 1 }
    for text in options.commands + options.statements {
      if shell.exitCode != nil || shell.isDone { return 0 }
      if text.hasPrefix(".") {
        let succeeded = DotCommand.run(text, in: shell)
        if !succeeded { return 1 }
        continue
      }
      let code = shell.run(Array(text.utf8), from: .argument)
      if code != 0 { return code }
    }
    if !options.statements.isEmpty || shell.exitCode != nil || shell.isDone { return 0 }
    let isInteractive = options.isInteractive || (isatty(0) == 1 && !options.isBatch)
    if isInteractive {
      shell.output.write("apus \(version) (SQLite \(sqliteVersion))\nEnter \".help\" for usage hints.\n")
      if shell.path == ":memory:" {
        shell.output.write("Connected to a transient in-memory database.\n")
        shell.output.write("Use \".open FILENAME\" to reopen on a persistent one.\n")
      }
    }
    return shell.read(.standardInput(), isInteractive: isInteractive) > 0 ? 1 : 0
  }
}
