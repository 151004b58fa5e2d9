// This program run again as a child: a tool that must survive an engine's trap, or measure one engine's memory alone,
// does each piece of work in a process of its own. Its output is collected in memory.
// `unsafe` lives here: posix_spawn(3) and waitpid(2).

import Glibc

public struct ChildResult: Sendable {
  public var output: String
  /// The exit code, or the negative number of the signal that ended it; `ChildProcess.lostStatus` where nobody knows.
  public var status: Int32
  /// Peak resident memory in KiB.
  public var peakKibibytes: Int
  public var cpuSeconds: Double
}

public final class ChildProcess {
  public let identifier: pid_t
  private let output: Int32

  /// The kernel knows no such child: somebody else has waited for it. No exit code, and no signal's number.
  public static let lostStatus: Int32 = -255

  /// Starts this very program with other arguments.
  public static func again(_ arguments: [String]) -> ChildProcess? {
    run("/proc/self/exe", ["child"] + arguments)
  }

  /// - Parameter arguments: all of them, the program's name first.
  public static func run(_ program: String, _ arguments: [String]) -> ChildProcess? {
    var name = Array("/tmp/apus-output-XXXXXX".utf8CString)
    let output = unsafe mkstemp(&name)
    guard output >= 0 else { return nil }
    _ = fcntl(output, F_SETFD, FD_CLOEXEC)
    unsafe unlink(name)
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
    unsafe pointers.append(nil)
    defer { for unsafe pointer in unsafe pointers { unsafe free(pointer) } }
    var identifier: pid_t = 0
    guard unsafe posix_spawn(&identifier, program, &actions, nil, pointers, environ) == 0 else {
      close(output)
      return nil
    }
    return ChildProcess(identifier: identifier, output: output)
  }

  private init(identifier: pid_t, output: Int32) {
    self.identifier = identifier
    self.output = output
  }

  deinit { close(output) }

  public func wait() -> ChildResult {
    var status: Int32 = 0
    var usage = rusage()
    var ended: pid_t
    repeat { ended = unsafe wait4(identifier, &status, 0, &usage) } while ended < 0 && errno == EINTR
    var result = result(status, usage)
    if ended != identifier { result.status = Self.lostStatus }
    return result
  }

  /// Waits for whichever of the children ends first, and takes it out.
  public static func waitAny<Key>(_ children: inout [(key: Key, child: ChildProcess)]) -> (key: Key, result: ChildResult)? {
    while !children.isEmpty {
      var status: Int32 = 0
      var usage = rusage()
      let ended = unsafe wait4(-1, &status, 0, &usage)
      if ended < 0, errno == EINTR { continue }
      guard let index = children.firstIndex(where: { $0.child.identifier == ended }) else {
        if ended < 0 { return nil }
        continue
      }
      let (key, child) = children.remove(at: index)
      return (key, child.result(status, usage))
    }
    return nil
  }

  private func result(_ status: Int32, _ usage: rusage) -> ChildResult {
    lseek(output, 0, SEEK_SET)
    let bytes = Console.readAll(output) ?? []
    let signal = status & 0x7f
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return ChildResult(
      output: String(decoding: bytes, as: UTF8.self),
      status: signal == 0 ? (status >> 8) & 0xff : -signal,
      peakKibibytes: usage.ru_maxrss,
      cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime))
  }
}
