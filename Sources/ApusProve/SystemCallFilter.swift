// A seccomp filter: from now on the kernel answers one system call of this process with an error, as the filters of container
// runtimes do. It cannot be taken back.
// `unsafe` lives here: prctl(2), which Swift cannot call by its name, since it takes a variable number of arguments.

import Glibc

enum SystemCallFilter {
  /// The numbers are the same on every architecture.
  static let numbers: [String: UInt32] = ["io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427]

  // <linux/filter.h>, <linux/seccomp.h>, <sys/prctl.h>
  private static let loadWord: UInt64 = 0x20, jumpIfEqual: UInt64 = 0x15, giveBack: UInt64 = 0x06
  private static let answerError: UInt64 = 0x0005_0000, allow: UInt64 = 0x7fff_0000
  private static let setNoNewPrivileges: Int32 = 38, setFilter: Int32 = 22
  private static let filterMode: UInt = 2

  /// `struct sock_fprog`.
  @unsafe private struct Program {
    var count: UInt16
    var instructions: UnsafePointer<UInt64>?
  }

  private typealias Prctl = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32

  /// `struct sock_filter`: code, how far to jump where the answer is yes and no, operand.
  private static func instruction(_ code: UInt64, yes: UInt64 = 0, no: UInt64 = 0, _ operand: UInt64) -> UInt64 {
    code | yes << 16 | no << 24 | operand << 32
  }

  /// - Returns: false where this kernel has no filters, or grants none.
  static func refuse(_ number: UInt32, with error: Int32) -> Bool {
    let instructions = [
      // The number of the call is the first word of what the filter is shown.
      instruction(loadWord, 0), instruction(jumpIfEqual, yes: 0, no: 1, UInt64(number)),
      instruction(giveBack, answerError | UInt64(error)), instruction(giveBack, allow),
    ]
    guard let library = unsafe dlopen(nil, RTLD_NOW), let address = unsafe dlsym(library, "prctl") else { return false }
    let prctl = unsafe unsafeBitCast(address, to: Prctl.self)
    guard prctl(setNoNewPrivileges, 1, 0, 0, 0) == 0 else { return false }
    return unsafe instructions.withUnsafeBufferPointer { list in
      var program = unsafe Program(count: UInt16(list.count), instructions: list.baseAddress)
      return unsafe withUnsafePointer(to: &program) { place in
        prctl(setFilter, filterMode, UInt(bitPattern: place), 0, 0) == 0
      }
    }
  }
}
