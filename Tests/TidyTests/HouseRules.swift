// The house rules that a machine can hold. A rule takes files and returns what breaks it, each as "path:line: what, and
// what to do instead".

struct HouseRule: Sendable {
  let name: String
  let check: @Sendable ([SourceFile]) -> [String]
}

/// What each target may import of the package. The manifest says it to the compiler, this to whoever edits the manifest.
let layers: [String: Set<String>] = {
  let engine: Set<String> = [
    "ApusBase", "ApusIO", "ApusStorage", "ApusSQL", "ApusVM", "ApusCompiler", "ApusFunctions", "Apus",
  ]
  return [
    "ApusBase": [],
    "ApusIO": ["ApusBase", "CLiburing"],
    "ApusStorage": ["ApusBase", "ApusIO"],
    "ApusSQL": ["ApusBase"],
    "ApusVM": ["ApusBase", "ApusIO", "ApusStorage"],
    "ApusCompiler": ["ApusBase", "ApusSQL", "ApusVM", "ApusStorage"],
    "ApusFunctions": ["ApusBase", "ApusVM"],
    "Apus": engine.subtracting(["Apus"]),
    "ApusSQLite3": engine.union(["CApus"]),
    "ApusBackup": engine.union(["CZstd"]),
    "ApusSimulation": engine,
    "ApusHarness": engine,
    "ApusFuzzing": engine.union(["ApusHarness", "ApusSimulation"]),
    "ApusFuzz": ["ApusBase", "ApusFuzzing", "ApusHarness"],
    "ApusCLI": engine.union(["ApusBackup"]),
    "ApusSim": engine.union(["ApusSimulation", "ApusHarness", "ArgumentParser"]),
    "ApusBench": engine.union(["ApusHarness"]),
    "ApusConformance": engine.union(["ApusHarness"]),
    "ApusProve": engine.union(["ApusFuzzing", "ApusHarness"]),
  ]
}()

/// Targets that may ask the C library: the door to the world, the C door, and what runs on its own.
let glibcTargets: Set<String> = [
  "ApusIO", "ApusSQLite3", "ApusHarness", "ApusCLI", "ApusSim", "ApusBench", "ApusConformance", "ApusProve",
  "ApusFuzz", "ApusFuzzing",
]

/// Targets that are programs: nothing stands on them, so the terminal and the clock are theirs.
let executableTargets: Set<String> = ["ApusCLI", "ApusSim", "ApusBench", "ApusConformance", "ApusFuzz", "ApusProve"]

