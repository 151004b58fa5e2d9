// What an SQL function sees of the machine that calls it, and where it leaves its result.
//
// The machine owns one context for all calls of a statement. A call looks like this:
//
//   context.begin()                                     result is NULL, output empty
//   try definition.scalar(&context, arguments)
//   context.result                                      the value
//   context.place                                       whose memory its bytes lie in
//
// A result whose bytes lie in `context.output` is taken over without copying: the machine swaps that buffer with the
// one of the target register (the bytes do not move). A borrowed result points into an argument or into static memory.
//
// A function neither waits nor throws `.wait`: it is part of one instruction.

import ApusBase
import ApusIO

/// Figures of the connection that some functions report.
public struct ConnectionFigures: Sendable {
  public var lastInsertRowid: Int64 = 0
  public var changes: Int64 = 0
  public var totalChanges: Int64 = 0

  public init() {}
}

/// Whose memory the bytes of a result lie in.
public enum ResultPlace: UInt8, Sendable {
  /// The result has no bytes, or they live as long as the program.
  case immediate
  /// `context.output`; they move with the buffer's ownership.
  case output
  /// An argument's bytes (or a part of them): the machine copies them if the argument's register may change first.
  case argument
}

public struct FunctionContext: ~Copyable {
  /// The result of the call; NULL unless the function set another.
  public private(set) var result: Value = .null
  public private(set) var place: ResultPlace = .immediate
  /// Where a function writes the bytes of its result. The machine swaps it with the target register's buffer.
  public var output = ByteBuffer()

  // Where numbers that are used as text are written; a call needs at most three at a time.
  private var scratch0 = ByteBuffer()
  private var scratch1 = ByteBuffer()
  private var scratch2 = ByteBuffer()

  /// The collating sequence of the call; set by the machine for functions with the trait `.usesCollation`.
  public var collation: Collation = .binary
  /// Set by the machine for functions with the trait `.readsConnection`.
  public var figures = ConnectionFigures()
  /// How the connection's databases store text; arguments and results are UTF-8 all the same.
  public var textEncoding = TextEncoding.utf8
  /// Most bytes that a text or blob may have.
  public var lengthLimit = 1_000_000_000
  /// Set by `min` and `max` (the aggregates) when the row of this step is not the extreme one: bare columns of the
  /// query keep the values that they have.
  public var keepsBareColumns = false
  /// What the call site keeps from one row to the next (a compiled pattern); nil at the statement's start. The
  /// machine swaps it in and out for functions with the trait `.hasCallState`.
  public var callState: AnyObject?

  /// Why the call may read neither the moment nor the zone; nil where it may.
  var worldRefusal: String?

  private let environment: any Environment
  private var moment: Int64?

  public init(environment: any Environment) { self.environment = environment }

  /// Forgets the previous call's result.
  @inlinable @inline(__always)
  public mutating func begin() {
    clearResult()
    output.removeAll()
  }

  @inlinable @inline(__always)
  mutating func clearResult() { setResult(.null, in: .immediate) }

  // MARK: Results

  @inlinable @inline(__always)
  public mutating func setNull() { setResult(.null, in: .immediate) }

  @inlinable @inline(__always)
  public mutating func setInteger(_ value: Int64) { setResult(.integer(value), in: .immediate) }

  @inlinable @inline(__always)
  public mutating func setBoolean(_ value: Bool) { setResult(.boolean(value), in: .immediate) }

  /// NaN becomes NULL.
  @inlinable @inline(__always)
  public mutating func setReal(_ value: Double) { setResult(.real(value), in: .immediate) }

  /// One of the arguments, unchanged (subtype included).
  @inlinable @inline(__always)
  public mutating func setArgument(_ value: Value) { setResult(value, in: value.hasBytes ? .argument : .immediate) }

  /// A part of an argument's bytes, or bytes that live as long as the program.
  @inlinable @inline(__always)
  public mutating func setBorrowedText(_ bytes: ByteView) { setResult(.text(bytes), in: .argument) }

