// What a part of a transfer means for the whole: the rule of the ring's queue and of the simulator's.

import ApusIO
import Glibc
import Testing

@Suite("Transfers")
struct TransferStepTests {
  @Test("any parts of a transfer add up to the whole", arguments: [TransferStep.Kind.read, .write])
  func partsAddUp(kind: TransferStep.Kind) {
    for first in 1..<20 {
      var done = 0
      var parts: [TransferStep] = []
      while done < 20 {
        parts.append(TransferStep.after(Int32(min(first, 20 - done)), of: kind, byteCount: 20, done: &done))
      }
      #expect(parts.last == .settled(20) && parts.dropLast().allSatisfy { $0 == .goesOn }, "parts of \(first)")
    }
  }

  @Test("nothing more ends a read and fails a write")
  func nothingMore() {
    var done = 7
    #expect(TransferStep.after(0, of: .read, byteCount: 20, done: &done) == .settled(7))
    #expect(TransferStep.after(0, of: .write, byteCount: 20, done: &done) == .failed(errno: EIO))
    done = 0
    #expect(TransferStep.after(0, of: .write, byteCount: 0, done: &done) == .settled(0))
  }

  @Test("what was not carried out is done again, an error is told", arguments: [TransferStep.Kind.read, .write, .sync])
  func errors(kind: TransferStep.Kind) {
    var done = 3
    for number in [EINTR, EAGAIN, ECANCELED, EINVAL, EOPNOTSUPP] {
      #expect(TransferStep.after(-number, of: kind, byteCount: 20, done: &done) == .notCarriedOut)
    }
    #expect(TransferStep.after(-ENOSPC, of: kind, byteCount: 20, done: &done) == .failed(errno: ENOSPC))
    #expect(done == 3)
  }
}
