// Programs on b-trees: scans, joins, sorts, changes, transactions; with every page access faulting at random.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import ApusVM

extension Bench {
  /// Builds a program whose body runs in a transaction on main.
  func inTransaction(writes: Bool, parameters: Int = 0, _ body: (ProgramBuilder) -> Void) -> Program {
    program { b in
      b.parameterNames = Array(repeating: nil, count: parameters)
      b.isReadOnly = !writes
      let begin = b.makeLabel()
      b.emit(.initialize, 0, to: begin)
      let start = b.labelHere()
      body(b)
      b.emit(.halt)
      b.place(begin)
      b.emit(.transaction, 0, writes ? 1 : 0)
      b.emit(.goto, to: start)
    }
  }

  /// Makes a b-tree and returns its root.
  func makeTree(index: Bool = false) throws -> Int32 {
    let rows = try run(
      inTransaction(writes: true) { b in
        let r = b.allocateRegister()
        b.emit(.createBtree, 0, r, index ? 2 : 1)
        b.emit(.resultRow, r, 1)
      })
    guard case .integer(let root) = rows[0][0] else { return 0 }
    return Int32(root)
  }

  /// INSERT of (parameter 2, parameter 3) at rowid parameter 1.
  func insertion(_ root: Int32) -> Program {
    inTransaction(writes: true, parameters: 3) { b in
      let c = b.allocateCursor()
      let r = b.allocateRegisters(4)
      b.emit(.openWrite, c, root, 0)
      for index in 0..<3 { b.emit(.variable, Int32(index + 1), r + Int32(index)) }
      b.emit(.makeRecord, r + 1, 2, r + 3)
      b.emit(.insert, c, r + 3, r, p5: ChangeFlags.countsChange.union(.setsLastRowid).rawValue)
    }
  }

  func insert(_ root: Int32, _ rowid: Int64, _ a: Int64, _ text: String) throws {
    var machine = Machine(program: insertion(root), state: state)
    try machine.bind(.integer(rowid), at: 1)
    try machine.bind(.integer(a), at: 2)
    try text.withUTF8View { try machine.bind(.text($0), at: 3) }
    _ = try run(&machine)
  }

  /// SELECT rowid, a, b.
  func scan(_ root: Int32) throws -> [[Plain]] {
    try run(
      inTransaction(writes: false) { b in
        let c = b.allocateCursor()
        let r = b.allocateRegisters(3)
        let end = b.makeLabel()
        b.emit(.openRead, c, root, 0)
        b.emit(.rewind, c, to: end)
        let row = b.labelHere()
        b.emit(.rowid, c, r)
        b.emit(.column, c, 0, r + 1)
        b.emit(.column, c, 1, r + 2, p5: ColumnFlags.borrowed.rawValue)
        b.emit(.resultRow, r, 3)
        b.emit(.next, c, to: row)
        b.place(end)
      })
  }

  /// A program of one instruction: BEGIN, COMMIT, ROLLBACK, savepoints.
  func control(_ opcode: Opcode, _ p1: Int32, _ p2: Int32 = 0, name: String? = nil) throws {
    _ = try run { b in
      b.emit(.initialize)
      b.emit(opcode, p1, p2, p4: name.map { b.messageIndex($0) } ?? -1)
      b.emit(.halt)
    }
  }

  func begin() throws { try control(.autoCommit, 0) }
  func commit() throws { try control(.autoCommit, 1) }
  func rollback() throws { try control(.autoCommit, 1, 1) }
}

