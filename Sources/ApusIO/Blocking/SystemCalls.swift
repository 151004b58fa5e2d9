// The system calls that the backends make, each one wrapped so that what comes in and out is safe to handle:
// bounds-checked views in, a count or a negative `errno` out, `EINTR` repeated, short transfers finished.
// `unsafe` lives here.

import ApusBase
import CLiburing
import Glibc

/// Result of a call: zero or more on success, `-errno` on failure.
typealias CallResult = Int

enum SystemCalls {
  /// Linux transfers at most this many bytes in one call (`MAX_RW_COUNT`, rounded down to a page).
  static let transferBytesMax = 0x7fff_f000
  /// Vectors that the kernel takes in one call (`UIO_MAXIOV`).
  static let vectorsMax = 1024

  @inline(__always)
  private static func result(_ value: Int) -> CallResult { value < 0 ? -Int(errno) : value }

  /// Repeats a call that a signal interrupted.
  @inline(__always)
  private static func retrying(_ call: () -> Int) -> CallResult {
    while true {
      let value = result(call())
      if value != -Int(EINTR) { return value }
    }
  }

  // MARK: memory

  /// What the allocator holds and nobody uses goes back to the system.
  static func trimMemory() { _ = malloc_trim(0) }

  // MARK: data

  /// Fills `buffer` from `offset` on; fewer bytes only at the end of the file.
  static func read(_ fd: Int32, at offset: Int64, into buffer: MutableByteView) -> CallResult {
    var done = 0
    while done < buffer.count {
      let length = min(buffer.count - done, transferBytesMax)
      let count = retrying { unsafe pread(fd, buffer.unsafeBase + done, length, off_t(offset) + off_t(done)) }
      if count < 0 { return count }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// One call, which may read less than the buffer holds.
  static func readOnce(_ fd: Int32, at offset: Int64, into buffer: MutableByteView) -> CallResult {
    retrying { unsafe pread(fd, buffer.unsafeBase, min(buffer.count, transferBytesMax), off_t(offset)) }
  }

  enum CachedRead {
    /// All that the file has there was in the kernel's cache.
    case done(Int)
    /// The rest, after so many bytes, is on the disk.
    case missed(after: Int)
    /// The file system cannot tell.
    case unsupported
    case failed(Int32)
  }

  /// Reads what the kernel has in memory, without waiting for the disk (`RWF_NOWAIT`).
  static func readCached(_ fd: Int32, at offset: Int64, into buffer: MutableByteView) -> CachedRead {
    let nowait: Int32 = 8  // RWF_NOWAIT, <linux/fs.h>
    var done = 0
    while done < buffer.count {
      let length = min(buffer.count - done, transferBytesMax)
      let count = retrying {
        var vector = unsafe iovec(iov_base: buffer.unsafeBase + done, iov_len: length)
        return unsafe preadv2(fd, &vector, 1, off_t(offset) + off_t(done), nowait)
      }
      switch count {
      case 0: return .done(done)
      case 1...: done += count
      case -Int(EAGAIN): return .missed(after: done)
      case -Int(EOPNOTSUPP), -Int(ENOSYS), -Int(EINVAL): return .unsupported
      default: return .failed(Int32(-count))
      }
    }
    return .done(done)
  }

  /// Reads into several views by one call, which may read less than they hold; nil where it reads nothing.
  /// - Parameter waits: false: only what the kernel has in memory (`RWF_NOWAIT`).
  static func readSome(_ fd: Int32, at offset: Int64, into views: [MutableByteView], waits: Bool) -> Int? {
    let flags: Int32 = waits ? 0 : 8  // RWF_NOWAIT, <linux/fs.h>
    let count = unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: views.count) { vectors in
      for index in views.indices {
        unsafe vectors.initializeElement(
          at: index, to: iovec(iov_base: views[index].unsafeBase, iov_len: views[index].count))
      }
      return retrying { unsafe preadv2(fd, vectors.baseAddress, Int32(views.count), off_t(offset), flags) }
    }
    return count > 0 ? count : nil
  }

  /// Writes all views one behind the other, starting with byte `skip` of their concatenation.
  static func write(_ fd: Int32, at offset: Int64, _ views: [ByteView], skipping skip: Int = 0) -> CallResult {
    let total = views.reduce(0) { $0 + $1.count }
    var done = skip
    while done < total {
      let count: CallResult
      if views.count == 1 {
        let length = min(total - done, transferBytesMax)
        count = retrying { unsafe pwrite(fd, views[0].unsafeBase + done, length, off_t(offset) + off_t(done)) }
      } else {
        let vectors = unsafe self.vectors(views, skipping: done)
        count = retrying {
          unsafe vectors.withUnsafeBufferPointer { list in
            unsafe pwritev(fd, list.baseAddress, Int32(list.count), off_t(offset) + off_t(done))
          }
        }
      }
      if count < 0 { return count }
      // The kernel may not write nothing of something; were it to, trying for ever would hang the caller.
      if count == 0 { return -Int(EIO) }
      done += count
    }
    return done
  }

  /// Writes one byte of zero.
  static func writeZero(_ fd: Int32, at offset: Int64) -> CallResult {
    var zero: UInt8 = 0
    return retrying { unsafe pwrite(fd, &zero, 1, off_t(offset)) }
  }

  /// The vectors of what remains of `views` after `skip` bytes, as many as one call takes.
  @unsafe
  static func vectors(_ views: [ByteView], skipping skip: Int) -> [iovec] {
    var list: [iovec] = unsafe []
    unsafe list.reserveCapacity(min(views.count, vectorsMax))
    var before = skip, bytes = 0
    for view in views {
      if before >= view.count {
        before -= view.count
        continue
      }
      let length = min(view.count - before, transferBytesMax - bytes)
      if unsafe length == 0 || list.count == vectorsMax { break }
      unsafe list.append(
        iovec(iov_base: UnsafeMutableRawPointer(mutating: view.unsafeBase + before), iov_len: length))
      bytes += length
      before = 0
    }
    return unsafe list
  }

  static func sync(_ fd: Int32, _ kind: SyncKind) -> CallResult {
    // A sync that fails is never repeated: the kernel may have dropped the dirty pages and forgotten the error.
    switch kind {
    case .data: return retrying { Int(fdatasync(fd)) }
    case .full: return retrying { Int(fsync(fd)) }
    }
  }

  // MARK: names

  /// Opens a file with `O_CLOEXEC`, never as descriptor 0, 1 or 2: a stray `print` would write into the database.
  static func open(_ path: String, _ flags: Int32, permissions: UInt32 = 0) -> CallResult {
    // Nobody wants to know when a database was last read, and each read would note it. Only the file's owner may ask for
    // that.
    let noTimes: Int32 = 0o1000000  // O_NOATIME, <asm-generic/fcntl.h>
    var fd = retrying { unsafe Int(Glibc.open(path, flags | O_CLOEXEC | noTimes, mode_t(permissions))) }
    if fd == -Int(EPERM) {
      fd = retrying { unsafe Int(Glibc.open(path, flags | O_CLOEXEC, mode_t(permissions))) }
    }
    if fd < 0 || fd > 2 { return fd }
    let moved = result(Int(fcntl(Int32(fd), F_DUPFD_CLOEXEC, 3)))
    close(Int32(fd))
    return moved
  }

  /// Opens a file for reads past the kernel's cache.
  static func openDirectly(_ path: String) -> CallResult {
    #if arch(arm64) || arch(arm)
      let direct: Int32 = 0o200_000  // O_DIRECT, <asm/fcntl.h>
    #else
      let direct: Int32 = 0o40_000  // O_DIRECT, <asm-generic/fcntl.h>
    #endif
    return open(path, O_RDONLY | O_NOFOLLOW | direct)
  }

  // Linux frees the descriptor even where `close` reports EINTR: it is never repeated.
  static func close(_ fd: Int32) { _ = Glibc.close(fd) }

  static func rename(_ path: String, _ newPath: String) -> CallResult {
    retrying { unsafe Int(Glibc.rename(path, newPath)) }
  }

  /// The same where no file has the new name. -EINVAL and -ENOSYS: the file system, or the kernel, has no such call.
  static func renameUnlessTaken(_ path: String, _ newPath: String) -> CallResult {
    let withoutReplacing: UInt32 = 1  // RENAME_NOREPLACE, <stdio.h>
    return retrying { unsafe Int(renameat2(AT_FDCWD, path, AT_FDCWD, newPath, withoutReplacing)) }
  }

  static func link(_ path: String, _ newPath: String) -> CallResult { retrying { unsafe Int(Glibc.link(path, newPath)) } }

  static func unlink(_ path: String) -> CallResult { retrying { unsafe Int(Glibc.unlink(path)) } }

  /// Absolute path of an existing file without links; nil with `errno` where it has none.
  static func realPath(_ path: String) -> (path: String?, errno: Int32) {
    guard let resolved = unsafe realpath(path, nil) else { return (nil, errno) }
    defer { unsafe free(resolved) }
    // A repaired name is another file's.
    guard let text = unsafe String(validatingCString: resolved) else { return (nil, EILSEQ) }
    return (text, 0)
  }

  /// What a symbolic link says; nil where `path` is none, and where it says something that is not UTF-8.
  static func linkTarget(_ path: String) -> String? {
    let room = Int(PATH_MAX)
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
      let length = unsafe buffer.withMemoryRebound(to: CChar.self) { unsafe readlink(path, $0.baseAddress!, room) }
      count = max(0, length)
    }
    return bytes.isEmpty ? nil : String(validating: bytes, as: UTF8.self)
  }

