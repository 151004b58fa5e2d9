// What the kernel's answer to a part of a request means for the whole of it: one rule for every queue, the simulator's included.
//
// A short transfer goes on behind what is done; a read that brings nothing more has met the end of the file; a write that
// brings nothing has failed; what was not carried out is done again, by calls that wait.

import Glibc

public enum TransferStep: Equatable, Sendable {
  /// The request has ended well: the number of bytes that were transferred.
  case settled(Int)
  case failed(errno: Int32)
  /// A part is done; the rest is asked for anew.
  case goesOn
  /// Interrupted, cancelled, or not known to this kernel: nothing of it was done.
  case notCarriedOut

  public enum Kind: Sendable { case read, write, sync }

  /// - Parameters:
  ///   - code: bytes transferred by the last part, or -errno.
  ///   - byteCount: what the whole request is to transfer.
  ///   - done: bytes that earlier parts have transferred; grows by this one's.
  public static func after(_ code: Int32, of kind: Kind, byteCount: Int, done: inout Int) -> TransferStep {
    switch -code {
    case EINTR, EAGAIN, ECANCELED, EINVAL, EOPNOTSUPP: return .notCarriedOut
    default: break
    }
    if code < 0 { return .failed(errno: -code) }
    switch kind {
    case .sync: return .settled(0)
    case .read:
      done += Int(code)
      return code != 0 && done < byteCount ? .goesOn : .settled(done)
    case .write:
      done += Int(code)
      if done >= byteCount { return .settled(done) }
      return code == 0 ? .failed(errno: EIO) : .goesOn
    }
  }
}
