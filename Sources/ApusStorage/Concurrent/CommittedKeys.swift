// The keys that one commit has changed, tree by tree: what others are compared with. Immutable and shared.

import ApusBase

final class CommittedKeys: @unchecked Sendable {
  struct Tree {
    var root: UInt32
    /// nil for a table with row ids.
    var description: KeyDescription?
    /// All that was in the tree went first.
    var isCleared: Bool
    /// Sorted in the tree's order.
    var rowids: [Int64]
    var records: [[UInt8]]
    /// The rows of sequences that were raised.
    var raises: [[UInt8]] = []
  }

  let trees: [Tree]
  let byteCount: Int

  init(_ trees: [Tree]) {
    self.trees = trees
    var total = 64
    for tree in trees {
      total += 128 + 8 * tree.rowids.count
      for record in tree.records + tree.raises { total += 40 + record.count }
    }
    byteCount = total
  }

  convenience init(_ changes: [NetTree]) {
    var trees = changes.map { tree in
      var rowids: [Int64] = []
      var records: [[UInt8]] = []
      for change in tree.changes {
        if tree.description == nil { rowids.append(change.rowid) } else { records.append(change.key) }
      }
      return Tree(
        root: tree.root, description: tree.description, isCleared: tree.isCleared, rowids: rowids, records: records,
        raises: tree.raises.map(\.record))
    }
    // What a sequence was raised to is a row id that was used, whatever became of the row.
    for raise in changes.flatMap(\.raises) {
      let place = trees.firstIndex { $0.root == raise.table } ?? trees.count
      if place == trees.count { trees.append(Tree(root: raise.table, isCleared: false, rowids: [], records: [])) }
      let behind = trees[place].rowids.firstIndex { $0 >= raise.value } ?? trees[place].rowids.count
      if behind == trees[place].rowids.count || trees[place].rowids[behind] != raise.value {
        trees[place].rowids.insert(raise.value, at: behind)
      }
    }
    self.init(trees)
  }
}

/// A key that another transaction has changed and this one has read.
struct KeyConflict {
  enum Key {
    case rowid(Int64)
    case columns(of: [UInt8], count: Int)
  }

  var root: UInt32
  /// nil where all rows went.
  var key: Key?
  /// A change rests on what was read there.
  var isAsserted = false
}

extension KeyConflict.Key {
  /// The key as SQL, cut where it is long.
  func text(_ encoding: TextEncoding) -> String {
    switch self {
    case .rowid(let rowid): "\(rowid)"
    case .columns(let record, let count):
      record.withView { record in
        let values = RecordReader.values(record).prefix(count).map { Self.literal($0, encoding) }
        return values.count == 1 ? values[0] : "(\(values.joined(separator: ", ")))"
      }
    }
  }

  private static let lengthMax = 64

  private static func literal(_ value: Value, _ encoding: TextEncoding) -> String {
    let text: String
    switch value.kind {
    case .null: text = "NULL"
    case .integer: text = "\(value.integerValue)"
    case .real: text = "\(value.realValue)"
    case .text:
      var bytes = ByteBuffer()
      encoding.appendUTF8(value.bytes, to: &bytes)
      let parts = bytes.bytes.string.split(separator: "'", omittingEmptySubsequences: false)
      text = "'" + parts.joined(separator: "''") + "'"
    case .blob:
      let digits = Array("0123456789ABCDEF")
      let shown = value.bytes.array.prefix(lengthMax)
      text = "x'" + String(shown.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }) + "'"
    }
    return text.count <= lengthMax ? text : "\(text.prefix(lengthMax))..."
  }
}