  // MARK: state of a file

  struct Status {
    var identity: FileIdentity
    var size: Int64
    var permissions: UInt32
    var user: UInt32
    var group: UInt32
    var isDirectory: Bool
    var linkCount: UInt64
  }

  static func status(_ fd: Int32) -> (status: Status?, errno: Int32) {
    var raw = stat()
    let code = retrying { unsafe Int(fstat(fd, &raw)) }
    return code < 0 ? (nil, Int32(-code)) : (convert(raw), 0)
  }

  static func status(of path: String) -> (status: Status?, errno: Int32) {
    var raw = stat()
    let code = retrying { unsafe Int(stat(path, &raw)) }
    return code < 0 ? (nil, Int32(-code)) : (convert(raw), 0)
  }

  private static func convert(_ raw: stat) -> Status {
    Status(
      identity: FileIdentity(device: UInt64(raw.st_dev), inode: UInt64(raw.st_ino)), size: Int64(raw.st_size),
      permissions: raw.st_mode & 0o777, user: raw.st_uid, group: raw.st_gid,
      isDirectory: raw.st_mode & S_IFMT == S_IFDIR, linkCount: UInt64(raw.st_nlink))
  }

  static func truncate(_ fd: Int32, to size: Int64) -> CallResult { retrying { Int(ftruncate(fd, off_t(size))) } }

