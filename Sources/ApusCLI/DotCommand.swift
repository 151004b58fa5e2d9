// The dot commands.

enum DotCommand {
  static let help: [(name: String, arguments: String, text: String)] = [
    ("backup", "?DB? FILE", "Backup DB (default \"main\") to FILE"),
    ("bail", "on|off", "Stop after hitting an error.  Default OFF"),
    ("changes", "on|off", "Show number of rows changed by SQL"),
    ("databases", "", "List names and files of attached databases"),
    ("dump", "?OBJECTS?", "Render database content as SQL"),
    ("echo", "on|off", "Turn command echo on or off"),
    ("exit", "?CODE?", "Exit this program with return-code CODE"),
    ("headers", "on|off", "Turn display of headers on or off"),
    ("help", "?PATTERN?", "Show help text for PATTERN"),
    ("indexes", "?TABLE?", "Show names of indexes"),
    ("mode", "MODE ?TABLE?", "Set output mode: \(OutputMode.allCases.map(\.rawValue).joined(separator: " "))"),
    ("nullvalue", "STRING", "Use STRING in place of NULL values"),
    ("once", "FILE", "Output for the next SQL command only to FILE"),
    ("open", "FILE", "Close existing database and open FILE"),
    ("output", "?FILE?", "Send output to FILE or stdout if FILE is omitted"),
    ("print", "STRING...", "Print literal STRING"),
    ("prompt", "MAIN CONTINUE", "Replace the standard prompts"),
    ("quit", "", "Stop interpreting input stream, exit if primary"),
    ("read", "FILE", "Read input from FILE"),
    ("recover", "", "Recover as much data as possible from a damaged database"),
    ("restore", "?DB? FILE", "Restore content of DB (default \"main\") from FILE"),
    ("save", "?DB? FILE", "Write database to FILE (an alias for .backup ...)"),
    ("schema", "?PATTERN?", "Show the CREATE statements matching PATTERN"),
    ("separator", "COL ?ROW?", "Change the column and row separators"),
    ("show", "", "Show the current values for various settings"),
    ("tables", "?PATTERN?", "List names of tables and views matching LIKE pattern PATTERN"),
    ("timer", "on|off", "Turn SQL timer on or off"),
    ("width", "NUM1 NUM2 ...", "Set minimum column widths for columnar output"),
  ]

  /// Runs one dot command.
  /// - Returns: false where it failed; the failure has been reported.
  static func run(_ line: String, in shell: Shell) -> Bool {
    let words = split(line.dropFirst())
    guard let given = words.first else { return true }
    let arguments = Array(words.dropFirst())
    // Names may be cut short where that is clear, as in sqlite3: `.q`, `.head on`, `.sch`.
    let matches = help.filter { $0.name.hasPrefix(given) || (given == "indices" && $0.name == "indexes") }
    let preferred = matches.first { $0.name == given } ?? (given.isEmpty ? nil : matches.first)
    guard let command = preferred, given.count >= 1 else { return unknown(given, shell) }
    do {
      return try perform(command.name, arguments, shell)
    } catch {
      shell.output.error("Error: \(error.message)" + (error.hint.map { "\n  hint: \($0)" } ?? ""))
      return false
    }
  }

  private static func unknown(_ name: String, _ shell: Shell) -> Bool {
    shell.output.error("Error: unknown command or invalid arguments:  \"\(name)\". Enter \".help\" for help")
    return false
  }

  private static func usage(_ text: String, _ shell: Shell) -> Bool {
    shell.output.error("Usage: .\(text)")
    return false
  }

