// The house rules hold for this checkout, and each of them can fail.

import Testing

@Suite("Tidy")
struct TidyTests {
  @Test("the checkout keeps the house rules", arguments: houseRules.indices)
  func checkoutIsTidy(index: Int) {
    let rule = houseRules[index]
    let files = rule.name == "no words of the workplace" ? Checkout.documents : Checkout.swiftFiles
    #expect(files.count > 20, "the checkout was not found at \(Checkout.root.path)")
    let found = rule.check(files)
    #expect(found.isEmpty, "\(rule.name):\n\(found.sorted().joined(separator: "\n"))")
  }

  /// For each rule, files that break it and files that only look as if they did.
  static let cases: [(rule: String, breaks: [SourceFile], keeps: [SourceFile])] = [
    (
      "imports follow the layers",
      [
        file("Sources/ApusSQL/A.swift", "import ApusStorage"), file("Sources/ApusVM/A.swift", "import Foundation"),
        file("Sources/ApusStorage/A.swift", "internal import Glibc"), file("Sources/ApusCLI/A.swift", "import Dispatch"),
        file("Sources/ApusNew/A.swift", ""),
      ],
      [
        file("Sources/ApusVM/A.swift", "public import ApusStorage\nimport struct ApusBase.Value\n// import Foundation"),
        file("Sources/ApusIO/A.swift", "import Glibc\nimport Synchronization"),
      ]
    ),
    (
      "banned names",
      [
        file("Sources/ApusVM/A.swift", "print(1)"), file("Sources/ApusVM/A.swift", "let d = Date()"),
        file("Sources/ApusVM/A.swift", "var g = SystemRandomNumberGenerator()"),
        file("Sources/ApusVM/A.swift", "Int.random(in: 1...6)"), file("Sources/ApusVM/A.swift", "try! f()"),
        file("Sources/ApusVM/A.swift", "fatalError(\"\")"), file("Sources/ApusVM/A.swift", "x as! Int"),
        file("Sources/ApusVM/A.swift", "let c = ContinuousClock()"), file("Sources/ApusHarness/A.swift", "print(1)"),
        file("Sources/ApusSim/A.swift", "try! f()"),
      ],
      [
        file("Sources/ApusVM/A.swift", "// print(1)\n/* try! */ let a = \"fatalError(\" + #\"print(\"#\nprinter.print(x)"),
        file("Tests/ApusVMTests/A.swift", "print(1)"),
        file("Sources/ApusSim/A.swift", "print(ContinuousClock().now)"),
        file("Sources/ApusVM/A.swift", "let a = \"\"\"\n  print(1) \"x\"\n  \"\"\"\nblueprint(2)"),
      ]
    ),
    (
      "unsafe stays in its files",
      [
        file("Sources/ApusSQL/A.swift", "unsafe p.pointee = 1"),
        file("Sources/ApusSQL/A.swift", "nonisolated(unsafe) var a = 1"),
      ],
      [
        file("Sources/ApusSQL/A.swift", "// unsafe\nlet isUnsafe = \"unsafe\""),
        file("Sources/ApusBase/Bytes/ByteView.swift", "unsafe p.pointee = 1"),
      ]
    ),
    (
      "basenames are unique",
      [file("Sources/ApusSQL/A.swift", ""), file("Sources/ApusVM/B/A.swift", "")],
      [file("Sources/ApusSQL/A.swift", ""), file("Sources/ApusVM/B/B.swift", "")]
    ),
    (
      "files stay short",
      [file("Sources/ApusSQL/A.swift", String(repeating: "\n", count: 801))],
      [file("Sources/ApusSQL/A.swift", String(repeating: "\n", count: 800))]
    ),
    (
      "lines stay short",
      [file("Sources/ApusSQL/A.swift", String(repeating: "a", count: 133))],
      [file("Sources/ApusSQL/A.swift", String(repeating: "ä", count: 132))]
    ),
    (
      "a file says what it is",
      [file("Sources/ApusSQL/A.swift", "import ApusBase")],
      [file("Sources/ApusSQL/A.swift", "// A.")]
    ),
    (
      "no words of the workplace",
      [file("docs/a.md", "see /work/x"), file("README.md", "as issue 7 says"), file("SPEC.md", "Claude wrote it")],
      [file("docs/a.md", "they work/rest; a network/work path; an issue")]
    ),
  ]

  @Test("each rule can fail, and does not fail for what only looks like it", arguments: cases.indices)
  func rulesCanFail(index: Int) throws {
    let test = TidyTests.cases[index]
    let rule = try #require(houseRules.first { $0.name == test.rule })
    if test.rule == "basenames are unique" {
      #expect(rule.check(test.breaks).count == 1)
    } else {
      for file in test.breaks { #expect(!rule.check([file]).isEmpty, "\(test.rule) accepts: \(file.text.prefix(200))") }
    }
    #expect(rule.check(test.keeps) == [], "\(test.rule)")
  }

  @Test("a stale entry of the list of unsafe files is reported")
  func staleUnsafeEntry() throws {
    let rule = try #require(houseRules.first { $0.name == "listed unsafe files exist and need it" })
    #expect(!rule.check([]).isEmpty)
  }

  @Test("every rule has a test that makes it fail")
  func everyRuleIsTested() {
    let tested = Set(TidyTests.cases.map(\.rule) + ["listed unsafe files exist and need it"])
    #expect(tested == Set(houseRules.map(\.name)))
  }

  private static func file(_ path: String, _ text: String) -> SourceFile { SourceFile(path: path, text: text) }
}
