// C strings that stay where they are.
//
// `unsafe`: it owns memory of the C library and gives out its addresses.

import ApusBase
import Glibc

/// One C string at an address that stays until it is set again.
@safe
final class StableText {
  private var pointer: UnsafeMutablePointer<CChar>?

  deinit { unsafe free(pointer) }

  var isSet: Bool { unsafe pointer != nil }
  var current: UnsafePointer<CChar>? { unsafe UnsafePointer(pointer) }

  func set(_ text: String) {
    unsafe free(pointer)
    unsafe pointer = strdup(text)
  }

  /// The same of bytes that need not be UTF-8.
  func set(_ bytes: ByteView) {
    unsafe free(pointer)
    unsafe pointer = strndup(bytes.unsafeBase.assumingMemoryBound(to: CChar.self), bytes.count)
  }
}

/// C strings that stay as long as the table: one for each different text.
@safe
struct StableTextTable: ~Copyable {
  // By their bytes: Swift takes strings for equal that Unicode writes in several ways, C programs do not.
  private var texts: [[UInt8]: StableText] = [:]

  mutating func pointer(_ text: String) -> UnsafePointer<CChar>? {
    let key = Array(text.utf8)
    if let known = texts[key] { return unsafe known.current }
    let stable = StableText()
    texts[key] = stable
    stable.set(text)
    return unsafe stable.current
  }
}

/// A mutex of POSIX threads. A recursive one: callbacks call the connection that calls them.
@safe
final class RecursiveMutex: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>

  init() {
    unsafe mutex = .allocate(capacity: 1)
    var attributes = pthread_mutexattr_t()
    unsafe pthread_mutexattr_init(&attributes)
    unsafe pthread_mutexattr_settype(&attributes, CInt(PTHREAD_MUTEX_RECURSIVE))
    unsafe pthread_mutex_init(mutex, &attributes)
    unsafe pthread_mutexattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  @inline(__always)
  func lock() { unsafe pthread_mutex_lock(mutex) }

  /// False where another thread has it.
  func tryLock() -> Bool { unsafe pthread_mutex_trylock(mutex) == 0 }

  @inline(__always)
  func unlock() { unsafe pthread_mutex_unlock(mutex) }
}

/// The standard messages, and other texts that belong to no connection.
@safe
private final class SharedTexts: @unchecked Sendable {
  private let mutex = RecursiveMutex()
  private var table = StableTextTable()

  func pointer(_ text: String) -> UnsafePointer<CChar>? {
    mutex.lock()
    defer { mutex.unlock() }
    return unsafe table.pointer(text)
  }
}

private let sharedTexts = SharedTexts()

/// A C string that stays for good: for a bounded set of texts.
func permanentText(_ text: String) -> UnsafePointer<CChar>? { unsafe sharedTexts.pointer(text) }