  private static func perform(_ name: String, _ arguments: [String], _ shell: Shell) throws(ShellFailure) -> Bool {
    let output = shell.output
    func flag(_ path: WritableKeyPath<ShellSettings, Bool>) -> Bool {
      guard arguments.count == 1 else { return usage("\(name) on|off", shell) }
      shell.settings[keyPath: path] = isOn(arguments[0])
      return true
    }
    switch name {
    case "backup", "save": return try backup(name, arguments, shell)
    case "recover": return recover(shell)
    case "restore": return try restore(arguments, shell)
    case "bail": return flag(\.bails)
    case "changes": return flag(\.showsChanges)
    case "echo": return flag(\.echoes)
    case "timer": return flag(\.showsTime)
    case "headers":
      shell.settings.isHeaderChosen = true
      return flag(\.showsHeader)
    case "databases":
      for row in try shell.texts("PRAGMA database_list") {
        let file = row[2].isEmpty ? Array("\"\"".utf8) : row[2]
        output.write(row[1] + Array(": ".utf8) + file + Array((shell.isReadOnly ? " r/o\n" : " r/w\n").utf8))
      }
    case "dump": try DatabaseDump(shell: shell).run(arguments)
    case "exit":
      shell.exitCode = arguments.first.map { Int($0) ?? 0 } ?? 0
    case "quit": shell.isDone = true
    case "help":
      let wanted = help.filter { command in arguments.first.map { command.name.hasPrefix($0) } ?? true }
      if wanted.isEmpty { output.write("Nothing matches '\(arguments[0])'\n") }
      for command in wanted {
        let head = ".\(command.name) \(command.arguments)"
        output.write(head + String(repeating: " ", count: max(1, 25 - head.count)) + command.text + "\n")
      }
    case "indexes":
      let filter = arguments.first.map { " AND lower(tbl_name) LIKE \(literal($0.lowercased()))" } ?? ""
      try list("SELECT name FROM sqlite_schema WHERE type = 'index'\(filter) ORDER BY 1", shell)
    case "tables":
      let filter = arguments.first.map { " AND name LIKE \(literal($0))" } ?? ""
      try list(
        """
        SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'\
        \(filter) ORDER BY 1
        """, shell)
    case "schema": try schema(arguments.first { !$0.hasPrefix("-") }, shell)
    case "mode": return mode(arguments, shell)
    case "nullvalue":
      guard arguments.count == 1 else { return usage("nullvalue STRING", shell) }
      shell.settings.nullText = arguments[0]
    case "once", "output":
      if name == "once", arguments.count != 1 { return usage("once FILE", shell) }
      guard output.redirect(to: arguments.first, forOneCommand: name == "once") else {
        output.error("Error: cannot open \"\(arguments.first ?? "")\"")
        return false
      }
    case "open":
      guard arguments.count == 1 else { return usage("open FILE", shell) }
      try shell.reopen(arguments[0])
    case "print": output.write(arguments.joined(separator: " ") + "\n")
    case "prompt":
      if arguments.count >= 1 { shell.settings.mainPrompt = arguments[0] }
      if arguments.count >= 2 { shell.settings.continuePrompt = arguments[1] }
    case "read":
      guard arguments.count == 1 else { return usage("read FILE", shell) }
      return shell.readFile(arguments[0])
    case "separator":
      guard (1...2).contains(arguments.count) else { return usage("separator COL ?ROW?", shell) }
      shell.settings.columnSeparator = arguments[0]
      if arguments.count == 2 { shell.settings.rowSeparator = arguments[1] }
    case "show": show(shell)
    case "width":
      let most = ShellSettings.widthMax
      shell.settings.widths = arguments.map { min(max(Int($0) ?? 0, -most), most) }
    default: return unknown(name, shell)
    }
    return true
  }

  private static func mode(_ arguments: [String], _ shell: Shell) -> Bool {
    guard let name = arguments.first else {
      shell.output.write("current output mode: \(shell.settings.mode.rawValue)\n")
      return true
    }
    let aliases = ["lines": "line", "columns": "column"]
    guard let mode = OutputMode(rawValue: aliases[name] ?? name) else {
      let known = OutputMode.allCases.map(\.rawValue).joined(separator: " ")
      shell.output.error("Error: mode should be one of: \(known)")
      return false
    }
    shell.settings.select(mode)
    if mode == .insert { shell.settings.insertTable = arguments.count > 1 ? arguments[1] : "table" }
    return true
  }

