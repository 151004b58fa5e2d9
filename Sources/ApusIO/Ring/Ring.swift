// An io_uring: the kernel's submission and completion queues, through liburing. `unsafe` lives here; who uses a ring keeps
// buffers alive until their completion has been reaped.

import ApusBase
import CLiburing
import Glibc

/// Why there is no ring.
struct RingRefusal: Error {
  var call = "io_uring_setup"
  var errno: Int32
  /// "io_uring_setup: Operation not permitted (1)".
  var reason: String { "\(call): \(SystemError.text(errno))" }
  /// False where the process merely ran out of something, and another time may succeed.
  var isPermanent: Bool { ![EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR].contains(errno) }
}

@safe
final class Ring {
  private let ring: UnsafeMutablePointer<io_uring>
  /// Completions appear only in calls that ask for them.
  private let needsAsking: Bool
  private var injectedSubmissionFailure: Int32?

  // <linux/io_uring.h>; the kernel has them since 5.19, 6.0 and 6.1.
  private static let cooperativeTaskRun: UInt32 = 1 << 8
  private static let singleIssuer: UInt32 = 1 << 12
  private static let deferTaskRun: UInt32 = 1 << 13

  private init(_ ring: UnsafeMutablePointer<io_uring>, needsAsking: Bool) {
    unsafe self.ring = ring
    self.needsAsking = needsAsking
  }

  /// Sets a ring up; flags that this kernel does not know are dropped one after the other.
  static func make(_ options: RingOptions) -> Result<Ring, RingRefusal> {
    if let number = options.injectedRefusal { return .failure(RingRefusal(errno: number)) }
    var flagSets: [UInt32] = [cooperativeTaskRun, 0]
    if options.queuesStayOnOneThread {
      flagSets = [
        cooperativeTaskRun | singleIssuer | deferTaskRun, cooperativeTaskRun | singleIssuer, cooperativeTaskRun, 0,
      ]
    }
    let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
    var number = EINVAL
    for flags in flagSets {
      unsafe ring.initialize(to: io_uring())
      var parameters = io_uring_params()
      parameters.flags = flags
      let code = unsafe io_uring_queue_init_params(max(1, options.entryCount), ring, &parameters)
      if code == 0 {
        let made = unsafe Ring(ring, needsAsking: flags & deferTaskRun != 0)
        let number = made.tryOut()
        made.injectedSubmissionFailure = options.injectedSubmissionFailure
        return number == 0 ? .success(made) : .failure(RingRefusal(call: "io_uring_enter", errno: number))
      }
      number = -code
      if number != EINVAL { break }
    }
    unsafe ring.deallocate()
    return .failure(RingRefusal(errno: number))
  }

  /// A filter on system calls may grant a ring and refuse its use: better known before there are requests in it.
  /// - Returns: the error number with which the kernel refuses a request that does nothing; 0 where it does not.
  private func tryOut() -> Int32 {
    guard let entry = unsafe io_uring_get_sqe(ring) else { return EBUSY }
    unsafe io_uring_prep_nop(entry)
    unsafe io_uring_sqe_set_data64(entry, 0)
    var isDone = false
    while !isDone {
      let code = submitAndWait()
      if code < 0, code != -Int(EINTR) { return Int32(-code) }
      reap { _, _ in isDone = true }
    }
    return 0
  }

  deinit {
    unsafe io_uring_queue_exit(ring)
    unsafe ring.deallocate()
  }

  /// Polls readable when completions are there.
  var descriptor: Int32 { unsafe ring.pointee.ring_fd }

  // MARK: submission. Each returns false where the submission queue is full.

  func read(_ fd: Int32, at offset: Int64, into buffer: MutableByteView, token: UInt64) -> Bool {
    guard let entry = unsafe io_uring_get_sqe(ring) else { return false }
    let length = UInt32(min(buffer.count, SystemCalls.transferBytesMax))
    unsafe io_uring_prep_read(entry, fd, buffer.unsafeBase, length, UInt64(bitPattern: offset))
    unsafe io_uring_sqe_set_data64(entry, token)
    return true
  }

