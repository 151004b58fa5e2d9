// One way to run the loop over one FROM item, and what it is estimated to cost.

import ApusBase
import ApusSQL
import ApusVM

final class LoopCandidate {
  struct Flags: OptionSet {
    var rawValue: UInt32
    static let equality = Flags(rawValue: 1)
    static let range = Flags(rawValue: 2)
    static let membership = Flags(rawValue: 4)
    static let null = Flags(rawValue: 8)
    static let top = Flags(rawValue: 0x10)
    static let bottom = Flags(rawValue: 0x20)
    /// The index holds all that is needed.
    static let covering = Flags(rawValue: 0x40)
    /// By rowid.
    static let rowid = Flags(rawValue: 0x100)
    static let indexed = Flags(rawValue: 0x200)
    static let oneRow = Flags(rawValue: 0x1000)
    static let multipleOr = Flags(rawValue: 0x2000)
    static let automatic = Flags(rawValue: 0x4000)
    /// Unique but for NULLs.
    static let uniqueWanted = Flags(rawValue: 0x10000)
  }

  let source: Int
  var prerequisites: UInt64 = 0
  var index: CatalogIndex?
  var flags: Flags = []
  /// The equality terms, in index column order, then those of the range.
  var terms: [WhereTerm] = []
  var equalityCount = 0
  var setup: LogEstimate = 0
  var run: LogEstimate = 0
  var rows: LogEstimate = 0

  init(source: Int) { self.source = source }

  var mask: UInt64 { 1 << UInt64(source) }

  func copy() -> LoopCandidate {
    LoopCandidate(copying: self)
  }

  private init(copying other: LoopCandidate) {
    source = other.source
    prerequisites = other.prerequisites
    index = other.index
    flags = other.flags
    terms = other.terms
    equalityCount = other.equalityCount
    setup = other.setup
    run = other.run
    rows = other.rows
  }
}
