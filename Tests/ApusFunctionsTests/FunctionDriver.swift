// Calls function definitions directly, without SQL. Values are written as in the recorded tables: n, i<integer>,
// r<bits in hexadecimal>, t<text>, b<blob>, with %xx for bytes.

import ApusBase
import ApusFunctions
import ApusIO
import ApusVM

/// A world with a fixed clock and a seeded source of chance, and no files.
final class FixedEnvironment: Environment {
  let milliseconds: Int64
  let offsetSeconds: Int

  init(milliseconds: Int64 = 1_700_000_000_123, offsetSeconds: Int = 0) {
    self.milliseconds = milliseconds
    self.offsetSeconds = offsetSeconds
  }

  var backendName: String { "none" }
  var backendReason: String? { nil }
  private func refuse() -> EngineError { EngineError(.cannotOpen) }
  func open(_ path: String, _ mode: OpenMode) throws(EngineError) -> any File { throw refuse() }
  func openTemporary() throws(EngineError) -> any File { throw refuse() }
  func exists(_ path: String) throws(EngineError) -> Bool { false }
  func size(of path: String) throws(EngineError) -> Int64? { nil }
  func delete(_ path: String) throws(EngineError) {}
  func rename(_ path: String, to newPath: String, replaces: Bool) throws(EngineError) { throw EngineError(.ioError) }
  func fullPath(_ path: String) throws(EngineError) -> String { path }
  func makeQueue() -> any IOQueue { preconditionFailure("no files here") }
  func monotonicNanoseconds() -> UInt64 { 0 }
  func wallClockMilliseconds() -> Int64 { milliseconds }
  func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int { offsetSeconds }
  func randomUInt64() -> UInt64 { 0x0123_4567_89ab_cdef }
  func sleep(untilMonotonic moment: UInt64) {}
}

/// Values with the memory that their bytes lie in.
@safe
final class Arguments {
  private(set) var values: [Value] = []
  private var blocks: [UnsafeMutableRawPointer]

  init(_ fields: [Substring]) {
    unsafe blocks = []
    for field in fields { values.append(value(field)) }
  }

  deinit { for unsafe block in unsafe blocks { unsafe block.deallocate() } }

  private func value(_ field: Substring) -> Value {
    let rest = field.dropFirst()
    switch field.first {
    case "i": return .integer(Int64(rest)!)
    case "r": return .real(Double(bitPattern: UInt64(rest, radix: 16)!))
    case "t", "b":
      let bytes = unescaped(rest)
      let block = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
      unsafe block.copyMemory(from: bytes, byteCount: bytes.count)
      unsafe blocks.append(block)
      let view = unsafe ByteView(unchecked: UnsafeRawPointer(block), count: bytes.count)
      return field.first == "t" ? .text(view) : .blob(view)
    default: return .null
    }
  }

  func with<R>(_ body: (ValueRange) throws(Fault) -> R) throws(Fault) -> R {
    // One more than needed, so that no arguments have an address too.
    var padded = values
    padded.append(.null)
    let count = values.count
    let result = unsafe padded.withUnsafeBufferPointer { buffer -> Result<R, Fault> in
      do throws(Fault) {
        return unsafe .success(try body(ValueRange(unchecked: buffer.baseAddress!, count: count)))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}

/// The bytes of a recorded text, in which %xx stands for a byte.
func unescaped(_ text: Substring) -> [UInt8] {
  var bytes: [UInt8] = []
  var rest = Array(text.utf8)[...]
  while let byte = rest.popFirst() {
    if byte == 0x25 {
      bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
      rest = rest.dropFirst(2)
    } else {
      bytes.append(byte)
    }
  }
  return bytes
}

/// The bytes in the notation of the recorded tables.
func escaped(_ bytes: [UInt8]) -> String {
  var text = ""
  for byte in bytes {
    if byte > 0x20, byte < 0x7f, !"%|=\\\"~".utf8.contains(byte) {
      text.unicodeScalars.append(Unicode.Scalar(byte))
    } else {
      let digits = String(byte, radix: 16)
      text += "%" + (digits.count == 1 ? "0" : "") + digits
    }
  }
  return text
}

func notation(_ value: Value) -> String {
  switch value.kind {
  case .null: return "n"
  case .integer: return "i\(value.integerValue)"
  case .real:
    let digits = String(value.realValue.bitPattern, radix: 16)
    return "r" + String(repeating: "0", count: 16 - digits.count) + digits
  case .text: return "t" + escaped(value.bytes.array)
  case .blob: return "b" + escaped(value.bytes.array)
  }
}

struct FunctionDriver: ~Copyable {
  let registry = FunctionRegistry(builtIn: BuiltInFunctions.library)
  var context: FunctionContext

  init(environment: FixedEnvironment = FixedEnvironment()) { context = FunctionContext(environment: environment) }

  /// What `name(arguments...)` gives, or "e" and the message.
  mutating func call(_ name: String, _ fields: [Substring], pureIn place: PurePlace? = nil) -> String {
    guard case .found(let definition) = registry.lookUp(name, argumentCount: fields.count) else { return "no function" }
    guard case .scalar(let function) = definition.pure(in: place).body else { return "no scalar function" }
    let arguments = Arguments(fields)
    context.begin()
    do throws(Fault) {
      try arguments.with { (range) throws(Fault) in try function(&context, range) }
      return notation(context.result)
    } catch {
      return message(error)
    }
  }

  /// What an aggregate gives for these rows; with a frame length, what it gives for each row's frame of that many rows.
  mutating func aggregate(_ name: String, _ rows: [[Substring]], frame: Int? = nil, arity: Int) -> [String] {
    guard case .found(let definition) = registry.lookUp(name, argumentCount: arity),
      case .aggregate(let function) = definition.body
    else { return ["no aggregate"] }
    let block = UnsafeMutableRawPointer.allocate(byteCount: function.stateByteCount, alignment: 16)
    unsafe block.initializeMemory(as: UInt8.self, repeating: 0, count: function.stateByteCount)
    defer { unsafe block.deallocate() }
    let state = unsafe AggregateState(unchecked: block, byteCount: function.stateByteCount)
    let arguments = rows.map { Arguments($0) }
    var results: [String] = []
    do throws(Fault) {
      for (index, row) in arguments.enumerated() {
        if let frame, index >= frame {
          try arguments[index - frame].with { (range) throws(Fault) in try function.inverse!(&context, state, range) }
        }
        try row.with { (range) throws(Fault) in try function.step(&context, state, range) }
        if frame == nil { continue }
        context.begin()
        try function.value!(&context, state)
        results.append(notation(context.result))
      }
      if frame == nil {
        context.begin()
        try function.finalize(&context, state)
        results.append(notation(context.result))
      }
    } catch {
      results.append(message(error))
    }
    if let destroy = function.destroy { destroy(state) }
    return results
  }

  private func message(_ fault: Fault) -> String {
    switch fault {
    case .failure(let error): "e" + escaped(Array(error.message.utf8))
    case .wait: "a wait"
    }
  }
}
