// A cursor on one b-tree: what the virtual machine holds.
//
// A cursor owns its state in memory of its own, so that its address is fixed and a call costs no reference counting.
// Every operation may throw a wait and is then called again with the same arguments; until it succeeds, nothing of it can
// be seen. Values that `column` gives out stay valid until the cursor moves, writes or is closed.
// `unsafe` lives here: the owned memory and the caller's registers.

import ApusBase

@safe
public struct BTreeCursor: ~Copyable {
  private let state: UnsafeMutablePointer<CursorState>

  /// - Parameters:
  ///   - root: the b-tree's root page.
  ///   - key: the order of an index or a table without row ids; nil for a table with row ids.
  public init(pager: Pager, root: PageNumber, key: KeyDescription?, isWritable: Bool) {
    unsafe state = UnsafeMutablePointer<CursorState>.allocate(capacity: 1)
    unsafe state.initialize(to: CursorState(pager: pager, root: root, description: key, isWritable: isWritable))
    unsafe pager.cursors.insert(state)
  }

  deinit {
    if unsafe !state.pointee.isParked {
      if unsafe state.pointee.notes != nil { unsafe state.pointee.endNotes() }
      unsafe state.pointee.pager.cursors.remove(state)
    }
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
  }

  // MARK: Use and use again

  /// Ends the cursor's use but keeps its memory: nothing is pinned, and no write looks for it. Only `reopen` may follow.
  public mutating func park() {
    if unsafe state.pointee.isParked { return }
    unsafe state.pointee.pager.cursors.remove(state)
    unsafe state.pointee.park()
  }

  /// Makes a cursor, parked or not, as new, where it is one for this tree.
  /// - Returns: false where it takes another cursor; this one is then as before.
  public mutating func reopen(pager: Pager, root: PageNumber, key: KeyDescription?, isWritable: Bool) -> Bool {
    guard unsafe state.pointee.pager === pager && state.pointee.root == root && state.pointee.description === key,
      unsafe state.pointee.isWritable == isWritable,
      unsafe state.pointee.geometry.usableBytes == pager.usableSize
    else { return false }
    if unsafe state.pointee.isParked {
      unsafe state.pointee.isParked = false
      unsafe pager.cursors.insert(state)
    } else {
      if unsafe state.pointee.notes != nil { unsafe state.pointee.endNotes() }
      unsafe state.pointee.restart()
    }
    return true
  }

  public var root: PageNumber { unsafe state.pointee.root }
  public var isWritable: Bool { unsafe state.pointee.isWritable }
  /// True for a table with row ids.
  public var isTable: Bool { unsafe state.pointee.isTable }

  // MARK: Movement

  /// - Returns: false where the tree is empty.
  public mutating func moveToFirst() throws(Fault) -> Bool { try unsafe state.pointee.moveToFirst() }

  /// - Returns: false where the tree is empty.
  public mutating func moveToLast() throws(Fault) -> Bool { try unsafe state.pointee.moveToLast() }

  /// - Returns: false where there was no further row; the cursor is then nowhere.
  public mutating func next() throws(Fault) -> Bool { try unsafe state.pointee.next() }

  /// Works off rows from the current one on by `steps`, to the end of the leaf at most.
  /// - Returns: true where the row that the cursor then stands on is done with, as all before it; false where it was not
  ///   touched.
  public mutating func scan(_ steps: inout ScanSteps) -> Bool { unsafe state.pointee.scan(&steps) }

  /// - Returns: false where there was no earlier row; the cursor is then nowhere.
  public mutating func previous() throws(Fault) -> Bool { try unsafe state.pointee.previous() }

  /// Moves to the row with the id, or the nearest on the side that `operation` names.
  /// - Returns: false where there is no such row.
  public mutating func seek(rowid: Int64, _ operation: SeekOperation) throws(Fault) -> Bool {
    precondition(isTable)
    return try unsafe state.pointee.seek(rowid: rowid, operation)
  }

  /// Moves to an entry by the order of its first `key.count` columns relative to `key`: the first one for `equal`,
  /// `greaterOrEqual` and `greater`, the last one for `lessOrEqual` and `less`.
  /// - Returns: false where there is no such entry.
  public mutating func seek(key: ValueRange, _ operation: SeekOperation) throws(Fault) -> Bool {
    precondition(!isTable)
    return try unsafe state.pointee.seek(key: key, operation)
  }

  /// As `seek` for `equal`, for a constraint: a change rests on what it finds, or does not find.
  public mutating func seekAsserting(key: ValueRange) throws(Fault) -> Bool {
    precondition(!isTable)
    return try unsafe state.pointee.seekAsserting(key: key)
  }

  /// As `seek` for `equal`, of a row that a constraint or a change asks for.
  public mutating func seekAsserting(rowid: Int64) throws(Fault) -> Bool {
    precondition(isTable)
    return try unsafe state.pointee.seekAsserting(rowid: rowid)
  }

  /// The order of the current entry's first `key.count` columns relative to `key`: negative, zero or positive.
  public mutating func compareKey(_ key: ValueRange) throws(Fault) -> Int { try unsafe state.pointee.compareKey(key) }

  /// The loop over the entries ends at a comparison with `key`: the current entry lies behind all that equal it, or is the first
  /// that does not lie before them, and is looked at no further.
  public mutating func noteRefusal(_ key: ValueRange, isBehind: Bool) {
    if unsafe state.pointee.notes != nil { unsafe state.pointee.noteRefusal(key, isBehind: isBehind) }
  }

  // MARK: The current row