/// What executables may name all the same.
let executablesMayName: [(pattern: String, advice: String)] = [
  (#"(?<![\w.])(debugPrint|print|dump)\("#, "libraries do not write to the terminal"),
  (#"\bDate\(|\b(ContinuousClock|SuspendingClock)\b|\bTask\.sleep\b"#, "time comes from the environment"),
]

let bannedNames: [(pattern: String, advice: String)] = [
  (
    #"\bSystemRandomNumberGenerator\b|\.random\(|\.randomElement\(\)|\.shuffled\(\)|\.shuffle\(\)"#,
    "chance comes from the environment, or from SeededRandom"
  ),
  (#"\btry!"#, "handle the error, or let it through with a typed throw"),
  (#"\bfatalError\("#, "our bugs stop at a precondition; everything else is reported as an error"),
  (#"\bas!\s"#, "cast with as? and report what does not fit"),
]

let houseRules: [HouseRule] = [
  HouseRule(name: "imports follow the layers") { files in
    files.filter(\.isSource).flatMap { file -> [String] in
      guard let target = file.target else { return [] }
      guard let allowed = layers[target] else {
        return ["\(file.path):1: target \(target) stands in no layer; add it to `layers` in HouseRules.swift"]
      }
      return importsOf(file).compactMap { line, module in
        if allowed.contains(module) || module == target || module == "Synchronization" { return nil }
        if module == "Glibc", glibcTargets.contains(target) || file.name == "MathLibrary.swift" { return nil }
        if module == "Foundation", target == "ApusBench" { return nil }
        return "\(file.path):\(line): \(target) must not import \(module)"
      }
    }
  },
  HouseRule(name: "banned names") { files in
    files.filter(\.isSource).flatMap { file in
      let isExecutable = executableTargets.contains(file.target ?? "")
      return (isExecutable ? bannedNames : bannedNames + executablesMayName).flatMap { banned in
        file.linesOfCode(matching: banned.pattern).map { "\(file.path):\($0): banned name; \(banned.advice)" }
      }
    }
  },
  HouseRule(name: "unsafe stays in its files") { files in
    files.filter(\.isSource).flatMap { file -> [String] in
      guard let target = file.target, !(unsafeFiles[target] ?? []).contains(file.name) else { return [] }
      return file.linesOfCode(matching: #"(?<![.\w])unsafe\b"#).prefix(1).map {
        """
        \(file.path):\($0): `unsafe` in a file that is not listed; go through a checked view, or, where that cannot be, \
        add "\(file.name)" under "\(target)" in Tests/TidyTests/UnsafeFiles.swift and say why in the file's header comment
        """
      }
    }
  },
  HouseRule(name: "listed unsafe files exist and need it") { files in
    unsafeFiles.flatMap { target, names in
      names.compactMap { name in
        let file = files.first { $0.target == target && $0.name == name }
        if let file, !file.linesOfCode(matching: #"\bunsafe\b"#).isEmpty { return nil }
        return "Tests/TidyTests/UnsafeFiles.swift:1: \(target)/\(name) needs no `unsafe` any more; take it off the list"
      }
    }
  },
  HouseRule(name: "basenames are unique") { files in
    let groups = Dictionary(grouping: files, by: \.name).filter { $0.value.count > 1 && $0.key != "Package.swift" }
    return groups.map { name, same in
      "\(same[0].path):1: \(name) exists \(same.count) times (\(same.map(\.path).joined(separator: ", "))); rename one"
    }
  },
  HouseRule(name: "files stay short") { files in
    files.compactMap { file in
      let count = file.text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
      return count > 800 ? "\(file.path):800: \(count) lines; split it by role (at most 800)" : nil
    }
  },
  // 120 columns are the aim, which `make format` keeps in code; a word that sticks out of a comment is not worth a failure.
  HouseRule(name: "lines stay short") { files in
    files.flatMap { file in
      file.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
        guard line.utf8.count > 132, line.count > 132 else { return nil }
        return "\(file.path):\(index + 1): \(line.count) columns (at most 120)"
      }
    }
  },
  HouseRule(name: "a file says what it is") { files in
    files.filter(\.isSource).compactMap { file in
      file.text.hasPrefix("//") ? nil : "\(file.path):1: begin the file with a comment that says what it is"
    }
  },
  HouseRule(name: "no words of the workplace") { files in
    files.filter { !$0.path.hasPrefix("Tests/TidyTests/") }.flatMap { file in
      workplaceWords.flatMap { word in
        file.lines(matching: word).map { "\(file.path):\($0): a word of the workplace (\(word)); say it without" }
      }
    }
  },
]

let workplaceWords = [
  "/work/", #"(?i)\bissue #?\d"#, #"\bissues show\b"#, #"\b(BRIEF|INTERFACES)\.md"#, #"(?i)\bsub-?agents?\b"#,
  #"\b(Claude|Anthropic|ChatGPT|Copilot)\b"#, #"(?i)\b(this|the|another|earlier) session of the project\b"#,
]

private func importsOf(_ file: SourceFile) -> [(line: Int, module: String)] {
  file.code.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
    var words = line.split(whereSeparator: { $0 == " " || $0 == "." })
    while let first = words.first, first.hasPrefix("@") || ["public", "internal", "private", "package"].contains(first) {
      words.removeFirst()
    }
    guard words.first == "import", words.count >= 2 else { return nil }
    let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
    let module = kinds.contains(String(words[1])) && words.count >= 3 ? words[2] : words[1]
    return (index + 1, String(module))
  }
}
