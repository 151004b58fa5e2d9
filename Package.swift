// swift-tools-version: 6.2
// The manifest is the architecture's diagram: a target imports only what it lists here.
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], data: [String] = []) -> Target {
  .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: data, swiftSettings: settings)
}

let package = Package(
  name: "apus",
  products: [
    .library(name: "Apus", targets: ["Apus"]),
    // Archives: the one product that needs libzstd.
    .library(name: "ApusBackup", targets: ["ApusBackup"]),
    .executable(name: "apus", targets: ["ApusCLI"]),
    // `make capi` links it under its real name; here the name must not stand in the way of the system's library.
    .library(name: "ApusSQLite3", type: .dynamic, targets: ["ApusSQLite3"]),
    .executable(name: "apus-bench", targets: ["ApusBench"]),
    .executable(name: "apus-sim", targets: ["ApusSim"]),
    .executable(name: "apus-conformance", targets: ["ApusConformance"]),
    .executable(name: "apus-prove", targets: ["ApusProve"]),
    .executable(name: "apus-fuzz", targets: ["ApusFuzz"]),
    // For the package in Fuzz/, which builds it with libFuzzer.
    .library(name: "ApusFuzzing", targets: ["ApusFuzzing"]),
  ],
  traits: [
    .trait(name: "PlantedBugs", description: "Compiles the simulator's one-line mutations into the engine."),
    .trait(name: "InternalChecks", description: "Walks whole structures after each change."),
  ],
  dependencies: [
    // The simulator's command line; nothing that the engine or its users build.
    .package(url: "https://github.com/apple/swift-argument-parser", .upToNextMinor(from: "1.8.0"))
  ],
  targets: [
    .systemLibrary(name: "CLiburing", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),

    library("ApusBase", []),
    library("ApusIO", ["ApusBase", "CLiburing"]),
    library("ApusStorage", ["ApusBase", "ApusIO"]),
    library("ApusSQL", ["ApusBase"]),
    library("ApusVM", ["ApusBase", "ApusIO", "ApusStorage"]),
    library("ApusCompiler", ["ApusBase", "ApusSQL", "ApusVM", "ApusStorage"]),
    library("ApusFunctions", ["ApusBase", "ApusVM"]),
    library("Apus", ["ApusBase", "ApusIO", "ApusStorage", "ApusSQL", "ApusVM", "ApusCompiler", "ApusFunctions"]),

    // The C door: libsqlite3.so.0. C says what Swift cannot, functions with a variable number of arguments.
    .target(name: "CApus"),
    library(
      "ApusSQLite3",
      ["ApusBase", "ApusIO", "ApusStorage", "ApusSQL", "ApusVM", "ApusCompiler", "ApusFunctions", "Apus", "CApus"]),

    library("ApusBackup", ["ApusBase", "ApusIO", "ApusStorage", "ApusSQL", "Apus", "CZstd"]),
    library("ApusSimulation", ["ApusBase", "ApusIO", "ApusStorage", "ApusVM", "Apus"]),
    // Tools: the shell, and what proves and measures the engine beside real SQLite.
    library("ApusHarness", ["Apus", "ApusBase", "ApusIO"]),
    library(
      "ApusFuzzing",
      ["Apus", "ApusBase", "ApusHarness", "ApusIO", "ApusSQL", "ApusSimulation", "ApusStorage", "ApusVM"]),
    executable("ApusCLI", ["Apus", "ApusBackup", "ApusBase", "ApusIO"]),
    executable(
      "ApusSim",
      [
        "ApusBase", "ApusHarness", "ApusSimulation", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    executable("ApusConformance", ["ApusHarness"]),
    executable("ApusBench", ["Apus", "ApusBase", "ApusHarness", "ApusIO"]),
    executable("ApusProve", ["Apus", "ApusBase", "ApusFuzzing", "ApusHarness", "ApusIO"]),
    executable("ApusFuzz", ["ApusBase", "ApusFuzzing", "ApusHarness"]),

    tests("ApusBaseTests", ["ApusBase"], data: ["Recorded"]),
    tests("ApusStorageTests", ["ApusBase", "ApusIO", "ApusStorage", "CSQLite"]),
    tests("ApusTests", ["Apus", "ApusBase", "ApusHarness", "ApusIO", "ApusVM"]),
    tests("ApusBackupTests", ["Apus", "ApusBackup", "ApusBase", "ApusIO", "ApusStorage"]),
    tests("ApusIOTests", ["ApusBase", "ApusIO", "CSQLite"]),
    tests("ApusFunctionsTests", ["ApusBase", "ApusIO", "ApusVM", "ApusFunctions"], data: ["Recorded"]),
    tests("ApusSQLTests", ["ApusBase", "ApusSQL"]),
    tests("ApusCompilerTests", ["ApusBase", "ApusSQL", "ApusVM", "ApusFunctions", "ApusCompiler"]),
    tests("ApusSimulationTests", ["Apus", "ApusBase", "ApusIO", "ApusSimulation", "CSQLite"], data: ["Corpus"]),
    tests("ApusVMTests", ["ApusBase", "ApusIO", "ApusStorage", "ApusVM"]),
    tests("DifferentialTests", ["Apus", "ApusBase", "ApusFuzzing", "ApusHarness", "ApusIO"], data: ["Recorded"]),
    tests("FuzzTests", ["ApusBase", "ApusFuzz", "ApusFuzzing", "ApusHarness", "ApusIO", "ApusSimulation"]),
    tests("ConformanceTests", ["ApusConformance", "ApusHarness"]),
    tests("ProofTests", ["ApusHarness", "ApusProve"]),
    tests("TidyTests", []),
  ]
)
