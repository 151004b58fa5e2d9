// What the tests of the machine share: a connection on memory, values that can be compared, a driver that goes on until
// the end, waits included.

import ApusBase
import ApusIO
import ApusStorage
import Testing

@testable import ApusVM

/// A value that owns its bytes.
enum Plain: Equatable, CustomStringConvertible, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral,
  ExpressibleByNilLiteral, ExpressibleByFloatLiteral
{
  case null, integer(Int64), real(Double), text(String), blob([UInt8])

  init(integerLiteral value: Int64) { self = .integer(value) }
  init(stringLiteral value: String) { self = .text(value) }
  init(nilLiteral: ()) { self = .null }
  init(floatLiteral value: Double) { self = .real(value) }

  init(_ value: Value) {
    switch value.kind {
    case .null: self = .null
    case .integer: self = .integer(value.integerValue)
    case .real: self = .real(value.realValue)
    case .text: self = .text(value.bytes.string)
    case .blob: self = .blob(value.bytes.array)
    }
  }

  var description: String {
    switch self {
    case .null: "NULL"
    case .integer(let value): "\(value)"
    case .real(let value): "\(value)"
    case .text(let value): "'\(value)'"
    case .blob(let value): "x\(value)"
    }
  }
}

/// A connection on memory, with random faults where a seed is given.
final class Bench {
  let environment = MemoryEnvironment(seed: 1)
  let state: ConnectionState
  let pager: Pager

  init(faultSeed: UInt64? = nil) {
    pager = Pager.memory(environment: environment)
    let environment = environment
    state = ConnectionState(
      environment: environment, queue: environment.makeQueue(), main: pager,
      functions: FunctionRegistry(builtIn: FunctionLibrary()),
      makeTemporary: { () throws(Fault) -> Pager in Pager.memory(environment: environment) })
    if let faultSeed { pager.faultInjection = SeededRandom(seed: faultSeed) }
  }

  func program(_ build: (ProgramBuilder) -> Void) -> Program {
    let builder = ProgramBuilder(sql: "")
    build(builder)
    return builder.finish()
  }

  /// Runs a program to its end.
  func run(_ program: Program, _ parameters: [Value] = []) throws -> [[Plain]] {
    var machine = Machine(program: program, state: state)
    for (index, value) in parameters.enumerated() { try machine.bind(value, at: index + 1) }
    return try run(&machine)
  }

  func run(_ machine: inout Machine) throws -> [[Plain]] {
    var rows: [[Plain]] = []
    while true {
      switch try machine.step() {
      case .row: rows.append((0..<machine.columnCount).map { Plain(machine.column($0)) })
      case .done: return rows
      case .pending(.completion): state.queue.waitForCompletion()
      case .pending: break
      }
    }
  }

  func run(_ build: (ProgramBuilder) -> Void) throws -> [[Plain]] { try run(program(build)) }
}
