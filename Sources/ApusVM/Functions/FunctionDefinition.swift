// An SQL function: its name, how many arguments it takes, what the compiler may assume of it, and its code. Built-in
// functions and those of applications are the same thing.
//
// The closures of the engine's own functions capture nothing, so a call counts no references. `unsafe` lives here, for the
// state blocks of aggregates.

import ApusBase

/// How many arguments a function takes.
public enum FunctionArity: Hashable, Sendable {
  case exactly(Int)
  case any
  case atLeast(Int)

  @inlinable
  public func accepts(_ count: Int) -> Bool {
    switch self {
    case .exactly(let number): count == number
    case .any: true
    case .atLeast(let number): count >= number
    }
  }

  /// The `narg` of `pragma_function_list`.
  public var listed: Int {
    switch self {
    case .exactly(let number): number
    case .any: -1
    case .atLeast(let number): -2 - number
    }
  }
}

/// Where an expression must give the same value for the same row always; in the words of a message.
public enum PurePlace: String, Sendable {
  case index = "an index"
  case check = "a CHECK constraint"
  case generatedColumn = "a generated column"
}

/// What the compiler and the machine may assume of a function, or must do for it.
public struct FunctionTraits: OptionSet, Hashable, Sendable {
  public var rawValue: UInt32

  @inlinable
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Same arguments, same result: may be factored out of loops and used in indexes.
  public static let deterministic = FunctionTraits(rawValue: 1 << 0)
  /// Has no effects: may be used in schemas that are not trusted.
  public static let innocuous = FunctionTraits(rawValue: 1 << 1)
  /// May be called from top-level SQL only, not from views, triggers and the like.
  public static let directOnly = FunctionTraits(rawValue: 1 << 2)
  /// Compares its arguments: the machine sets `context.collation`.
  public static let usesCollation = FunctionTraits(rawValue: 1 << 3)
  public static let readsSubtype = FunctionTraits(rawValue: 1 << 4)
  public static let resultSubtype = FunctionTraits(rawValue: 1 << 5)
  /// The result may change from one step to the next, though not within one: never computed when the statement is
  /// compiled. Date and time functions are deterministic besides, except for 'now', which indexes must refuse.
  public static let slowChange = FunctionTraits(rawValue: 1 << 6)
  /// Reads `context.figures`: the machine sets them before the call.
  public static let readsConnection = FunctionTraits(rawValue: 1 << 7)
  /// Keeps something at the call site between rows: the machine swaps `context.callState` in and out.
  public static let hasCallState = FunctionTraits(rawValue: 1 << 8)
  /// `like` (ASCII case folded): the planner may turn a prefix into a range.
  public static let isLike = FunctionTraits(rawValue: 1 << 9)
  /// The pattern match is case-sensitive (`glob`, or `like` under `PRAGMA case_sensitive_like`).
  public static let isCaseSensitive = FunctionTraits(rawValue: 1 << 10)
  /// The aggregate `min` or `max`: the query's bare columns come from the extreme row (`context.keepsBareColumns`),
  /// and one end of an index answers it.
  public static let isMinimum = FunctionTraits(rawValue: 1 << 11)
  public static let isMaximum = FunctionTraits(rawValue: 1 << 12)
  /// `count`: the machine may count entries of a tree instead.
  public static let isCount = FunctionTraits(rawValue: 1 << 13)
  /// The compiler generates code instead of a call (`coalesce`, `iif`, `likely`, ...); the definition answers all the
  /// same.
  public static let isInline = FunctionTraits(rawValue: 1 << 14)
  /// Came with the engine; set by the registry.
  public static let builtIn = FunctionTraits(rawValue: 1 << 15)
  /// The result depends on the order of rows only as far as SQLite lets it (`ORDER BY` in the call is ignored).
  public static let anyOrder = FunctionTraits(rawValue: 1 << 16)
  /// Names of the built-in window functions that only the compiler can implement.
  public static let isWindowOnly = FunctionTraits(rawValue: 1 << 17)

  /// The `flags` of `pragma_function_list`: SQLite's `SQLITE_DETERMINISTIC`, `SQLITE_DIRECTONLY`, `SQLITE_SUBTYPE`,
  /// `SQLITE_INNOCUOUS` and `SQLITE_RESULT_SUBTYPE`.
  public var listed: Int {
    var flags = 0
    if contains(.deterministic) { flags |= 0x800 }
    if contains(.directOnly) { flags |= 0x80000 }
    if contains(.readsSubtype) { flags |= 0x100000 }
    if contains(.innocuous) { flags |= 0x200000 }
    if contains(.resultSubtype) { flags |= 0x1000000 }
    return flags
  }
}

/// The memory of one group of an aggregate: zeroed before the first step, 16-byte aligned, at a fixed address until
/// `destroy`.
@safe
public struct AggregateState {
  @usableFromInline let base: UnsafeMutableRawPointer
  public let byteCount: Int

  /// - Precondition: `base` points to `byteCount` bytes that outlive the use.
  @unsafe
  @inlinable @inline(__always)
  public init(unchecked base: UnsafeMutableRawPointer, byteCount: Int) {
    unsafe self.base = base
    self.byteCount = byteCount
  }

  /// The block's front as plain data, of which all zero bytes must be a valid value.
  @inlinable @inline(__always)
  public func load<T: BitwiseCopyable>(as type: T.Type) -> T {
    precondition(MemoryLayout<T>.size <= byteCount && MemoryLayout<T>.alignment <= 16)
    return unsafe base.load(as: T.self)
  }

  @inlinable @inline(__always)
  public func store<T: BitwiseCopyable>(_ value: T) {
    precondition(MemoryLayout<T>.size <= byteCount && MemoryLayout<T>.alignment <= 16)
    unsafe base.storeBytes(of: value, as: T.self)
  }

