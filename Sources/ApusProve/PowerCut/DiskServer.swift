// A disk that tells what it was asked: a file system in user space (FUSE) with one file, `disk.img`, whose every write
// and flush is written down in order. A loop device on that file carries a real file system, so whatever a program
// does there arrives here as the writes and flushes that a real disk would see. A second file, `ack`, takes what the
// program under test has been promised: its writes stand in the same list.
//
// Protocol: <linux/fuse.h>, version 7.31; only what a loop device asks for. `unsafe` lives here: mount(2), read(2) and
// write(2) on /dev/fuse.

import ApusIO
import Glibc
import Synchronization

/// What arrived at the disk.
enum DiskEvent: Sendable {
  case write(offset: Int, bytes: [UInt8])
  case flush
  /// The program under test was told that transaction `number` is durable.
  case acknowledged(Int)
}

final class DiskServer: Sendable {
  private struct State {
    var image: [UInt8]
    var events: [DiskEvent] = []
  }

  private let state: Mutex<State>
  private let descriptor: Int32
  private let mountPoint: String
  private let ended = ThreadSemaphore()

  static let imageName = "disk.img", acknowledgementName = "ack"

  /// Mounts the file system and serves it on a thread of its own.
  init(mountPoint: String, byteCount: Int) throws {
    let descriptor = unsafe open("/dev/fuse", O_RDWR | O_CLOEXEC)
    if descriptor < 0 { throw RigRefusal.error("/dev/fuse") }
    let options = "fd=\(descriptor),rootmode=40000,user_id=0,group_id=0,allow_other"
    if unsafe mount("apus-disk", mountPoint, "fuse", UInt(MS_NOSUID | MS_NODEV), options) != 0 {
      let error = RigRefusal.error("mounting FUSE")
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
    self.mountPoint = mountPoint
    state = Mutex(State(image: [UInt8](repeating: 0, count: byteCount)))
    if !EngineThread.start({ [self] in serve() }) { throw ProofFailure("no thread could be started") }
  }

  /// Unmounts; the thread ends.
  func stop() {
    unsafe _ = umount2(mountPoint, Int32(MNT_DETACH))
    close(descriptor)
  }

  var eventCount: Int { state.withLock { $0.events.count } }

  /// The disk as it is, all writes included; what follows is told from now on.
  func takeImage() -> [UInt8] {
    state.withLock { state in
      state.events = []
      return state.image
    }
  }

  func takeEvents() -> [DiskEvent] {
    state.withLock { state in
      defer { state.events = [] }
      return state.events
    }
  }

  // MARK: the protocol

  private enum Node { static let root: UInt64 = 1, image: UInt64 = 2, acknowledgement: UInt64 = 3 }

  private func serve() {
    // The largest write is 128 KiB and its headers.
    var buffer = [UInt8](repeating: 0, count: 128 * 1024 + 4096)
    while true {
      let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0 {
        if errno == EINTR || errno == EAGAIN || errno == ENOENT { continue }
        return
      }
      if count >= 40 { handle(Array(buffer[..<count])) }
    }
  }

  private func handle(_ request: [UInt8]) {
    let code = request.integer(4, 4), node = request.integer(16, 8)
    let body = Array(request[40...])
    switch code {
    case 26:  // INIT
      var reply = FuseReply()
      reply.add32(7, 31, body.count >= 12 ? body.integer(8, 4) : 0, 1 << 5)  // BIG_WRITES
      reply.add32(0)
      reply.add32(128 * 1024, 1)
      reply.zeros(64)
      answer(request, reply)
    case 1:  // LOOKUP
      let name = String(decoding: body.prefix { $0 != 0 }, as: UTF8.self)
      let found = name == Self.imageName ? Node.image : name == Self.acknowledgementName ? Node.acknowledgement : 0
      if found == 0 { return refuse(request, ENOENT) }
      var reply = FuseReply()
      reply.add64(found, 0, 3600, 3600)
      reply.add32(0, 0)
      addAttributes(found, &reply)
      answer(request, reply)
    case 3, 4:  // GETATTR, SETATTR
      var reply = FuseReply()
      reply.add64(3600)
      reply.add32(0, 0)
      addAttributes(node, &reply)
      answer(request, reply)
    case 14, 27:  // OPEN, OPENDIR
      var reply = FuseReply()
      reply.add64(0)
      reply.add32(code == 14 ? 1 : 0, 0)  // DIRECT_IO
      answer(request, reply)
    case 15: read(request, node, body)
    case 16: write(request, node, body)
    case 17:  // STATFS
      var reply = FuseReply()
      reply.zeros(80)
      answer(request, reply)
    case 20:  // FSYNC
      if node == Node.image { state.withLock { $0.events.append(.flush) } }
      answer(request, FuseReply())
    case 18, 25, 28, 29, 38: answer(request, FuseReply())  // RELEASE, FLUSH, READDIR, RELEASEDIR, DESTROY
    case 2, 36, 42: break  // FORGET, INTERRUPT, BATCH_FORGET want no answer.
    case 43: refuse(request, EOPNOTSUPP)  // FALLOCATE
    default: refuse(request, ENOSYS)
    }
  }

  private func read(_ request: [UInt8], _ node: UInt64, _ body: [UInt8]) {
    let offset = Int(body.integer(8, 8)), size = Int(body.integer(16, 4))
    var reply = FuseReply()
    if node == Node.image {
      state.withLock { state in
        let end = min(offset + size, state.image.count)
        if offset < end { reply.bytes.append(contentsOf: state.image[offset..<end]) }
      }
    }
    answer(request, reply)
  }

  private func write(_ request: [UInt8], _ node: UInt64, _ body: [UInt8]) {
    let offset = Int(body.integer(8, 8)), size = Int(body.integer(16, 4))
    let data = Array(body[40..<40 + size])
    let fits = state.withLock { state in
      if node == Node.acknowledgement {
        state.events.append(.acknowledged(Int(data.integer(0, min(8, data.count)))))
        return true
      }
      if offset + size > state.image.count { return false }
      state.image.replaceSubrange(offset..<offset + size, with: data)
      state.events.append(.write(offset: offset, bytes: data))
      return true
    }
    if !fits { return refuse(request, ENOSPC) }
    var reply = FuseReply()
    reply.add32(UInt64(size), 0)
    answer(request, reply)
  }

  private func addAttributes(_ node: UInt64, _ reply: inout FuseReply) {
    let size = node == Node.image ? state.withLock { $0.image.count } : 0
    reply.add64(node, UInt64(size), UInt64(size / 512), 0, 0, 0)
    reply.add32(0, 0, 0)
    reply.add32(node == Node.root ? 0o40755 : 0o100600, 1, 0, 0, 0, 4096, 0)
  }

  private func answer(_ request: [UInt8], _ reply: FuseReply) { send(request, 0, reply.bytes) }
  private func refuse(_ request: [UInt8], _ number: Int32) { send(request, number, []) }

  private func send(_ request: [UInt8], _ number: Int32, _ payload: [UInt8]) {
    var reply = FuseReply()
    reply.add32(UInt64(16 + payload.count), UInt64(UInt32(bitPattern: -number)))
    reply.add64(request.integer(8, 8))
    reply.bytes.append(contentsOf: payload)
    unsafe _ = Glibc.write(descriptor, reply.bytes, reply.bytes.count)
  }
}

/// Fields in the machine's byte order, as the kernel wants them.
private struct FuseReply {
  var bytes: [UInt8] = []

  mutating func add32(_ values: UInt64...) {
    for value in values { for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) } }
  }
  mutating func add64(_ values: UInt64...) {
    for value in values { for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) } }
  }
  mutating func zeros(_ size: Int) { while bytes.count < size { bytes.append(0) } }
}

extension [UInt8] {
  fileprivate func integer(_ start: Int, _ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<count where start + index < self.count { value |= UInt64(self[start + index]) << (8 * index) }
    return value
  }
}

/// Why this machine does not carry the rig: it has no such device or tool, or does not grant it. Whatever else goes
/// wrong is a failure.
struct RigRefusal: Error {
  var text: String
  init(_ text: String) { self.text = text }

  private static let numbers = [ENOENT, ENODEV, ENXIO, ENOSYS, EACCES, EPERM]

  /// The error of the last call of the C library.
  static func error(_ what: String, number: Int32 = errno) -> any Error {
    let text = "\(what): \(unsafe String(cString: strerror(number)))"
    return numbers.contains(number) ? RigRefusal(text) : ProofFailure(text)
  }

  static var reason: String { unsafe String(cString: strerror(errno)) }
}
