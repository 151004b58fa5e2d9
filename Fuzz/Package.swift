// swift-tools-version: 6.2
// The coverage-guided fuzzer: libFuzzer around the targets of `ApusFuzzing`. A package of its own, because it is built with
// `--sanitize=fuzzer`, the whole engine with it.
import PackageDescription

let package = Package(
  name: "apus-fuzzer",
  dependencies: [.package(name: "apus", path: "..")],
  targets: [
    .executableTarget(
      name: "ApusFuzzer",
      dependencies: [.product(name: "ApusFuzzing", package: "apus")],
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .strictMemorySafety(),
        .treatAllWarnings(as: .error),
        // libFuzzer brings `main`.
        .unsafeFlags(["-parse-as-library"]),
      ])
  ]
)