  /// Gives the file space up to `size` without changing what is in it.
  static func allocate(_ fd: Int32, from start: Int64, to size: Int64) -> CallResult {
    retrying { Int(fallocate(fd, 0, off_t(start), off_t(size - start))) }
  }

  static func changeOwner(_ fd: Int32, user: UInt32, group: UInt32) { _ = fchown(fd, user, group) }
  static func isRoot() -> Bool { geteuid() == 0 }

  // MARK: locks

  private static let getLock: Int32 = 36, setLock: Int32 = 37  // F_OFD_GETLK, F_OFD_SETLK, <fcntl.h>

  /// 1: granted; 0: another holds a lock that conflicts.
  static func lock(_ fd: Int32, _ kind: LockKind, at offset: Int64, length: Int64) -> CallResult {
    let code = change(fd, Int16(kind == .shared ? F_RDLCK : F_WRLCK), offset, length)
    if code >= 0 { return 1 }
    return code == -Int(EAGAIN) || code == -Int(EACCES) ? 0 : code
  }

  static func unlock(_ fd: Int32, at offset: Int64, length: Int64) -> CallResult {
    change(fd, Int16(F_UNLCK), offset, length)
  }

  private static func change(_ fd: Int32, _ type: Int16, _ offset: Int64, _ length: Int64) -> CallResult {
    var range = flock(
      l_type: type, l_whence: Int16(SEEK_SET), l_start: off_t(offset), l_len: off_t(length), l_pid: 0)
    return retrying { unsafe Int(fcntl(fd, setLock, &range)) }
  }