@Suite struct StorageProgramTests {
  @Test("rows come back as they were inserted, waits or not", arguments: [nil, UInt64(1), 2, 3])
  func roundTrip(faults: UInt64?) throws {
    let bench = Bench(faultSeed: faults)
    let root = try bench.makeTree()
    for rowid in Int64(1)...200 {
      try bench.insert(root, rowid, rowid * 3, String(repeating: "x", count: Int(rowid * 37 % 300)))
    }
    let expected = (Int64(1)...200).map { rowid -> [Plain] in
      [.integer(rowid), .integer(rowid * 3), .text(String(repeating: "x", count: Int(rowid * 37 % 300)))]
    }
    #expect(try bench.scan(root) == expected)
    #expect(bench.state.figures.totalChanges == 200)
    #expect(bench.state.figures.changes == 1)
    #expect(bench.state.figures.lastInsertRowid == 200)
    #expect(bench.pager.state == .none)
  }

  @Test("a join through an index finds the rows that nested loops find", arguments: [nil, UInt64(1), 2])
  func join(faults: UInt64?) throws {
    let bench = Bench(faultSeed: faults)
    let table = try bench.makeTree()
    for rowid in Int64(1)...60 { try bench.insert(table, rowid, rowid % 7, "t\(rowid)") }
    let index = try bench.makeTree(index: true)
    let key = KeyDescription([KeyColumn(), KeyColumn()])
    // CREATE INDEX on the first column: sort the entries, then append them.
    _ = try bench.run(
      bench.inTransaction(writes: true) { b in
        let source = b.allocateCursor(), sorter = b.allocateCursor(), target = b.allocateCursor()
        let r = b.allocateRegisters(3)
        let sorted = b.makeLabel(), end = b.makeLabel()
        b.emit(.openRead, source, table, 0)
        b.emit(.openWrite, target, index, 0, p4: b.keyIndex(key))
        b.emit(.sorterOpen, sorter, 2, p4: b.keyIndex(key))
        b.emit(.rewind, source, to: sorted)
        let row = b.labelHere()
        b.emit(.column, source, 0, r)
        b.emit(.rowid, source, r + 1)
        b.emit(.sorterInsert, sorter, r, 2)
        b.emit(.next, source, to: row)
        b.place(sorted)
        b.emit(.sorterSort, sorter, to: end)
        let entry = b.labelHere()
        b.emit(.sorterData, sorter, r + 2)
        b.emit(.idxInsert, target, r + 2, p4: 0, p5: ChangeFlags.append.rawValue)
        b.emit(.sorterNext, sorter, to: entry)
        b.place(end)
      })
    let rows = try bench.run(
      bench.inTransaction(writes: false) { b in
        let outer = b.allocateCursor(), inner = b.allocateCursor(), lookup = b.allocateCursor()
        let r = b.allocateRegisters(3)
        let end = b.makeLabel(), nextOuter = b.makeLabel()
        b.emit(.openRead, outer, table, 0)
        b.emit(.openRead, inner, index, 0, p4: b.keyIndex(key))
        b.emit(.openRead, lookup, table, 0)
        b.emit(.rewind, outer, to: end)
        let row = b.labelHere()
        b.emit(.column, outer, 0, r)
        b.emit(.seekGE, inner, to: nextOuter, r, p4: 1)
        let match = b.labelHere()
        b.emit(.idxGT, inner, to: nextOuter, r, p4: 1)
        b.emit(.deferredSeek, inner, 0, lookup, p4: b.integersIndex([0, -1]))
        b.emit(.column, outer, 1, r + 1)
        b.emit(.column, lookup, 1, r + 2)
        b.emit(.resultRow, r + 1, 2)
        b.emit(.next, inner, to: match)
        b.place(nextOuter)
        b.emit(.next, outer, to: row)
        b.place(end)
      })
    var expected: [[Plain]] = []
    for left in 1...60 {
      for right in 1...60 where left % 7 == right % 7 { expected.append([.text("t\(left)"), .text("t\(right)")]) }
    }
    #expect(rows == expected)
  }

