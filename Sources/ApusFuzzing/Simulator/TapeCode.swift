// A simulator's tape as bytes, short and without an order that must be kept: any bytes are a tape, and any part of one is too.
//
//   byte      what follows
//   00 - 5f   a choice of that value: 3 bytes of its name's hash
//   60 - 67   a choice: 3 bytes of its name's hash, 1 to 8 bytes of its value, big-endian
//   80 - 84   a span begins, in the order of `spans`
//   90        the innermost span ends
//   a0 - a7   a stream begins, or goes on, in the order of `streams`; open spans end
//   c0 - df   the stream of client 0 to 31
//
// Other bytes mean nothing, and neither does a choice whose name nobody has. A hash, and no number, since new names come
// between old ones: what is kept among the regressions must go on to mean what it meant.

import ApusSimulation

enum TapeCode {
  /// Only ever longer at their ends: the places stand in kept inputs.
  private static let streams = ["profile", "world", "schedule", "survivors", "cache", "damage", "faults", "buggify"]
  private static let spans: [Span] = [.era, .step, .liveness, .transaction, .statement]

  private static let inlineValueMax: UInt64 = 0x5f
  private static let longChoice: UInt8 = 0x60, span: UInt8 = 0x80, spanEnd: UInt8 = 0x90
  private static let stream: UInt8 = 0xa0, client: UInt8 = 0xc0
  private static let clientCountMax = 32
  private static let clientPrefix = "client "

  /// Deepest nesting: an era's transaction's statement is the third.
  private static let depthMax = 4

  private static let choices = Dictionary(
    Choice.allCases.map { (hash(of: $0), $0) }, uniquingKeysWith: { first, _ in first })

  /// FNV-1a over the name, folded to 24 bits.
  static func hash(of choice: Choice) -> UInt32 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in choice.rawValue.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return UInt32(truncatingIfNeeded: hash ^ hash >> 24 ^ hash >> 48) & 0xff_ffff
  }

  // MARK: writing

  static func bytes(of tape: Tape) -> [UInt8] {
    var bytes: [UInt8] = []
    for part in tape.streams where !part.nodes.isEmpty {
      guard let mark = mark(of: part.name) else { continue }
      bytes.append(mark)
      for node in part.nodes { write(node, to: &bytes) }
    }
    return bytes
  }

  private static func mark(of name: String) -> UInt8? {
    if let place = streams.firstIndex(of: name) { return stream + UInt8(place) }
    guard name.hasPrefix(clientPrefix), let number = Int(name.dropFirst(clientPrefix.count)),
      (0..<clientCountMax).contains(number)
    else { return nil }
    return client + UInt8(number)
  }

  private static func write(_ node: TapeNode, to bytes: inout [UInt8]) {
    switch node {
    case .choice(.atStep, _): break  // A mark for shrinkers, which a replay passes over.
    case .choice(let choice, let value):
      let hash = hash(of: choice)
      let width = (64 - value.leadingZeroBitCount + 7) / 8
      bytes.append(value <= inlineValueMax ? UInt8(value) : longChoice + UInt8(width - 1))
      for shift in [16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: hash >> UInt32(shift))) }
      if value <= inlineValueMax { return }
      for place in (0..<width).reversed() { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place))) }
    case .span(let kind, let nodes):
      bytes.append(span + UInt8(spans.firstIndex(of: kind) ?? 0))
      for node in nodes { write(node, to: &bytes) }
      bytes.append(spanEnd)
    }
  }

  // MARK: reading

  /// - Parameter limits: spans beyond them are left out, with all that is in them.
  static func tape(of bytes: [UInt8], limits: TapeLimits = TapeLimits()) -> Tape {
    var reader = Reader(limits: limits)
    var rest = bytes[...]
    while let byte = rest.popFirst() { reader.read(byte, &rest) }
    reader.closeStream()
    return reader.tape
  }

  private struct Reader {
    var limits: TapeLimits
    var tape = Tape()
    private var name: String?
    private var nodes: [TapeNode] = []
    /// The spans that are open, each with what stood before it; nil where a span is left out.
    private var open: [(span: Span?, before: [TapeNode])] = []

    init(limits: TapeLimits) { self.limits = limits }

    mutating func read(_ byte: UInt8, _ rest: inout ArraySlice<UInt8>) {
      switch byte {
      case ...UInt8(inlineValueMax): addChoice(&rest) { _ in UInt64(byte) }
      case longChoice..<longChoice + 8: addChoice(&rest) { number(Int(byte - longChoice) + 1, &$0) }
      case span..<span + UInt8(spans.count): begin(spans[Int(byte - span)])
      case spanEnd: end()
      case stream..<stream + UInt8(streams.count): beginStream(streams[Int(byte - stream)])
      case client..<client + UInt8(clientCountMax): beginStream("\(clientPrefix)\(byte - client)")
      default: break
      }
    }

    private mutating func addChoice(
      _ rest: inout ArraySlice<UInt8>, _ value: (inout ArraySlice<UInt8>) -> UInt64
    ) {
      let hash = UInt32(number(3, &rest))
      let value = value(&rest)
      if let choice = choices[hash] { nodes.append(.choice(choice, value)) }
    }

    private mutating func begin(_ span: Span) {
      let isKept = open.count < depthMax && !open.contains { $0.span == nil } && limits.take(span)
      open.append((isKept ? span : nil, nodes))
      nodes = []
    }

    private mutating func end() {
      guard let (span, before) = open.popLast() else { return }
      nodes = span.map { before + [.span($0, nodes)] } ?? before
    }

    private mutating func beginStream(_ name: String) {
      closeStream()
      self.name = name
    }

    mutating func closeStream() {
      while !open.isEmpty { end() }
      if let name { tape[name] += nodes }
      nodes = []
    }
  }

  /// Bytes that are missing are 0.
  private static func number(_ byteCount: Int, _ rest: inout ArraySlice<UInt8>) -> UInt64 {
    var value: UInt64 = 0
    for _ in 0..<byteCount { value = value << 8 | UInt64(rest.popFirst() ?? 0) }
    return value
  }
}

/// What one run may be long: a replay takes as many turns and transactions as its tape has.
struct TapeLimits {
  /// Turns of the scheduler.
  var stepCount = 1200
  var transactionCount = 60
  var statementCount = 400
  /// Each era ends with a power cut and a recovery.
  var eraCount = 40

  fileprivate mutating func take(_ span: Span) -> Bool {
    switch span {
    case .era: Self.take(&eraCount)
    case .step: Self.take(&stepCount)
    case .transaction: Self.take(&transactionCount)
    case .statement: Self.take(&statementCount)
    case .liveness: true
    }
  }

  private static func take(_ left: inout Int) -> Bool {
    if left == 0 { return false }
    left -= 1
    return true
  }
}