  func write(_ fd: Int32, at offset: Int64, _ vectors: VectorList, token: UInt64) -> Bool {
    guard let entry = unsafe io_uring_get_sqe(ring) else { return false }
    unsafe io_uring_prep_writev(
      entry, fd, UnsafePointer(vectors.list.baseAddress), UInt32(vectors.list.count), UInt64(bitPattern: offset))
    unsafe io_uring_sqe_set_data64(entry, token)
    return true
  }

  func sync(_ fd: Int32, _ kind: SyncKind, token: UInt64) -> Bool {
    guard let entry = unsafe io_uring_get_sqe(ring) else { return false }
    let dataOnly: UInt32 = 1  // IORING_FSYNC_DATASYNC
    unsafe io_uring_prep_fsync(entry, fd, kind == .data ? dataOnly : 0)
    unsafe io_uring_sqe_set_data64(entry, token)
    return true
  }

  /// Completes once, when `fd` is readable.
  func poll(_ fd: Int32, token: UInt64) -> Bool {
    guard let entry = unsafe io_uring_get_sqe(ring) else { return false }
    unsafe io_uring_prep_poll_add(entry, fd, UInt32(POLLIN))
    unsafe io_uring_sqe_set_data64(entry, token)
    return true
  }

  /// Hands the prepared entries to the kernel.
  func submit() -> CallResult {
    if let number = injectedSubmissionFailure { return -Int(number) }
    return unsafe Int(io_uring_submit(ring))
  }

  /// The same, and what has completed meanwhile is there to be reaped.
  func submitAndLook() -> CallResult {
    unsafe needsAsking ? Int(io_uring_submit_and_get_events(ring)) : Int(io_uring_submit(ring))
  }

  /// Hands the prepared entries to the kernel and waits for a completion.
  func submitAndWait() -> CallResult { unsafe Int(io_uring_submit_and_wait(ring, 1)) }

  /// The same, but for no longer than to a moment of the monotonic clock.
  func submitAndWait(untilMonotonic moment: UInt64?) -> CallResult {
    guard let moment else { return submitAndWait() }
    let now = SystemCalls.nanoseconds(CLOCK_MONOTONIC)
    let left = moment > now ? moment - now : 0
    var time = __kernel_timespec(tv_sec: Int64(left / 1_000_000_000), tv_nsec: Int64(left % 1_000_000_000))
    var entry: UnsafeMutablePointer<io_uring_cqe>?
    let code = unsafe Int(io_uring_submit_and_wait_timeout(ring, &entry, 1, &time, nil))
    return code == -Int(ETIME) ? 0 : code
  }

  // MARK: completion

  /// Calls `body` for each completion that is there: its token, and its count or `-errno`.
  /// - Parameter asks: false right behind a call that has waited or looked.
  func reap(asks: Bool = true, _ body: (UInt64, Int32) -> Void) {
    if asks && needsAsking { unsafe _ = io_uring_get_events(ring) }
    let batchMax = 32
    unsafe withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<io_uring_cqe>?.self, capacity: batchMax) { batch in
      guard let base = batch.baseAddress else { return }
      while true {
        let count = unsafe Int(io_uring_peek_batch_cqe(ring, base, UInt32(batchMax)))
        for index in 0..<count {
          guard let entry = unsafe base[index] else { continue }
          unsafe body(entry.pointee.user_data, entry.pointee.res)
        }
        unsafe io_uring_cq_advance(ring, UInt32(count))
        if count < batchMax { return }
      }
    }
  }
}

/// The vectors of a write in flight; the kernel may look at them until it completes.
@safe
final class VectorList {
  fileprivate let list: UnsafeMutableBufferPointer<iovec>

  init(_ views: [ByteView], skipping skip: Int) {
    let vectors = unsafe SystemCalls.vectors(views, skipping: skip)
    unsafe list = .allocate(capacity: vectors.count)
    unsafe _ = list.initialize(from: vectors)
  }

  deinit { unsafe list.deallocate() }
}