  /// True on a row. A cursor whose tree another cursor changed may find its row gone when it goes back to it.
  public var isValid: Bool {
    unsafe state.pointee.position == .atRow || state.pointee.position == .displaced || state.pointee.position == .nullRow
  }

  /// The row of NULLs that an outer join supplies: every column is NULL. Any movement but `next` and `previous` ends it.
  public var isNullRow: Bool {
    get { unsafe state.pointee.position == .nullRow }
    set {
      if newValue {
        unsafe state.pointee.setPosition(.nullRow)
      } else if unsafe state.pointee.position == .nullRow {
        if unsafe state.pointee.notes != nil { unsafe state.pointee.flushNotes() }
        unsafe state.pointee.setPosition(.unpositioned)
      }
    }
  }

  /// Goes back to the saved row where another cursor changed the tree.
  /// - Returns: false where the row is gone.
  public mutating func goBack() throws(Fault) -> Bool {
    try unsafe state.pointee.restore()
    return unsafe state.pointee.position == .atRow || state.pointee.position == .nullRow
  }

  /// True where the tree was changed under the cursor, so that `goBack` has something to do.
  @inline(__always)
  public var isDisplaced: Bool { unsafe state.pointee.position == .displaced }

  /// The current row's id.
  public var rowid: Int64 {
    mutating get throws(Fault) { try unsafe state.pointee.currentRowid() }
  }

  /// The row id in an index entry: its last column.
  public mutating func indexRowid() throws(Fault) -> Int64 { try unsafe state.pointee.indexRowid() }

  /// Stores column `index` of the current record. Text and blobs lie in the pinned page, or in memory of the cursor's.
  /// - Returns: false, and nothing stored, where the record has fewer columns.
  public mutating func column(_ index: Int, into target: UnsafeMutablePointer<Value>) throws(Fault) -> Bool {
    try unsafe state.pointee.column(index, into: target)
  }

  /// Column `index` of the current record; nil where the record has fewer columns.
  public mutating func column(_ index: Int) throws(Fault) -> Value? { try unsafe state.pointee.column(index) }

  /// The whole record.
  public mutating func payload() throws(Fault) -> ByteView { try unsafe state.pointee.wholePayload() }

  /// - Throws: where the record's header contradicts its size.
  public mutating func checkRecord() throws(Fault) { try unsafe state.pointee.checkRecord() }

  /// How many of an entry's first columns make it unique.
  public var uniqueCount: Int { unsafe state.pointee.description?.uniqueCount ?? 0 }

  /// The whole record's size, without reading what overflows.
  public mutating func payloadByteCount() throws(Fault) -> Int { try unsafe state.pointee.payloadByteCount() }

  // MARK: Writing

  /// Stores a row; one with the same id is overwritten. Afterwards the cursor is on it.
  /// - Parameter isAppend: the caller knows that the id is larger than any in the table (a hint that may be wrong).
  public mutating func insert(rowid: Int64, record: ByteView, isAppend: Bool = false) throws(Fault) {
    precondition(isTable && isWritable)
    try unsafe state.pointee.insert(rowid: rowid, record: record, isAppend: isAppend)
  }

  /// Stores an entry of an index or of a table without row ids.
  /// - Parameters:
  ///   - record: the entry.
  ///   - values: its first columns, as many as make an entry unique. An entry equal in them is overwritten.
  public mutating func insert(key record: ByteView, values: ValueRange) throws(Fault) {
    precondition(!isTable && isWritable)
    try unsafe state.pointee.insert(key: record, values: values)
  }

  #if PlantedBugs
    public var leavesRemovalOut: Bool {
      get { unsafe state.pointee.leavesRemovalOut }
      set { unsafe state.pointee.leavesRemovalOut = newValue }
    }
  #endif

  /// Deletes the current row. Afterwards `next` goes to the row behind it, `previous` to the one before it.
  public mutating func delete() throws(Fault) {
    precondition(isWritable)
    try unsafe state.pointee.delete()
  }

  /// True where `insert` of a record of that size, over the current row where it `replaces` one, or `delete` goes in several
  /// steps, between which it may wait: the change needs an undo scope then.
  public mutating func insertTakesSteps(recordBytes: Int, replaces: Bool) -> Bool {
    unsafe state.pointee.insertTakesSteps(recordBytes: recordBytes, replaces: replaces)
  }

  public mutating func deleteTakesSteps() -> Bool { unsafe state.pointee.deleteTakesSteps() }

  /// Leaves that `count` goes through in one call.
  public static var leavesPerCount: Int { CursorState.leavesPerCount }

  /// How many rows there are. Visits every page.
  /// - Returns: nil after each `leavesPerCount` leaves: call again, unless the statement is to end.
  /// - Throws: SQLITE_CORRUPT where the tree has more leaves than the database pages.
  public mutating func count() throws(Fault) -> Int? { try unsafe state.pointee.count() }

  /// The cursor looks up the sequence of a table from now on, and raises it: its tree is that of the sequences. A concurrent
  /// transaction that does so meets nobody but those who read the sequences or change them otherwise.
  /// - Parameter root: the root page of the table.
  public mutating func serveSequence(of root: UInt32) {
    precondition(isTable)
    unsafe state.pointee.sequenceTable = root
  }

  /// A row id for a new row: one more than the largest; once that is taken, random ones are tried.
  /// - Parameter sequence: the largest that the table has ever had, where that is known.
  /// - Throws: `database or disk is full` where no free one is found.
  public mutating func newRowid(mayBeRandom: Bool = true, behind sequence: Int64 = .min) throws(Fault) -> Int64 {
    precondition(isTable)
    return try unsafe state.pointee.newRowid(mayBeRandom: mayBeRandom, behind: sequence)
  }
}