  enum Holder { case nobody, shared, exclusive }

  /// Who holds a lock that stands against `kind` on the range.
  static func conflict(
    _ fd: Int32, _ kind: LockKind, at offset: Int64, length: Int64
  ) -> (holder: Holder, errno: Int32) {
    var range = flock(
      l_type: Int16(kind == .shared ? F_RDLCK : F_WRLCK), l_whence: Int16(SEEK_SET), l_start: off_t(offset),
      l_len: off_t(length), l_pid: 0)
    let code = retrying { unsafe Int(fcntl(fd, getLock, &range)) }
    if code < 0 { return (.nobody, Int32(-code)) }
    switch Int32(range.l_type) {
    case Int32(F_UNLCK): return (.nobody, 0)
    case Int32(F_RDLCK): return (.shared, 0)
    default: return (.exclusive, 0)
    }
  }

  // MARK: memory

  /// Maps `length` bytes of a file at `offset`, shared with all who map it.
  static func map(
    _ fd: Int32, at offset: Int64, length: Int, isWritable: Bool
  ) -> (memory: MutableByteView?, errno: Int32) {
    let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
    let address = unsafe mmap(nil, length, protection, MAP_SHARED, fd, off_t(offset))
    guard let address = unsafe address, unsafe address != MAP_FAILED else { return (nil, errno) }
    // In a child the map would keep the file open, and the parent's locks with it.
    unsafe _ = madvise(address, length, MADV_DONTFORK)
    return unsafe (MutableByteView(unchecked: address, count: length), 0)
  }

  static func unmap(_ memory: MutableByteView) { unsafe _ = munmap(memory.unsafeBase, memory.count) }

  // MARK: clocks and chance

  static func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var now = timespec()
    unsafe clock_gettime(clock, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
  }

  static func sleep(untilMonotonic moment: UInt64) {
    var until = timespec(tv_sec: Int(moment / 1_000_000_000), tv_nsec: Int(moment % 1_000_000_000))
    while unsafe clock_nanosleep(CLOCK_MONOTONIC, 1 /* TIMER_ABSTIME */, &until, nil) == EINTR {}
  }

  static func localTimeOffsetSeconds(_ seconds: Int) -> Int {
    var moment = time_t(seconds)
    var broken = unsafe tm()
    return unsafe localtime_r(&moment, &broken) == nil ? 0 : Int(broken.tm_gmtoff)
  }

  static func randomUInt64() -> UInt64 {
    var value: UInt64 = 0
    // 8 bytes come whole or not at all; before the pool is initialised the call waits.
    while retrying({ unsafe getrandom(&value, 8, 0) }) < 0 {}
    return value
  }
}

/// `strerror` for one thread or many.
func message(_ number: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  return unsafe buffer.withUnsafeMutableBufferPointer { room -> String in
    guard let base = room.baseAddress, unsafe strerror_r(number, base, room.count) == 0 else {
      return "error"
    }
    return unsafe String(cString: base)
  }
}