  @Test("random changes, savepoints and transactions leave what a model has", arguments: UInt64(1)...12)
  func transactions(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let bench = Bench(faultSeed: seed % 3 == 0 ? nil : seed)
    let root = try bench.makeTree()
    let deletion = bench.inTransaction(writes: true, parameters: 1) { b in
      let c = b.allocateCursor(), r = b.allocateRegister()
      let end = b.makeLabel()
      b.emit(.openWrite, c, root, 0)
      b.emit(.variable, 1, r)
      b.emit(.notExists, c, to: end, r)
      b.emit(.delete, c, p5: ChangeFlags.countsChange.rawValue)
      b.place(end)
    }
    // Inserts three rows, then fails as OnConflict says.
    func failing(_ action: OnConflict, at rowid: Int64) -> Program {
      bench.inTransaction(writes: true) { b in
        let c = b.allocateCursor(), r = b.allocateRegisters(3)
        b.emit(.openWrite, c, root, 0)
        for offset in 0..<3 {
          b.emit(.integer, Int32(rowid) + Int32(offset), r)
          b.emit(.integer, -1, r + 1)
          b.emit(.makeRecord, r + 1, 1, r + 2)
          b.emit(.insert, c, r + 2, r)
        }
        b.emit(.halt, ResultCode.constraintCheck.rawValue, action.rawValue, p4: -1, p5: ConstraintKind.check.rawValue)
      }
    }
    var model: [Int64: [Plain]] = [:]
    var committed: [Int64: [Plain]] = [:]
    var savepoints: [(name: String, model: [Int64: [Plain]])] = []
    var isOpen = false
    for step in 0..<120 {
      switch random.below(12) {
      case 0 where !isOpen:
        try bench.begin()
        isOpen = true
        committed = model
      case 1 where isOpen:
        try bench.commit()
        isOpen = false
        savepoints = []
      case 2 where isOpen:
        try bench.rollback()
        isOpen = false
        model = committed
        savepoints = []
      case 3 where isOpen:
        let name = "s\(random.below(3))"
        try bench.control(.savepoint, 0, name: name)
        savepoints.append((name, model))
      case 4 where isOpen && !savepoints.isEmpty:
        let index = savepoints.lastIndex { $0.name == savepoints[random.below(savepoints.count)].name } ?? 0
        try bench.control(.savepoint, 2, name: savepoints[index].name)
        model = savepoints[index].model
        savepoints.removeSubrange((index + 1)...)
      case 5 where isOpen && !savepoints.isEmpty:
        let index = savepoints.count - 1
        try bench.control(.savepoint, 1, name: savepoints[index].name)
        savepoints.removeLast()
      case 6:
        let rowid = Int64(1000 + step * 3)
        let action: OnConflict = [.abort, .fail, .rollback][random.below(3)]
        #expect(throws: EngineError.self) { try bench.run(failing(action, at: rowid)) }
        switch action {
        case .fail: for offset in Int64(0)..<3 { model[rowid + offset] = [.integer(-1), .null] }
        case .rollback where isOpen:
          model = committed
          isOpen = false
          savepoints = []
        default: break
        }
      case 7, 8:
        let rowid = Int64(random.below(50))
        _ = try bench.run(deletion, [.integer(rowid)])
        model[rowid] = nil
      default:
        let rowid = Int64(random.below(50))
        let text = String(repeating: "y", count: random.below(600))
        try bench.insert(root, rowid, Int64(step), text)
        model[rowid] = [.integer(Int64(step)), .text(text)]
      }
      if step % 10 == 9 {
        let expected = model.sorted { $0.key < $1.key }.map { [.integer($0.key)] + $0.value }
        #expect(try bench.scan(root) == expected, "seed \(seed), step \(step)")
      }
      #expect(bench.state.isAutocommit == !isOpen, "seed \(seed), step \(step)")
    }
  }

