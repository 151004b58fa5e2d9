// The instruction set. One line of meaning per instruction; the families' files under Machine/ hold the rest.
//
// Notation: p1, p2, p3, p4 are 32-bit operands, p5 holds 16 flag bits. rN is "the register that pN names", cN "the cursor
// that pN names". Registers count from 1 (0 means none), cursors and databases from 0 (database 0 is main, 1 is temp,
// attached ones follow). "jump" always means: to the address in p2, unless said otherwise. p4 is a number, or an index
// into one of the program's pools (`Opcode.p4Kind`); -1 means none.
//
// Names and meanings follow SQLite's where they have one (https://sqlite.org/opcode.html). What differs: `constant`
// replaces Int64, Real, String8 and Blob; `column` reads a sorter directly; `sorterInsert` and `column` take more work on.

public enum Opcode: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  // Control ---------------------------------------------------------------------------------------------------------

  /// First instruction: jumps to p2 (the part that opens transactions), 0 = falls through.
  case initialize
  /// Jumps to p2.
  case goto
  /// r1 = the address of the next instruction; jumps to p2.
  case gosub
  /// Jumps to the address in r1. If r1 is no integer: falls through where p3 = 1, else it is our bug.
  case `return`
  /// r1 = p3, where the coroutine begins; jumps to p2 (behind the coroutine's code).
  case initCoroutine
  /// Ends the coroutine whose state is r1: continues at the jump address of the `yield` that called it; the state says "ended".
  case endCoroutine
  /// Swaps the program counter with r1. Called on a coroutine that has ended: jumps to p2.
  case yield
  /// Ends the program. p1 = result code (0 success); p2 = `OnConflict` action (abort, fail, rollback); p4 = message or -1;
  /// p5 = `ConstraintKind` whose words go before the message ("UNIQUE constraint failed: "), 0 = none.
  /// Success commits when this was the last statement of an autocommit transaction.
  case halt
  /// Like `halt` when r3 is NULL; else falls through.
  case haltIfNull
  /// Falls through the first time in a run of the program, jumps ever after. p1 = a register that nobody else uses.
  case once
  /// Does nothing.
  case noop
  /// Does nothing: a line of EXPLAIN QUERY PLAN. p1 = id, p2 = parent, p4 = text.
  case explain

  // Values ----------------------------------------------------------------------------------------------------------

  /// r2 = p1.
  case integer
  /// r2 = constant p4.
  case constant
  /// r2 ... r3 = NULL (only r2 where p3 is 0). p1 = 1: the "cleared" NULL, which equals nothing, not even under nullEqual.
  case null
  /// r2 = the parameter numbered p1 (from 1).
  case variable
  /// Moves p3 registers from r1... to r2...; r1... become NULL. The values own their bytes afterwards.
  case move
  /// Copies p3 + 1 registers from r1... to r2..., bytes included.
  case copy
  /// r2 = r1; text and blob bytes stay r1's (or the page's): r1 must not be written while r2 is in use.
  case shallowCopy
  /// r2 = r1, which is an integer or NULL.
  case integerCopy
  /// Gives r1 ... (p2 of them) to the caller as a row.
  case resultRow

  // Operators -------------------------------------------------------------------------------------------------------

  /// r3 = r2 || r1.
  case concat
  /// r3 = r1 + r2.
  case add
  /// r3 = r2 - r1.
  case subtract
  /// r3 = r1 * r2.
  case multiply
  /// r3 = r2 / r1.
  case divide
  /// r3 = r2 % r1.
  case remainder
  /// r3 = r1 & r2.
  case bitAnd
  /// r3 = r1 | r2.
  case bitOr
  /// r3 = r2 << r1.
  case shiftLeft
  /// r3 = r2 >> r1.
  case shiftRight
  /// r2 = ~r1.
  case bitNot
  /// r2 = NOT r1.
  case not
  /// r3 = r1 AND r2 (three-valued).
  case and
  /// r3 = r1 OR r2 (three-valued).
  case or
  /// r2 = p3 where r1 is NULL, else (r1 is true) XOR p4. IS TRUE, IS FALSE and their negations.
  case isTrue
  /// r1 += p2; r1 is made an integer first.
  case addImmediate
  /// Jumps if r3 == r1. Collation p4 (-1 = binary), p5 = `ComparisonFlags`.
  case eq
  /// Jumps if r3 != r1; operands as for `eq`.
  case ne
  /// Jumps if r3 < r1; operands as for `eq`.
  case lt
  /// Jumps if r3 <= r1; operands as for `eq`.
  case le
  /// Jumps if r3 > r1; operands as for `eq`.
  case gt
  /// Jumps if r3 >= r1; operands as for `eq`.
  case ge
  /// Names the order (integers p4) in which the next `compare` takes its registers.
  case permutation
  /// Compares r1... with r2..., p3 registers, by key description p4; NULLs are equal. p5 = 1: in the order of `permutation`.
  case compare
  /// Jumps to p1, p2 or p3 as the last `compare` found less, equal or greater.
  case jump
  /// Jumps if r1 is true; NULL counts as p3.
  case `if`
  /// Jumps if r1 is false; NULL counts as false where p3 is 1.
  case ifNot
  /// Jumps if r1 is NULL.
  case isNull
  /// Jumps if r1 is not NULL.
  case notNull
  /// If cursor c1 stands on a null row: r3 = NULL and jumps.
  case ifNullRow
  /// r2 = 0, or NULL where r1 or r3 is NULL.
  case zeroOrNull
  /// r1 = CAST(r1 AS affinity p2) (the raw value of `Affinity`).
  case cast
  /// Applies affinity string p4 to the p2 registers from r1 on.
  case affinity
  /// r1 becomes a real if it is an integer (a REAL column stores small reals as integers).
  case realAffinity
  /// r1 must be or become an integer without loss; otherwise jumps, or fails with "datatype mismatch" where p2 is 0.
  case mustBeInt
  /// Checks the p2 registers from r1 on against STRICT table p4 (table pool), converting as STRICT does.
  case typeCheck
  /// Calls function p4 with p5 arguments from r2 on; r3 = result. p1 = mask of arguments that are constant.
  case function

  // Counters --------------------------------------------------------------------------------------------------------

  /// If r1 > 0: r1 -= p3 and jumps.
  case ifPos
  /// If r1 != 0: jumps, after r1 -= 1 where r1 > 0.
  case ifNotZero
  /// r1 -= 1; jumps if r1 is then 0.
  case decrJumpZero
  /// r2 = LIMIT r1 + OFFSET r3, or -1 (no limit) where r1 <= 0 or the sum overflows; a negative offset counts as 0.
  case offsetLimit

  // Cursors ---------------------------------------------------------------------------------------------------------

  /// Opens cursor c1 for reading on the b-tree with root p2 in database p3; key description p4, -1 for a rowid table.
  /// p5 = `OpenFlags`.
  case openRead
  /// The same for writing.
  case openWrite
  /// Opens c1 on a new, empty temporary b-tree of p2 columns: rowid table where p4 is -1, else index by key description p4.
  /// Open already: empties it.
  case openEphemeral
  /// The same as `openEphemeral`, for an automatic index.
  case openAutoindex
  /// Opens c1 as one row that lies in record register r2; p3 = number of columns.
  case openPseudo
  /// Opens c1 on the ephemeral table that c2 is open on.
  case openDup
  /// Opens c1 as a sorter of records by key description p4; p2 = number of columns. p3 (0 = none) = register that says how
  /// many of the sorted records are read at most; below 1: all.
  case sorterOpen
  /// Closes c1.
  case close
  /// Puts c1 on its first entry; jumps if there is none.
  case rewind
  /// Puts c1 on its last entry; jumps if there is none.
  case last
  /// Moves c1 forward; jumps if there is an entry, falls through behind the last. Interrupts and limits are checked here.
  case next
  /// As `next`, for a loop whose front is scan loop p4 of the program: rows that the front rules out, or that it is all there
  /// is to do with, are worked off without the loop.
  case nextScan
  /// Moves c1 backward; jumps if there is an entry.
  case prev
  /// Puts c1 on the first entry >= key; jumps if there is none. Index: p4 registers from r3 on; table: the rowid in r3, p4 = 0.
  case seekGE
  /// The same for the first entry > key.
  case seekGT
  /// The same for the last entry <= key.
  case seekLE
  /// The same for the last entry < key.
  case seekLT
  /// Puts c1 on the row with rowid r3 (converted as a comparison with INTEGER would); jumps if there is none.
  case seekRowid
  /// The same where r3 is an integer for sure.
  case notExists
  /// Jumps if no entry of c1 begins with the key; else c1 stands on it. Key: p4 registers from r3 on, or record r3 where p4 = 0.
  case notFound
  /// Jumps if an entry of c1 begins with the key; operands as for `notFound`.
  case found
  /// Like `notFound`, and jumps also if some part of the key is NULL: "no uniqueness conflict".
  case noConflict
  /// Table cursor c3 will move to the row of index cursor c1 when it is first read. p4 = integers: for each table column the
  /// index column that holds it, or -1; p4 = -1: none is.
  case deferredSeek
  /// Carries a pending `deferredSeek` of c1 out.
  case finishSeek
  /// Jumps if the entry of c1 is >= key on the key's columns: p4 registers from r3 on.
  case idxGE
  /// The same for >.
  case idxGT
  /// The same for <=.
  case idxLE
  /// The same for <.
  case idxLT
  /// r3 = column p2 of c1 (a b-tree, pseudo or sorter cursor); constant p4 where the record is shorter (-1: NULL).
  /// p5 = `ColumnFlags`.
  case column
  /// r2 = rowid of c1 (NULL on a null row).
  case rowid
  /// r2 = the rowid that ends the entry of index c1 (NULL on a null row).
  case idxRowid
  /// c1 reads as all NULL until it moves.
  case nullRow
  /// r2 = the record of c1's entry, as a blob.
  case rowData
  /// r2 = number of entries of c1.
  case count
  /// r2 = a number that c1 counts up from 0.
  case sequence

  // Changes ---------------------------------------------------------------------------------------------------------

  /// r3 = record of the p2 registers from r1 on, after affinity string p4 (-1: none). p5 = `RecordFlags`.
  case makeRecord
  /// From now on c1, on `sqlite_sequence`, looks up and raises the sequence of the table of c2, and does nothing else.
  case serveSequence
  /// r2 = a rowid that c1 does not have. p3 (0 = none) = register with the largest rowid ever used (AUTOINCREMENT); updated.
  case newRowid
  /// Inserts or overwrites record r2 at rowid r3 in table c1. p4 = table (table pool, -1), p5 = `ChangeFlags`.
  case insert
  /// Deletes the entry of c1. p5 = `ChangeFlags`.
  case delete
  /// Inserts record r2 into index c1; p4 registers from r3 on hold its columns (p4 = 0: they are read from the record).
  /// p5 = `ChangeFlags`.
  case idxInsert
  /// Deletes the entry of index c1 that equals the p3 registers from r2 on. p5 = 1: its absence is SQLITE_CORRUPT_INDEX.
  case idxDelete
  /// Sets the statement's change counter aside into the connection's (between the statements of a trigger) and zeroes it.
  case resetCount
  /// r2 = root page of a new b-tree in database p1; p3 = 1 rowid table, 2 index.
  case createBtree
  /// Frees the b-tree with root p1 in database p3. r2 = the root page that was moved into its place, 0 for none.
  case destroy
  /// Empties the b-tree with root p1 in database p2. p3 > 0: its rows count as changes, and are added to r3 too.
  case clear
  /// Empties ephemeral cursor c1.
  case resetSorter

  // Sorter and sets -------------------------------------------------------------------------------------------------

  /// Adds a record to sorter c1: the p3 registers from r2 on, or record r2 where p3 = 0.
  case sorterInsert
  /// Sorts c1 and puts it on its first record; jumps if it is empty.
  case sorterSort
  /// Jumps if sorter c1 has filled three quarters of its memory, or more than that.
  case sorterFull
  /// r2 = how many rows of database p1 are looked up in one batch: NULL becomes 0 where the database fits into the page
  /// cache, else 1; from there on it grows.
  case lookupBatch
  /// Moves sorter c1 forward; jumps if there is a record. Equal records come in the order of their insertion.
  case sorterNext
  /// r2 = record of sorter c1; pseudo cursor c3 sees it at once.
  case sorterData
  /// Jumps if the first p4 columns of record r3 differ from those of sorter c1's record, or if one of them is NULL.
  case sorterCompare
  /// Adds integer r2 to the row set in r1.
  case rowSetAdd
  /// r3 = smallest integer of the row set in r1, which is taken out; jumps if it is empty.
  case rowSetRead
  /// Jumps if integer r3 was added to row set r1 by an earlier batch than p4 (0 first, -1 last); else adds it unless p4 is -1.
  case rowSetTest

  // Aggregates ------------------------------------------------------------------------------------------------------

  /// One step of aggregate p4 with p5 arguments from r2 on; r3 is its accumulator (NULL = not begun). p1 (0 = none) = register
  /// that becomes 1 where `min` or `max` asks to keep the bare columns as they are, else 0.
  case aggStep
  /// As `aggStep`, of a function whose state begins with the count of its rows.
  case aggStepCount
  /// As `aggStep`, of a function of one argument whose state begins with a `QuickSum`.
  case aggStepSum
  /// r1 = result of aggregate p4 (p2 arguments); the accumulator is gone.
  case aggFinal
  /// Opens c1 as an empty table of groups with keys of p2 values; integers p4: for each aggregate its function and the
  /// register of its accumulator.
  case groupOpen
  /// The accumulators' registers name the states of the group of c1 whose key lies in the registers from r3 on, a new one
  /// where need be; jumps where a new group has no room.
  case groupFind
  /// The next group of c1, in no order that means anything: its key goes to the registers from r3 on, its number to r4;
  /// jumps behind the last.
  case groupNext
  /// The accumulators' registers name the states of group number r2 of c1.
  case groupLoad

  // Transactions and schema -----------------------------------------------------------------------------------------

  /// Begins or joins a transaction on database p1: p2 = 0 read, 1 write, 2 exclusive. p5 & 1: fails with SQLITE_SCHEMA
  /// unless the schema cookie is p3 (the statement is compiled again then). p5 & 2: only reads where the database can only be
  /// read. A write opens the statement's undo scope.
  case transaction
  /// BEGIN (p1 = 0), COMMIT (p1 = 1, p2 = 0), ROLLBACK (p1 = 1, p2 = 1). Ends the program.
  case autoCommit
  /// p1 = 0 SAVEPOINT, 1 RELEASE, 2 ROLLBACK TO the name in message p4.
  case savepoint
  /// Checkpoints database p1 (-1: all), p2 = mode (0 passive, 1 full, 2 restart, 3 truncate, 4 none: only tells); r3, r3+1,
  /// r3+2 = busy, frames in the log, frames checkpointed (of all databases: whether one was busy, the first one's frames).
  case checkpoint
  /// r2 = journal mode of database p1 after asking for mode p3 (`JournalMode` raw value, -1: asks for none).
  case journalMode
  /// r2 = header field p3 (meta 1...15) of database p1.
  case readCookie
  /// Header field p2 of database p1 = p3.
  case setCookie
  /// The catalog of database p1 (-1: all) is stale when this statement ends well or the transaction is rolled back.
  case schemaChanged
  /// r2 = setting p3 (`Setting`) of database p1. p5 = 1: sets it first, to the value in r2.
  case setting
  /// Opens the database that text r1 names, under the name in text r2.
  case attach
  /// Closes the attached database that text r1 names.
  case detach
  /// Writes database p1 anew, in its own place, or to the new file that text r2 names (p2 = 0: none).
  case vacuum
  /// Shortens database p1, where it has auto_vacuum, by up to r2 free pages (0 or less: all).
  case incrementalVacuum
  /// Jumps where r1 may stand in a column of the class p3 (`ColumnClass`).
  case fitsColumn
  /// r3 = r3 + a digest of the p2 registers from r1 on, which values that BINARY holds for equal share; overflow wraps.
  case digest
  /// Looks at the entry on which c1 stands: r3 = r3 + the digest of its values; r2 = a copy of it. r3+1 = 1 where it does not
  /// come behind the entry in r2 (NULL: none), 2 where its first p4 values, without a NULL among them, are equal, else 0.
  case checkEntry
  /// r2 = NULL, or the place of the record on which c1 stands, where its header contradicts its size.
  case checkRecord
  /// r2 = NULL, or the complaints about the b-trees with roots p4 (integers) of database p1, at most r3 of them (counted down).
  case integrityCheck
  /// Begins walk c1 through the pages of a database for `dbstat`: database p4, or the one that text r2 names where p5 & 1 (none:
  /// no rows); one row for each tree where p5 & 2 and r2+1 is not 0; only the tree named by r2+2 where p5 & 4.
  case spaceBegin
  /// The next row of walk c1 goes to the 12 registers from r3 on; jumps behind the last.
  case spaceNext
  /// The next row of the conflict report of database p1 goes to the 5 registers from r3 on; jumps behind the last.
  case conflictNext
}

