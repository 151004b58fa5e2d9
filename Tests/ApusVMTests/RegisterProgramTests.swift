// Programs on registers alone.

import ApusBase
import ApusStorage
import Testing

@testable import ApusVM

@Suite struct RegisterProgramTests {
  @Test("constants, arithmetic and text come out as they were computed")
  func computes() throws {
    let rows = try Bench().run { b in
      let first = b.allocateRegisters(5)
      b.emit(.initialize)
      b.emit(.integer, 20, first)
      b.emit(.constant, 0, first + 1, p4: b.constantIndex(.text("22")))
      b.emit(.add, first, first + 1, first + 2)
      b.emit(.concat, first, first + 1, first + 3)
      b.emit(.constant, 0, first + 4, p4: b.constantIndex(.real(2.5)))
      b.emit(.resultRow, first, 5)
      b.emit(.halt)
    }
    #expect(rows == [[20, "22", 42, "2220", 2.5]])
  }

  @Test("a loop counts, and a coroutine hands over one value after the other")
  func coroutine() throws {
    let rows = try Bench().run { b in
      let state = b.allocateRegister()
      let value = b.allocateRegister()
      let limit = b.allocateRegister()
      let body = b.makeLabel()
      let after = b.makeLabel()
      let end = b.makeLabel()
      b.emit(.initialize)
      b.emit(.initCoroutine, state, to: after, body.operand)
      b.place(body)
      b.emit(.integer, 0, value)
      b.emit(.integer, 3, limit)
      let again = b.labelHere()
      b.emit(.addImmediate, value, 1)
      b.emit(.yield, state, to: end)
      b.emit(.lt, limit, to: again, value)
      b.emit(.endCoroutine, state)
      b.place(after)
      let next = b.labelHere()
      b.emit(.yield, state, to: end)
      b.emit(.resultRow, value, 1)
      b.emit(.goto, to: next)
      b.place(end)
      b.emit(.halt)
    }
    #expect(rows == [[1], [2], [3]])
  }

  @Test("comparisons follow affinity and NULL's rules")
  func comparisons() throws {
    func compared(_ opcode: Opcode, _ left: ConstantValue, _ right: ConstantValue, _ flags: ComparisonFlags) throws -> Plain {
      try Bench().run { b in
        let r = b.allocateRegisters(3)
        b.emit(.initialize)
        b.emit(.constant, 0, r, p4: b.constantIndex(left))
        b.emit(.constant, 0, r + 1, p4: b.constantIndex(right))
        b.emit(opcode, r + 1, r + 2, r, p5: flags.union(.storeResult).rawValue)
        b.emit(.resultRow, r + 2, 1)
        b.emit(.halt)
      }[0][0]
    }
    #expect(try compared(.lt, .integer(1), .integer(2), []) == 1)
    #expect(try compared(.ge, .integer(1), .integer(2), []) == 0)
    #expect(try compared(.eq, .null, .integer(2), []) == nil)
    #expect(try compared(.eq, .null, .null, .nullEqual) == 1)
    #expect(try compared(.ne, .null, .integer(0), .nullEqual) == 1)
    #expect(try compared(.eq, .text("1"), .integer(1), []) == 0)
    #expect(try compared(.eq, .text("1"), .integer(1), .affinity(.numeric)) == 1)
    #expect(try compared(.eq, .text("1.0"), .integer(1), .affinity(.text)) == 0)
    #expect(try compared(.eq, .text("1"), .integer(1), .affinity(.text)) == 1)
    #expect(try compared(.gt, .integer(9_007_199_254_740_993), .real(Double(9_007_199_254_740_992)), []) == 1)
  }

  @Test("parameters are bound, read, and refused out of range")
  func parameters() throws {
    let bench = Bench()
    let program = bench.program { b in
      b.parameterNames = [nil, ":x"]
      let r = b.allocateRegisters(2)
      b.emit(.initialize)
      b.emit(.variable, 1, r)
      b.emit(.variable, 2, r + 1)
      b.emit(.resultRow, r, 2)
      b.emit(.halt)
    }
    var machine = Machine(program: program, state: bench.state)
    #expect(try bench.run(&machine) == [[nil, nil]])
    try machine.bind(.integer(5), at: 1)
    try "hello".withUTF8View { try machine.bind(.text($0), at: 2) }
    #expect(try bench.run(&machine) == [[5, "hello"]])
    #expect(try bench.run(&machine) == [[5, "hello"]])
    #expect(throws: EngineError.self) { try machine.bind(.null, at: 3) }
  }

  @Test("halt throws the constraint's message in SQLite's words")
  func haltMessage() throws {
    let bench = Bench()
    do {
      _ = try bench.run { b in
        b.emit(.initialize)
        b.emit(
          .halt, ResultCode.constraintUnique.rawValue, OnConflict.abort.rawValue, p4: b.messageIndex("t.a"),
          p5: ConstraintKind.unique.rawValue)
      }
      Issue.record("no error")
    } catch let error as EngineError {
      #expect(error.message == "UNIQUE constraint failed: t.a")
      #expect(error.code == .constraintUnique)
    }
    #expect(!bench.state.hasActiveStatements)
  }

  @Test("an interrupt stops an endless loop, and the next statement runs")
  func interrupt() throws {
    let bench = Bench()
    let endless = bench.program { b in
      let r = b.allocateRegister()
      b.emit(.initialize)
      let again = b.labelHere()
      b.emit(.resultRow, r, 1)
      b.emit(.goto, to: again)
    }
    var machine = Machine(program: endless, state: bench.state)
    guard case .row = try machine.step() else { return }
    bench.state.interrupt()
    #expect(throws: EngineError.self) { try bench.run(&machine) }
    #expect(try bench.run { b in b.emit(.halt) } == [])
  }

  @Test("every opcode has a listing")
  func listing() {
    let program = Bench().program { b in
      b.emit(.initialize)
      b.emit(.openRead, 0, 2, 0, p4: b.keyIndex(KeyDescription([KeyColumn(collation: .nocase, isDescending: true)])))
      b.emit(.halt)
    }
    #expect(program.listing.contains("OpenRead"))
    #expect(program.listing.contains("-NOCASE"))
    for opcode in Opcode.allCases { #expect(!opcode.displayName.isEmpty) }
  }
}

extension String {
  /// The string's bytes as a view, for the time of `body`.
  func withUTF8View<R>(_ body: (ByteView) throws -> R) rethrows -> R {
    var copy = self
    return try copy.withUTF8 { buffer in
      try unsafe body(ByteView(unchecked: UnsafeRawBufferPointer(buffer)))
    }
  }
}