  @inlinable @inline(__always)
  public mutating func setBorrowedBlob(_ bytes: ByteView) { setResult(.blob(bytes), in: .argument) }

  /// A copy of `bytes`, which must not lie in `output`.
  public mutating func setText(_ bytes: ByteView) throws(Fault) {
    try checkLength(bytes.count)
    output.removeAll()
    output.append(bytes)
    setResult(.text(output.bytes), in: .output)
  }

  /// A copy of `bytes`, which must not lie in `output`.
  public mutating func setBlob(_ bytes: ByteView) throws(Fault) {
    try checkLength(bytes.count)
    output.removeAll()
    output.append(bytes)
    setResult(.blob(output.bytes), in: .output)
  }

  public mutating func setText(_ text: StaticString) {
    output.removeAll()
    output.append(text)
    setResult(.text(output.bytes), in: .output)
  }

  /// What the function wrote to `output`, as text.
  public mutating func setOutputText() throws(Fault) {
    try checkLength(output.count)
    setResult(.text(output.bytes), in: .output)
  }

  /// What the function wrote to `output`, as a blob.
  public mutating func setOutputBlob() throws(Fault) {
    try checkLength(output.count)
    setResult(.blob(output.bytes), in: .output)
  }

  public mutating func setSubtype(_ subtype: UInt8) { result.subtype = subtype }

  @inlinable @inline(__always)
  mutating func setResult(_ value: Value, in newPlace: ResultPlace) { store(value, newPlace) }

  @usableFromInline
  mutating func store(_ value: Value, _ newPlace: ResultPlace) {
    result = value
    place = newPlace
  }

  // MARK: Arguments

  /// Which of the three scratch buffers holds a number that is used as text.
  public enum Scratch: Sendable { case first, second, third }

  /// The bytes of text or blob as they are, of a number as SQLite prints it, of NULL none. Valid until the same
  /// scratch buffer is used again.
  public mutating func text(_ value: Value, _ scratch: Scratch = .first) -> ByteView {
    if value.hasBytes { return value.bytes }
    switch scratch {
    case .first: return value.textBytes(in: &scratch0)
    case .second: return value.textBytes(in: &scratch1)
    case .third: return value.textBytes(in: &scratch2)
    }
  }

  /// Lets a function use a scratch buffer for its own needs.
  public mutating func withScratch<R>(
    _ body: (inout ByteBuffer, inout ByteBuffer) throws(Fault) -> R
  ) throws(Fault) -> R {
    try body(&output, &scratch2)
  }

  // MARK: Failures

  /// An error with SQLite's code for errors of functions (1) and this message.
  @inline(never)
  public func error(_ message: String) -> Fault { .error(.error, message) }

  /// Throws "string or blob too big" where `count` is over the connection's limit.
  @inlinable @inline(__always)
  public func checkLength(_ count: Int) throws(Fault) {
    if count > lengthLimit { throw tooBig() }
  }

  @inline(never)
  public func tooBig() -> Fault { .error(.tooBig) }

  // MARK: The world

  /// Throws where a deterministic function is called in a place where it may read neither the moment nor the zone. It asks
  /// before it does.
  public func checkWorldAllowed() throws(Fault) {
    if let worldRefusal { throw error(worldRefusal) }
  }

  /// A new moment may be seen: called by the machine at the start of each `step`, within which 'now' stands still.
  public mutating func forgetMoment() { moment = nil }

  /// Milliseconds since 1970-01-01 00:00 UTC, the same within one `step`.
  public mutating func currentMilliseconds() -> Int64 {
    if let moment { return moment }
    let now = environment.wallClockMilliseconds()
    moment = now
    return now
  }

  public func localTimeOffsetSeconds(atMilliseconds moment: Int64) -> Int {
    environment.localTimeOffsetSeconds(atMilliseconds: moment)
  }

  public func randomUInt64() -> UInt64 { environment.randomUInt64() }
}