  /// Changes the block's front, plain data of which all zero bytes must be a valid value, where it is.
  @inlinable @inline(__always)
  public func update<T: BitwiseCopyable>(_ type: T.Type, _ body: (inout T) -> Void) {
    precondition(MemoryLayout<T>.size <= byteCount && MemoryLayout<T>.alignment <= 16)
    unsafe body(&base.assumingMemoryBound(to: T.self).pointee)
  }

  /// The block as a `T`, whose all-zero bytes must be a valid value.
  @unsafe
  @inlinable @inline(__always)
  public func pointer<T: ~Copyable>(as type: T.Type) -> UnsafeMutablePointer<T> {
    precondition(MemoryLayout<T>.size <= byteCount && MemoryLayout<T>.alignment <= 16)
    return unsafe base.assumingMemoryBound(to: T.self)
  }
}

/// A step that the machine takes itself where it can, without a call (`aggStepCount`, `aggStepSum`). The function takes
/// neither a collation nor the connection.
public enum QuickStep: UInt8, Sendable {
  case none
  /// The block begins with an `Int64` that counts the rows.
  case countRows
  /// The block begins with a `QuickSum`, to which numbers are added.
  case sumNumbers
}

/// The code of an aggregate. The machine calls: `step` for each row; for windows `inverse` for each row that leaves the
/// frame and `value` for the result so far; `finalize` once for the result (also of a group without rows); `destroy`
/// last, always, also when the statement was dropped.
public struct AggregateFunction: Sendable {
  public typealias Step = @Sendable (inout FunctionContext, AggregateState, ValueRange) throws(Fault) -> Void
  public typealias Result = @Sendable (inout FunctionContext, AggregateState) throws(Fault) -> Void
  public typealias Destroy = @Sendable (AggregateState) -> Void

  public let stateByteCount: Int
  public let quickStep: QuickStep
  public let step: Step
  public let finalize: Result
  /// The result so far; nil where the aggregate cannot be used over a window.
  public let value: Result?
  /// Takes back the oldest step; nil where that cannot be done (`min`, `max`).
  public let inverse: Step?
  /// Frees what the block owns; nil where it owns nothing.
  public let destroy: Destroy?

  public init(
    stateByteCount: Int, step: @escaping Step, finalize: @escaping Result, value: Result? = nil, inverse: Step? = nil,
    destroy: Destroy? = nil, quickStep: QuickStep = .none
  ) {
    switch quickStep {
    case .none: break
    case .countRows: precondition(stateByteCount >= MemoryLayout<Int64>.size)
    case .sumNumbers: precondition(stateByteCount >= MemoryLayout<QuickSum>.size)
    }
    self.quickStep = quickStep
    self.stateByteCount = stateByteCount
    self.step = step
    self.finalize = finalize
    self.value = value
    self.inverse = inverse
    self.destroy = destroy
  }
}

public final class FunctionDefinition: Sendable {
  public typealias Scalar = @Sendable (inout FunctionContext, ValueRange) throws(Fault) -> Void

  public enum Body: Sendable {
    case scalar(Scalar)
    case aggregate(AggregateFunction)
  }

  /// In lower case (ASCII folded).
  public let name: String
  public let arity: FunctionArity
  public let traits: FunctionTraits
  public let body: Body

  public init(_ name: String, _ arity: FunctionArity, _ traits: FunctionTraits, _ body: Body) {
    self.name = ExactText.folding(name).string
    self.arity = arity
    self.traits = traits
    self.body = body
  }

  public static func scalar(
    _ name: String, _ arity: FunctionArity, _ traits: FunctionTraits, _ body: @escaping Scalar
  ) -> FunctionDefinition {
    FunctionDefinition(name, arity, traits, .scalar(body))
  }

  /// A function without effects whose result depends on its arguments alone.
  public static func scalar(_ name: String, _ arity: FunctionArity, _ body: @escaping Scalar) -> FunctionDefinition {
    FunctionDefinition(name, arity, [.deterministic, .innocuous], .scalar(body))
  }

  public static func aggregate(
    _ name: String, _ arity: FunctionArity, _ traits: FunctionTraits = [.innocuous], _ body: AggregateFunction
  ) -> FunctionDefinition {
    FunctionDefinition(name, arity, traits, .aggregate(body))
  }

  /// The function for a call in `place`: one that may read the moment or the zone (`'now'`) fails where it does. Others
  /// stay as they are, and so does every call elsewhere.
  public func pure(in place: PurePlace?) -> FunctionDefinition {
    guard let place, traits.isSuperset(of: [.deterministic, .slowChange]), case .scalar(let body) = body else { return self }
    let refusal = "non-deterministic use of \(name)() in \(place.rawValue)"
    return .scalar(name, arity, traits) { (context, arguments) throws(Fault) in
      context.worldRefusal = refusal
      defer { context.worldRefusal = nil }
      try body(&context, arguments)
    }
  }

  /// The instruction that steps the aggregate.
  public var stepOpcode: Opcode {
    guard case .aggregate(let function) = body else { return .aggStep }
    return switch function.quickStep {
    case .none: .aggStep
    case .countRows: .aggStepCount
    case .sumNumbers: .aggStepSum
    }
  }

  public var isAggregate: Bool {
    if case .aggregate = body { true } else { false }
  }

  /// Works over a window. Without an `inverse`, the machine steps through each frame anew.
  public var isWindowCapable: Bool {
    if case .aggregate(let function) = body { function.value != nil } else { false }
  }

  /// The `type` of `pragma_function_list`: s, a or w.
  public var listedType: String { isAggregate ? (isWindowCapable ? "w" : "a") : "s" }
}
