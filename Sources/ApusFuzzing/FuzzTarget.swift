// What a fuzzer runs: bytes in, a finding out. Each target decides by the bytes alone: no time, no addresses, no order of a
// dictionary. It bounds its own memory and time (`FuzzLimits`), so that every crash and every hang is a defect.
//
// libFuzzer around the targets is the package in Fuzz/; `apus-fuzz` replays inputs without it.

import ApusBase
import ApusHarness

public protocol FuzzTarget: AnyObject {
  /// As `make fuzz TARGET=` says it; also the folder of its past crashes.
  static var name: String { get }
  static var summary: String { get }
  /// Longer inputs are not looked at.
  static var byteCountMax: Int { get }
  /// Words that a mutation may insert.
  static var dictionary: [String] { get }
  /// What a campaign begins with.
  static func seeds() throws(EngineFailure) -> [FuzzSeed]

  init() throws(EngineFailure)

  /// Looks at one input. A trap counts as a finding too.
  func check(_ input: [UInt8]) throws(FuzzFinding)

  /// Changes an input in a way that knows its structure.
  /// - Returns: false where the target has none, and the fuzzer's own mutations are all.
  func mutate(_ input: inout [UInt8], _ random: inout SeededRandom) -> Bool

  /// Makes checksums, lengths and offsets right again after bytes have changed, so that the change is believed.
  func repair(_ input: inout [UInt8], _ random: inout SeededRandom)
}

extension FuzzTarget {
  public static var dictionary: [String] { [] }
  public func mutate(_ input: inout [UInt8], _ random: inout SeededRandom) -> Bool { false }
  public func repair(_ input: inout [UInt8], _ random: inout SeededRandom) {}
}

public struct FuzzSeed: Sendable {
  public var name: String
  public var bytes: [UInt8]

  public init(_ name: String, _ bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
  }

  public init(_ name: String, _ text: String) { self.init(name, Array(text.utf8)) }
}

/// What a target has against the engine.
public struct FuzzFinding: Error, CustomStringConvertible {
  /// What kind it is, without the input's particulars: findings of one kind are taken for one defect.
  public var kind: String
  public var text: String

  public init(_ kind: String, _ text: String = "") {
    self.kind = kind
    self.text = text
  }

  public var description: String { text.isEmpty ? kind : "\(kind): \(text)" }
}

/// What a statement of a fuzzed input may cost.
enum FuzzLimits {
  /// Longest text, blob and row. Longer ones cost memory, not insight.
  static let byteCountMax = 1 << 20
  /// Loop turns of one statement: some milliseconds.
  static let turnCountMax: UInt64 = 20_000
  /// The same for generated queries, whose tables are small, but joined, and looked through again for each row.
  static let queryTurnCountMax: UInt64 = 1_000_000
  /// Longest file: a log or a journal may ask for any length.
  static let fileByteCountMax: Int64 = 1 << 22
  /// Rows that are read of one statement.
  static let rowCountMax = 500
}

public enum FuzzTargets {
  public static var all: [any FuzzTarget.Type] {
    [
      DatabaseTarget.self, LogTarget.self, JournalTarget.self, RecordTarget.self, SQLTextTarget.self, ScriptTarget.self,
      ExpressionTarget.self, StatementsTarget.self, PatternTarget.self, DateTarget.self, NumberTarget.self,
      TapeTarget.self,
    ]
  }

  /// By name, with the one that must fail, which proves that failures are seen.
  public static func named(_ name: String) -> (any FuzzTarget.Type)? {
    (all + [CanaryTarget.self]).first { $0.name == name }
  }
}

/// Fails on every input that begins with "canary!": the fuzzer must find it within seconds.
final class CanaryTarget: FuzzTarget {
  static let name = "canary"
  static let summary = "a defect that must be found"
  static let byteCountMax = 64

  static func seeds() -> [FuzzSeed] { [FuzzSeed("wren", "wren")] }

  func check(_ input: [UInt8]) throws(FuzzFinding) {
    if input.starts(with: Array("canary!".utf8)) { throw FuzzFinding("the canary sings") }
  }
}