  /// Names in as many columns as fit into 80 characters, filled downwards.
  private static func list(_ sql: String, _ shell: Shell) throws(ShellFailure) {
    let names = try shell.texts(sql).map { $0[0] }
    guard !names.isEmpty else { return }
    let width = names.map(\.count).max() ?? 0
    let columns = max(1, 80 / (width + 2))
    let height = (names.count + columns - 1) / columns
    for row in 0..<height {
      for index in stride(from: row, to: names.count, by: height) {
        if index >= height { shell.output.write("  ") }
        shell.output.write(names[index])
        shell.output.write(byte: 0x20, count: width - names[index].count)
      }
      shell.output.write("\n")
    }
  }

  private static func schema(_ pattern: String?, _ shell: Shell) throws(ShellFailure) {
    let filter = pattern.map { " AND lower(tbl_name) LIKE \(literal($0.lowercased())) ESCAPE '\\'" } ?? ""
    let rows = try shell.texts(
      "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL\(filter) ORDER BY rowid")
    for row in rows {
      if row[0] == Array("view".utf8) {
        SchemaText.write(row[2], to: shell.output, end: "\n")
        let name = String(decoding: row[1], as: UTF8.self)
        var columns = ""
        if let info = try? shell.texts("PRAGMA table_info(\(Quoting.quotedName(name)))") {
          columns = info.map { Quoting.name(String(decoding: $0[1], as: UTF8.self)) }.joined(separator: ",")
        }
        shell.output.write("/* \(Quoting.name(name))(\(columns)) */;\n")
      } else {
        SchemaText.write(row[2], to: shell.output, end: ";\n")
      }
    }
  }

  private static func show(_ shell: Shell) {
    func escaped(_ text: String) -> String {
      "\"" + text.unicodeScalars.map { $0.value < 0x20 ? $0.escaped(asASCII: true) : String($0) }.joined() + "\""
    }
    let settings = shell.settings
    let rows: [(String, String)] = [
      ("echo", settings.echoes ? "on" : "off"), ("headers", settings.showsHeader ? "on" : "off"),
      ("mode", settings.mode.rawValue), ("nullvalue", escaped(settings.nullText)),
      ("colseparator", escaped(settings.columnSeparator)), ("rowseparator", escaped(settings.rowSeparator)),
      ("timer", settings.showsTime ? "on" : "off"), ("changes", settings.showsChanges ? "on" : "off"),
      ("bail", settings.bails ? "on" : "off"),
      ("width", settings.widths.map(String.init).joined(separator: " ")), ("filename", shell.path),
    ]
    for (name, value) in rows {
      shell.output.write(String(repeating: " ", count: 12 - name.count) + "\(name): \(value)\n")
    }
  }

  private static func literal(_ text: String) -> String {
    String(decoding: Quoting.string(Array(text.utf8)), as: UTF8.self)
  }

  static func isOn(_ text: String) -> Bool {
    ["on", "yes", "true"].contains(text.lowercased()) || (Int(text) ?? 0) != 0
  }

  /// Splits at spaces; "..." with backslash escapes and '...' without hold spaces together.
  private static func split(_ line: Substring) -> [String] {
    var words: [String] = []
    var rest = line.unicodeScalars[...]
    while true {
      rest = rest.drop { $0 == " " || $0 == "\t" }
      guard let first = rest.first else { return words }
      var word = String.UnicodeScalarView()
      if first == "\"" || first == "'" {
        rest.removeFirst()
        while let scalar = rest.popFirst(), scalar != first {
          if scalar == "\\", first == "\"", let escaped = rest.popFirst() {
            let plain: [Unicode.Scalar: Unicode.Scalar] = ["n": "\n", "t": "\t", "r": "\r"]
            word.append(plain[escaped] ?? escaped)
          } else {
            word.append(scalar)
          }
        }
      } else {
        while let scalar = rest.first, scalar != " ", scalar != "\t" {
          word.append(scalar)
          rest.removeFirst()
        }
      }
      words.append(String(word))
    }
  }
}
