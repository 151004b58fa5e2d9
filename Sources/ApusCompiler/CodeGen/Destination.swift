// Where the rows of a select go.

import ApusBase
import ApusVM

indirect enum Destination {
  /// To the caller, as rows of the result.
  case output
  /// To the consumer of a coroutine: the row lies in registers from `base` on, `state` is the coroutine's register.
  case coroutine(state: Int32, base: Int32)
  /// Into registers; only the first row counts.
  case memory(Int32)
  /// Sets a register to 1; only the first row counts.
  case exists(Int32)
  /// Into an ephemeral index, after these affinities.
  case set(Int32, [Affinity])
  /// Out of an ephemeral index.
  case except(Int32)
  /// Into an ephemeral table.
  case table(Int32)
  /// Into an ephemeral index where no equal row is there yet, and then also to another destination (recursive UNION).
  case distinct(Int32, Destination?)
  /// To code that is generated for the row, which lies in registers from `first` on.
  case row((_ first: Int32, _ count: Int) throws(EngineError) -> Void)

  /// Only the first row counts.
  var takesOneRow: Bool {
    switch self {
    case .memory, .exists: true
    default: false
    }
  }
}

/// LIMIT and OFFSET of a select, in registers; 0 where there is none.
struct LimitState {
  var limit: Int32 = 0
  var offset: Int32 = 0
  /// LIMIT + OFFSET: how many rows a sorter has to keep.
  var sum: Int32 = 0
}

extension Generator {
  /// Hands the row in `count` registers from `first` on to the destination. `skip` is where the next row is made.
  func deliver(_ first: Int32, _ count: Int, to destination: Destination, skip: Label) throws(EngineError) {
    switch destination {
    case .output: builder.emit(.resultRow, first, Int32(count))
    case .coroutine(let state, let base):
      if first != base { builder.emit(.copy, first, base, Int32(count - 1)) }
      builder.emit(.yield, state, to: endOfCoroutine)
    case .memory(let target):
      if first != target { builder.emit(.copy, first, target, Int32(count - 1)) }
    case .exists(let target): integer(1, into: target)
    case .set(let cursor, let affinities):
      try withTemporary { (record) throws(EngineError) in
        self.builder.emit(.makeRecord, first, Int32(count), record, p4: self.builder.affinityIndex(affinities))
        self.builder.emit(.idxInsert, cursor, record, first, p4: Int32(0))
      }
    case .except(let cursor):
      builder.emit(.idxDelete, cursor, first, Int32(count))
    case .table(let cursor):
      try withTemporary { (record) throws(EngineError) in
        try self.withTemporary { (rowid) throws(EngineError) in
          self.builder.emit(.makeRecord, first, Int32(count), record)
          self.builder.emit(.newRowid, cursor, rowid)
          self.builder.emit(.insert, cursor, record, rowid, p5: ChangeFlags.append.rawValue)
        }
      }
    case .distinct(let cursor, let inner):
      builder.emit(.found, cursor, to: skip, first, p4: Int32(count))
      try withTemporary { (record) throws(EngineError) in
        self.builder.emit(.makeRecord, first, Int32(count), record)
        self.builder.emit(.idxInsert, cursor, record, first, p4: 0)
      }
      if let inner { try deliver(first, count, to: inner, skip: skip) }
    case .row(let body): try body(first, count)
    }
  }

  // A coroutine that yields does not expect its consumer to have ended.
  private var endOfCoroutine: Label { builder.labelHere() }
}