/// What `p4` is.
public enum P4Kind: Sendable {
  case none, number, constant, keyDescription, function, collation, affinity, message, table, integers
}

extension Opcode {
  public var p4Kind: P4Kind {
    switch self {
    case .halt, .haltIfNull, .explain, .savepoint: .message
    case .constant, .column: .constant
    case .eq, .ne, .lt, .le, .gt, .ge: .collation
    case .permutation, .deferredSeek, .integrityCheck, .groupOpen: .integers
    case .compare, .openRead, .openWrite, .openEphemeral, .openAutoindex, .sorterOpen: .keyDescription
    case .affinity, .makeRecord: .affinity
    case .function, .aggStep, .aggStepCount, .aggStepSum, .aggFinal: .function
    case .insert, .delete, .typeCheck: .table
    case .isTrue, .seekGE, .seekGT, .seekLE, .seekLT, .notFound, .found, .noConflict, .idxGE, .idxGT, .idxLE, .idxLT,
      .idxInsert, .sorterCompare, .rowSetTest, .groupNext, .nextScan, .checkEntry, .spaceBegin:
      .number
    default: .none
    }
  }

  /// Which operands are addresses.
  public var jumps: (p1: Bool, p2: Bool, p3: Bool) {
    switch self {
    case .initialize, .goto, .gosub, .yield, .once, .eq, .ne, .lt, .le, .gt, .ge, .if, .ifNot, .isNull, .notNull,
      .ifNullRow, .mustBeInt, .ifPos, .ifNotZero, .decrJumpZero, .rewind, .last, .next, .nextScan, .prev, .seekGE, .seekGT, .seekLE,
      .seekLT, .seekRowid, .notExists, .notFound, .found, .noConflict, .idxGE, .idxGT, .idxLE, .idxLT, .sorterSort,
      .sorterNext, .sorterFull, .sorterCompare, .rowSetRead, .rowSetTest, .groupFind, .groupNext, .fitsColumn,
      .spaceNext, .conflictNext:
      (false, true, false)
    case .initCoroutine: (false, true, true)
    case .jump: (true, true, true)
    default: (false, false, false)
    }
  }

  /// The name as EXPLAIN prints it: SQLite's spelling ("OpenRead").
  public var displayName: String {
    switch self {
    case .initialize: return "Init"
    case .eq, .ne, .lt, .le, .gt, .ge:
      let name = "\(self)"
      return name.prefix(1).uppercased() + name.dropFirst()
    case .addImmediate: return "AddImm"
    case .goto: return "Goto"
    default:
      let name = "\(self)"
      return name.prefix(1).uppercased() + name.dropFirst()
    }
  }
}
