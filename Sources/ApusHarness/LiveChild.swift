// This program run again as a child whose output is read line by line while it runs, and which may be killed at any moment:
// the proofs on crashes stand on it.
// `unsafe` lives here: posix_spawn(3), pipe(2), read(2), poll(2), waitpid(2).

import Glibc

public final class LiveChild {
  public let identifier: pid_t
  private let output: Int32
  private var rest: [UInt8] = []
  /// The output is at its end: the child has closed it, most likely by ending.
  public private(set) var isAtEnd = false
  private var status: Int32?

  /// Starts this very program with other arguments.
  public static func again(_ arguments: [String]) -> LiveChild? { run("/proc/self/exe", ["child"] + arguments) }

  /// - Parameter arguments: all of them, the program's name first.
  public static func run(_ program: String, _ arguments: [String]) -> LiveChild? {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
    unsafe pointers.append(nil)
    defer { for unsafe pointer in unsafe pointers { unsafe free(pointer) } }
    var identifier: pid_t = 0
    let code = unsafe posix_spawnp(&identifier, program, &actions, nil, pointers, environ)
    close(ends[1])
    guard code == 0 else {
      close(ends[0])
      return nil
    }
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    return LiveChild(identifier: identifier, output: ends[0])
  }

  private init(identifier: pid_t, output: Int32) {
    self.identifier = identifier
    self.output = output
  }

  deinit {
    _ = end()
    close(output)
  }

  /// The lines that it has written since the last call.
  public func lines() -> [String] {
    var chunk = [UInt8](repeating: 0, count: 65536)
    while !isAtEnd {
      let count = unsafe chunk.withUnsafeMutableBytes { buffer in
        unsafe read(output, buffer.baseAddress, buffer.count)
      }
      if count < 0, errno == EINTR { continue }
      if count < 0 { break }
      if count == 0 { isAtEnd = true } else { rest += chunk[0..<count] }
    }
    var lines: [String] = []
    while let newline = rest.firstIndex(of: 10) {
      lines.append(String(decoding: rest[..<newline], as: UTF8.self))
      rest.removeSubrange(...newline)
    }
    return lines
  }

  /// Sleeps until a child has written something or ended, or the time is over.
  public static func wait(for children: [LiveChild], milliseconds: Int) {
    var list = children.filter { !$0.isAtEnd }.map { pollfd(fd: $0.output, events: Int16(POLLIN), revents: 0) }
    unsafe _ = Glibc.poll(&list, nfds_t(list.count), Int32(clamping: milliseconds))
  }

  /// Kills it (SIGKILL) where it still runs.
  /// - Returns: the exit code, or the negative number of the signal that ended it; `ChildProcess.lostStatus` where
  ///   nobody knows.
  @discardableResult
  public func end() -> Int32 {
    if let status { return status }
    kill(identifier, SIGKILL)
    return join()
  }

  /// Waits until it has ended by itself.
  public func join() -> Int32 {
    if let status { return status }
    var raw: Int32 = 0
    var ended: pid_t
    repeat { ended = unsafe waitpid(identifier, &raw, 0) } while ended < 0 && errno == EINTR
    return keep(ended, raw)
  }

  /// The exit code where it has ended by itself, nil while it runs.
  public func statusIfEnded() -> Int32? {
    if let status { return status }
    var raw: Int32 = 0
    var ended: pid_t
    repeat { ended = unsafe waitpid(identifier, &raw, WNOHANG) } while ended < 0 && errno == EINTR
    return ended == 0 ? nil : keep(ended, raw)
  }

  private func keep(_ ended: pid_t, _ raw: Int32) -> Int32 {
    let signal = raw & 0x7f
    let result = ended != identifier ? ChildProcess.lostStatus : signal == 0 ? (raw >> 8) & 0xff : -signal
    status = result
    return result
  }
}
