// A rebase: private pages that others' commits have met are dropped, and the transaction's net changes are made anew on the
// newest pages, tree by tree in the order of their keys, with nothing but b-tree operations.
//
// It may wait, and is called again; it goes on at the change that it had come to. A COMMIT that is dropped in its midst leaves
// the transaction placed, and its next statement ends the rebase. `unsafe` lives here.

import ApusBase
import ApusIO

extension Pager {
  /// Drops the private pages, savepoints' images included: what is left is the log. Cannot wait.
  func beginRebase(_ store: FileStore) {
    guard let log = store.concurrent?.log else { return }
    cursors.forgetPaths()
    while let slot = unsafe table.pointee.dirty.oldest { unsafe table.pointee.detach(slot) }
    releaseUndo(from: 0)
    markedPages = [:]
    freedPages.removeAll()
    contentlessPages.removeAll()
    pointerEdits = [:]
    freePool = nil
    currentPageCount = committedPageCount
    for index in savepoints.indices {
      savepoints[index].undoCount = 0
      savepoints[index].pageCount = committedPageCount
      savepoints[index].pointerEdits = [:]
    }
    unsafe table.pointee.dirtyRoom = 0
    store.concurrent?.rebase = RebaseRun(log.netChanges())
    store.concurrent?.rebaseSerial = savepointSerial
    store.concurrent?.isHeaderOther = true
    store.concurrent?.phase = .placed
  }
}

final class RebaseRun {
  private let trees: [NetTree]
  private var tree = 0
  private var place = 0
  private var isCleared = false
  /// The key's old record, or its absence, was found.
  private var isChecked = false
  /// The row of the sequence that is being raised: behind a wait only its write goes on.
  private var raisedRow: Int64?
  private var cursor: BTreeCursor?
  private var key = ByteBuffer()
  private var record = ByteBuffer()
  private var values = KeyValues()

  init(_ trees: [NetTree]) {
    self.trees = trees
    #if PlantedBugs
      if PlantedBug.isActive(.rebaseSkipsIndex), trees.count > 1 { tree = 1 }
    #endif
  }

  /// Called again after a wait.
  /// - Throws: SQLITE_INTERNAL where the newest pages are not what the transaction was compared with.
  func run(_ pager: Pager) throws(Fault) {
    while tree < trees.count {
      let net = trees[tree]
      let root = PageNumber(net.root)
      if net.isCleared, !isCleared {
        while try !BTree.clear(pager, root: root) {}
        isCleared = true
      }
      if cursor == nil {
        cursor = BTreeCursor(pager: pager, root: root, key: net.description, isWritable: true)
      }
      while place < net.changes.count {
        try apply(net.changes[place])
        isChecked = false
        place += 1
      }
      while place < net.raises.count {
        try raise(net.raises[place])
        raisedRow = nil
        place += 1
      }
      cursor = nil
      tree += 1
      place = 0
      isCleared = false
    }
  }

  /// The sequence becomes what it is on the newest pages, or what this transaction needs, whichever is larger. Begins anew behind a
  /// wait, but for the write.
  private func raise(_ raise: NetRaise) throws(Fault) {
    record.removeAll()
    raise.record.withView { record.append($0) }
    if let raisedRow { return try cursor!.insert(rowid: raisedRow, record: record.bytes) }
    let name = raise.record.withView { RecordReader.values($0).first.map(Self.bytes) ?? [] }
    var found = try cursor!.moveToFirst()
    while found {
      if let known = try cursor!.column(0), Self.bytes(known) == name { break }
      found = try cursor!.next()
    }
    if !found {
      let rowid = try cursor!.newRowid()
      raisedRow = rowid
      return try cursor!.insert(rowid: rowid, record: record.bytes)
    }
    // What is no integer stood there when this transaction looked it up, too.
    var isReached = false
    if let value = try cursor!.column(1), value.kind == .integer { isReached = value.integerValue >= raise.value }
    #if PlantedBugs
      if PlantedBug.isActive(.raiseOverwrites) { isReached = false }
    #endif
    if isReached { return }
    let rowid = try cursor!.rowid
    raisedRow = rowid
    try cursor!.insert(rowid: rowid, record: record.bytes)
  }

  private static func bytes(_ value: Value) -> [UInt8] { value.kind == .text ? value.bytes.array : [] }

  private func apply(_ change: NetChange) throws(Fault) {
    let isTable = trees[tree].description == nil
    key.removeAll()
    change.key.withView { key.append($0) }
    if !isTable { _ = values.load(key.bytes, most: .max) }
    if !isChecked {
      let found = isTable ? try cursor!.seek(rowid: change.rowid, .equal) : try cursor!.seek(key: values.range, .equal)
      guard found == (change.old != nil) else { throw mismatch(change) }
      if let old = change.old {
        let payload = try cursor!.payload()
        guard old.withView({ payload.elementsEqual($0) }) else { throw mismatch(change) }
      }
      isChecked = true
    }
    guard let new = change.new else {
      if change.old != nil { try cursor!.delete() }
      return
    }
    record.removeAll()
    new.withView { record.append($0) }
    if isTable {
      try cursor!.insert(rowid: change.rowid, record: record.bytes)
    } else {
      try cursor!.insert(key: record.bytes, values: values.range)
    }
  }

  private func mismatch(_ change: NetChange) -> Fault {
    .error(
      .internal, object: "tree with root page \(trees[tree].root)",
      cause: "a rebase found another record than the transaction was compared with")
  }
}