  @Test("a statement that is dropped or reset at a wait leaves nothing behind", arguments: UInt64(1)...6)
  func dropped(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let bench = Bench(faultSeed: seed)
    let root = try bench.makeTree()
    for rowid in Int64(1)...30 { try bench.insert(root, rowid, rowid, "kept") }
    let before = try bench.scan(root)
    let many = bench.inTransaction(writes: true) { b in
      let c = b.allocateCursor(), r = b.allocateRegisters(4)
      b.emit(.openWrite, c, root, 0)
      b.emit(.integer, 40, r)
      b.emit(.integer, 7919, r + 3)
      let again = b.labelHere()
      b.emit(.addImmediate, r, 1)
      b.emit(.multiply, r, r + 3, r + 1)
      b.emit(.integer, 1_000_003, r + 2)
      b.emit(.remainder, r + 2, r + 1, r + 1)
      b.emit(.makeRecord, r, 1, r + 2)
      b.emit(.insert, c, r + 2, r + 1)
      b.emit(.goto, to: again)
    }
    for _ in 0..<8 {
      let isInTransaction = random.oneIn(2)
      if isInTransaction { try bench.begin() }
      do {
        var machine = Machine(program: many, state: bench.state)
        for _ in 0..<1 + random.below(25) {
          guard case .pending = try machine.step() else { Issue.record("not pending"); return }
        }
        if random.oneIn(2) {
          while case .pending = try machine.reset() {}
        }
      }
      #expect(try bench.scan(root) == before, "seed \(seed)")
      if isInTransaction { try bench.commit() }
      #expect(try bench.scan(root) == before, "seed \(seed)")
    }
  }

  @Test("transaction control refuses what SQLite refuses, in its words")
  func refusals() throws {
    let bench = Bench()
    func message(_ body: () throws -> Void) -> String? {
      do { try body() } catch { return (error as? EngineError)?.message }
      return nil
    }
    #expect(message { try bench.commit() } == "cannot commit - no transaction is active")
    #expect(message { try bench.rollback() } == "cannot rollback - no transaction is active")
    try bench.begin()
    #expect(message { try bench.begin() } == "cannot start a transaction within a transaction")
    #expect(message { try bench.control(.savepoint, 1, name: "x") } == "no such savepoint: x")
    try bench.commit()
    try bench.control(.savepoint, 0, name: "outer")
    #expect(!bench.state.isAutocommit)
    try bench.control(.savepoint, 1, name: "OUTER")
    #expect(bench.state.isAutocommit)
  }

  @Test("an ephemeral index keeps distinct rows, and takes being opened again", arguments: [nil, UInt64(5)])
  func ephemeral(faults: UInt64?) throws {
    let bench = Bench(faultSeed: faults)
    let root = try bench.makeTree()
    for rowid in Int64(1)...40 { try bench.insert(root, rowid, rowid % 5, "") }
    let rows = try bench.run(
      bench.inTransaction(writes: false) { b in
        let c = b.allocateCursor(), seen = b.allocateCursor()
        let r = b.allocateRegisters(2), rounds = b.allocateRegister()
        let end = b.makeLabel()
        b.emit(.openRead, c, root, 0)
        b.emit(.integer, 2, rounds)
        let round = b.labelHere()
        b.emit(.openEphemeral, seen, 1, p4: b.keyIndex(KeyDescription([KeyColumn()])))
        b.emit(.rewind, c, to: end)
        let row = b.labelHere()
        let skip = b.makeLabel()
        b.emit(.column, c, 0, r)
        b.emit(.found, seen, to: skip, r, p4: 1)
        b.emit(.makeRecord, r, 1, r + 1)
        b.emit(.idxInsert, seen, r + 1, r, p4: 1)
        b.emit(.resultRow, r, 1)
        b.place(skip)
        b.emit(.next, c, to: row)
        let done = b.makeLabel()
        b.emit(.decrJumpZero, rounds, to: done)
        b.emit(.goto, to: round)
        b.place(done)
        b.place(end)
      })
    #expect(rows == [[1], [2], [3], [4], [0], [1], [2], [3], [4], [0]])
  }
}
