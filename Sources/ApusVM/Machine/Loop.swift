// The loop: fetch, switch, next. One case per instruction; what takes more than a line is in its family's file.
// `unsafe` lives here: the fetch. Addresses were checked when the program was built.

import ApusBase

extension MachineCore {
  /// Loop turns between two looks at interrupts and limits.
  static let turnsPerCheck = 1000

  /// Runs until there is a row, the program ends, or an instruction throws. A wait leaves `address` at the instruction
  /// that is executed again.
  mutating func run() throws(Fault) -> StepResult {
    var pc = address
    let registers = registers
    do throws(Fault) {
      while true {
        let i = unsafe code[pc]
        switch i.opcode {
        // Control
        case .initialize: if i.p2 > 0 { pc = Int(i.p2) } else { pc &+= 1 }
        case .goto:
          if Int(i.p2) <= pc { try countTurn() }
          pc = Int(i.p2)
        case .gosub:
          registers[i.p1] = .integer(Int64(pc + 1))
          pc = Int(i.p2)
        case .return:
          if registers[i.p1].kind == .integer {
            pc = try jumpTarget(registers[i.p1])
          } else {
            guard i.p3 == 1 else { throw .error(.internal, "return without gosub") }
            pc &+= 1
          }
        case .initCoroutine:
          registers[i.p1] = .integer(Int64(i.p3))
          pc = Int(i.p2)
        case .endCoroutine:
          let caller = try jumpTarget(registers[i.p1]) - 1
          registers[i.p1] = .integer(Int64(pc))
          pc = Int(unsafe code[caller].p2)
        case .yield:
          try countTurn()
          let target = try jumpTarget(registers[i.p1])
          registers[i.p1] = .integer(Int64(pc + 1))
          pc = target
        case .halt:
          try halt(i)
          address = pc
          return .done
        case .haltIfNull:
          if registers[i.p3].isNull {
            try halt(i)
            address = pc
            return .done
          }
          pc &+= 1
        case .once:
          if registers[i.p1].isNull {
            registers[i.p1] = .integer(1)
            pc &+= 1
          } else {
            pc = Int(i.p2)
          }
        case .noop, .explain: pc &+= 1

        // Values
        case .integer:
          registers[i.p2] = .integer(Int64(i.p1))
          pc &+= 1
        case .constant:
          registers[i.p2] = constant(i.p4)
          pc &+= 1
        case .null:
          loadNull(i)
          pc &+= 1
        case .variable:
          loadVariable(i)
          pc &+= 1
        case .move:
          move(i)
          pc &+= 1
        case .copy:
          copy(i)
          pc &+= 1
        case .shallowCopy:
          shallowCopy(i)
          pc &+= 1
        case .integerCopy:
          registers[i.p2] = registers[i.p1]
          pc &+= 1
        case .resultRow:
          giveRow(i)
          address = pc + 1
          return .row

        // Operators
        case .concat:
          try concatenate(i)
          pc &+= 1
        case .add:
          registers[i.p3] = .add(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .subtract:
          registers[i.p3] = .subtract(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .multiply:
          registers[i.p3] = .multiply(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .divide:
          registers[i.p3] = .divide(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .remainder:
          registers[i.p3] = .remainder(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .bitAnd:
          registers[i.p3] = .bitAnd(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .bitOr:
          registers[i.p3] = .bitOr(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .shiftLeft:
          registers[i.p3] = .shiftLeft(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .shiftRight:
          registers[i.p3] = .shiftRight(registers[i.p2], registers[i.p1])
          pc &+= 1
        case .bitNot:
          registers[i.p2] = .bitNot(registers[i.p1])
          pc &+= 1
        case .not:
          logicalNot(i)
          pc &+= 1
        case .and:
          logicalAnd(i)
          pc &+= 1
        case .or:
          logicalOr(i)
          pc &+= 1
        case .isTrue:
          isTrue(i)
          pc &+= 1
        case .addImmediate:
          addImmediate(i)
          pc &+= 1
        case .eq: pc = compare(i, OrderMask.equal) ? Int(i.p2) : pc &+ 1
        case .ne: pc = compare(i, OrderMask.less | OrderMask.greater) ? Int(i.p2) : pc &+ 1
        case .lt: pc = compare(i, OrderMask.less) ? Int(i.p2) : pc &+ 1
        case .le: pc = compare(i, OrderMask.less | OrderMask.equal) ? Int(i.p2) : pc &+ 1
        case .gt: pc = compare(i, OrderMask.greater) ? Int(i.p2) : pc &+ 1
        case .ge: pc = compare(i, OrderMask.greater | OrderMask.equal) ? Int(i.p2) : pc &+ 1
        case .permutation:
          permutation = i.p4
          pc &+= 1
        case .compare:
          compareRuns(i)
          pc &+= 1
        case .jump: pc = Int(order < 0 ? i.p1 : (order == 0 ? i.p2 : i.p3))
        case .if: pc = isTrue(i.p1, ifNull: i.p3 != 0) ? Int(i.p2) : pc &+ 1
        case .ifNot: pc = isTrue(i.p1, ifNull: i.p3 == 0) ? pc &+ 1 : Int(i.p2)
        case .isNull: pc = registers[i.p1].isNull ? Int(i.p2) : pc &+ 1
        case .notNull: pc = registers[i.p1].isNull ? pc &+ 1 : Int(i.p2)
        case .ifNullRow:
          if cursors[i.p1].isNullRow {
            registers[i.p3] = .null
            pc = Int(i.p2)
          } else {
            pc &+= 1
          }
        case .zeroOrNull:
          registers[i.p2] = registers[i.p1].isNull || registers[i.p3].isNull ? .null : .integer(0)
          pc &+= 1
        case .cast:
          cast(i)
          pc &+= 1
        case .affinity:
          applyAffinities(i.p1, i.p4)
          pc &+= 1
        case .realAffinity:
          makeReal(i.p1)
          pc &+= 1
        case .mustBeInt:
          if makeInteger(i.p1) {
            pc &+= 1
          } else {
            guard i.p2 > 0 else { throw .error(.mismatch) }
            pc = Int(i.p2)
          }
        case .typeCheck:
          try checkTypes(i)
          pc &+= 1
        case .function:
          try callFunction(i)
          pc &+= 1

        // Counters
        case .ifPos: pc = isPositiveAndCountDown(i) ? Int(i.p2) : pc &+ 1
        case .ifNotZero: pc = isNotZeroAndCountDown(i) ? Int(i.p2) : pc &+ 1
        case .decrJumpZero: pc = countsDownToZero(i) ? Int(i.p2) : pc &+ 1
        case .offsetLimit:
          addOffset(i)
          pc &+= 1

        // Cursors
        case .openRead:
          try openTree(i, isWritable: false)
          pc &+= 1
        case .openWrite:
          try openTree(i, isWritable: true)
          pc &+= 1
        case .openEphemeral, .openAutoindex:
          try openEphemeral(i)
          pc &+= 1
        case .openPseudo:
          openPseudo(i)
          pc &+= 1
        case .openDup:
          try openDuplicate(i)
          pc &+= 1
        case .sorterOpen:
          openSorter(i)
          pc &+= 1
        case .close:
          cursors.close(i.p1)
          pc &+= 1
        case .rewind: pc = try rewind(i.p1) ? pc &+ 1 : Int(i.p2)
        case .last: pc = try moveToLast(i.p1) ? pc &+ 1 : Int(i.p2)
        case .next:
          try countTurn()
          pc = try next(i.p1) ? Int(i.p2) : pc &+ 1
        case .nextScan: pc = try nextScan(i) ? Int(i.p2) : pc &+ 1
        case .prev:
          try countTurn()
          pc = try previous(i.p1) ? Int(i.p2) : pc &+ 1
        case .seekGE: pc = try seek(i, .greaterOrEqual) ? pc &+ 1 : Int(i.p2)
        case .seekGT: pc = try seek(i, .greater) ? pc &+ 1 : Int(i.p2)
        case .seekLE: pc = try seek(i, .lessOrEqual) ? pc &+ 1 : Int(i.p2)
        case .seekLT: pc = try seek(i, .less) ? pc &+ 1 : Int(i.p2)
        case .seekRowid: pc = try seekRowid(i) ? pc &+ 1 : Int(i.p2)
        case .notExists: pc = try seekRowid(i, asserts: true) ? pc &+ 1 : Int(i.p2)
        case .notFound: pc = try find(i) ? pc &+ 1 : Int(i.p2)
        case .found: pc = try find(i) ? Int(i.p2) : pc &+ 1
        case .noConflict:
          if hasNull(i) { pc = Int(i.p2) } else { pc = try find(i, asserts: true) ? pc &+ 1 : Int(i.p2) }
        case .deferredSeek:
          deferSeek(i)
          pc &+= 1
        case .finishSeek:
          try finishSeek(i.p1)
          pc &+= 1
        case .idxGE: pc = try entryOrder(i) >= 0 ? endOfRange(i, isBehind: false) : pc &+ 1
        case .idxGT: pc = try entryOrder(i) > 0 ? endOfRange(i, isBehind: true) : pc &+ 1
        case .idxLE: pc = try entryOrder(i) <= 0 ? Int(i.p2) : pc &+ 1
        case .idxLT: pc = try entryOrder(i) < 0 ? Int(i.p2) : pc &+ 1
        case .column:
          try column(i)
          pc &+= 1
        case .rowid:
          try rowid(i)
          pc &+= 1
        case .idxRowid:
          try indexRowid(i)
          pc &+= 1
        case .nullRow:
          setNullRow(i.p1)
          pc &+= 1
        case .rowData:
          try rowData(i)
          pc &+= 1
        case .count:
          try count(i)
          pc &+= 1
        case .sequence:
          sequence(i)
          pc &+= 1

        // Changes
        case .makeRecord:
          try makeRecord(i)
          pc &+= 1
        case .serveSequence:
          cursors[tree: i.p1].serveSequence(of: cursors[i.p2].root)
          pc &+= 1
        case .newRowid:
          try newRowid(i)
          pc &+= 1
        case .insert:
          try insert(i)
          pc &+= 1
        case .delete:
          try delete(i)
          pc &+= 1
        case .idxInsert:
          try insertIntoIndex(i)
          pc &+= 1
        case .idxDelete:
          try deleteFromIndex(i)
          pc &+= 1
        case .resetCount:
          resetCount()
          pc &+= 1
        case .createBtree:
          try createTree(i)
          pc &+= 1
        case .destroy:
          try destroyTree(i)
          pc &+= 1
        case .vacuum:
          try vacuum(i)
          pc &+= 1
        case .incrementalVacuum:
          try vacuumIncrementally(i)
          pc &+= 1
        case .clear:
          try clearTree(i)
          pc &+= 1
        case .resetSorter:
          try resetSorter(i)
          pc &+= 1

        // Sorter and sets
        case .sorterInsert:
          try insertIntoSorter(i)
          pc &+= 1
        case .sorterSort: pc = try sortAndRewind(i.p1) ? pc &+ 1 : Int(i.p2)
        case .sorterFull: pc = cursors[sorter: i.p1].isFull ? Int(i.p2) : pc &+ 1
        case .lookupBatch:
          try sizeBatch(i)
          pc &+= 1
        case .sorterNext:
          try countTurn()
          pc = try nextInSorter(i.p1) ? Int(i.p2) : pc &+ 1
        case .sorterData:
          registers.copyBytes(i.p2, .blob(cursors[sorter: i.p1].record))
          pc &+= 1
        case .sorterCompare: pc = differsFromSorter(i) ? Int(i.p2) : pc &+ 1
        case .rowSetAdd:
          addToRowSet(i)
          pc &+= 1
        case .rowSetRead:
          try countTurn()
          pc = readRowSet(i) ? Int(i.p2) : pc &+ 1
        case .rowSetTest: pc = isInRowSet(i) ? Int(i.p2) : pc &+ 1

        // Aggregates
        case .aggStep:
          try stepAggregate(i)
          pc &+= 1
        case .aggStepCount:
          if !AggregateState.countRow(registers[i.p3]) { try stepAggregate(i) }
          pc &+= 1
        case .aggStepSum:
          if !AggregateState.addToSum(registers[i.p3], registers[i.p2]) { try stepAggregate(i) }
          pc &+= 1
        case .aggFinal:
          try finishAggregate(i)
          pc &+= 1

        case .groupOpen:
          openGroups(i)
          pc &+= 1
        case .groupFind: pc = findGroup(i) ? pc &+ 1 : Int(i.p2)
        case .groupNext: pc = nextGroup(i) ? pc &+ 1 : Int(i.p2)
        case .groupLoad:
          try loadGroup(i)
          pc &+= 1

        // Transactions and schema
        case .transaction:
          try beginTransaction(i)
          pc &+= 1
        case .autoCommit:
          try setAutocommit(i)
          address = pc
          return .done
        case .savepoint:
          try savepoint(i)
          pc &+= 1
        case .checkpoint:
          try checkpoint(i)
          pc &+= 1
        case .journalMode:
          try setJournalMode(i)
          pc &+= 1
        case .readCookie:
          try readCookie(i)
          pc &+= 1
        case .setCookie:
          try setCookie(i)
          pc &+= 1
        case .schemaChanged:
          markSchemaChanged(i)
          pc &+= 1
        case .setting:
          try setting(i)
          pc &+= 1
        case .fitsColumn: pc = fitsColumn(i) ? Int(i.p2) : pc &+ 1
        case .digest:
          digest(i)
          pc &+= 1
        case .checkEntry:
          try checkEntry(i)
          pc &+= 1
        case .checkRecord:
          try checkRecord(i)
          pc &+= 1
        case .integrityCheck:
          try checkIntegrity(i)
          pc &+= 1
        case .spaceBegin:
          try beginSpaceWalk(i)
          pc &+= 1
        case .spaceNext: pc = try nextSpaceRow(i) ? pc &+ 1 : Int(i.p2)
        case .conflictNext: pc = nextConflictRow(i) ? pc &+ 1 : Int(i.p2)
        case .attach:
          try attachDatabase(i)
          pc &+= 1
        case .detach:
          try detachDatabase(i)
          pc &+= 1
        }
      }
    } catch {
      address = pc
      throw error
    }
  }

  @inline(__always)
  private mutating func countTurn() throws(Fault) {
    budget &-= 1
    if budget < 0 { try checkLimits() }
  }

  /// Counts turns that were taken without the loop.
  @inline(__always)
  mutating func countTurns(_ count: Int) throws(Fault) {
    budget &-= count
    if budget < 0 { try checkLimits() }
  }

  @inline(never)
  private mutating func checkLimits() throws(Fault) {
    turnCount &+= UInt64(MachineCore.turnsPerCheck &- budget)
    budget = MachineCore.turnsPerCheck
    if state.isInterrupted { throw .error(.interrupt) }
    if let abortCode { throw .error(abortCode) }
    let most = state.limits.turnCountMax
    if most > 0, turnCount > most {
      throw .error(.interrupt, cause: "the statement has used up its \(most) loop turns")
    }
  }

  @inline(__always)
  private func jumpTarget(_ value: Value) throws(Fault) -> Int {
    guard value.kind == .integer, value.integerValue >= 0, value.integerValue < Int64(program.instructionCount) else {
      throw .error(.internal, "a register holds no address")
    }
    return Int(value.integerValue)
  }

  /// - Throws: what a program that ends badly says.
  private mutating func halt(_ i: Instruction) throws(Fault) {
    if i.p1 == 0 { return }
    let code = ResultCode(i.p1)
    let words = ConstraintKind(rawValue: i.p5)?.words ?? ""
    var message = i.p4 >= 0 ? program.messages[Int(i.p4)] : nil
    if !words.isEmpty { message = message.map { "\(words): \($0)" } ?? words }
    switch OnConflict(rawValue: i.p2) {
    case .rollback: failureEnding = .undoTransaction
    case .fail: failureEnding = .keep
    default: failureEnding = .undoStatement
    }
    throw .error(code, message)
  }

  private mutating func giveRow(_ i: Instruction) {
    for register in i.p1..<i.p1 + i.p2 { registers.own(register) }
    resultFirst = i.p1
    resultCount = Int(i.p2)
  }
}
