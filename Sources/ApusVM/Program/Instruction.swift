// One instruction: 20 trivial bytes.
//
//   offset  size
//        0     1  opcode
//        2     2  p5, flags
//        4     4  p1
//        8     4  p2
//       12     4  p3
//       16     4  p4, a number or an index into one of the program's pools

public struct Instruction: Sendable, BitwiseCopyable {
  public var opcode: Opcode
  public var p5: UInt16
  public var p1: Int32
  public var p2: Int32
  public var p3: Int32
  public var p4: Int32

  @inlinable
  public init(_ opcode: Opcode, _ p1: Int32 = 0, _ p2: Int32 = 0, _ p3: Int32 = 0, p4: Int32 = -1, p5: UInt16 = 0) {
    self.opcode = opcode
    self.p1 = p1
    self.p2 = p2
    self.p3 = p3
    self.p4 = p4
    self.p5 = p5
  }
}

extension Instruction {
  /// True where it counts rows for `changes()`.
  var countsChanges: Bool {
    switch opcode {
    case .insert, .delete, .idxInsert: ChangeFlags(rawValue: p5).contains(.countsChange)
    case .clear: p3 > 0
    default: false
    }
  }
}
