// From `errno` to the engine's error: SQLite's extended code and message, and what SQLite does not give: the call, the
// system's own words, the path, and what to do.

import ApusBase
import Glibc

public enum SystemError {
  /// - Parameters:
  ///   - code: what the failure is called where `number` does not say more (a full disk is `full` whoever meets it).
  ///   - call: name of the system call.
  @inline(never)
  public static func make(_ code: ResultCode, call: StaticString, errno number: Int32, path: String) -> EngineError {
    let actual = refined(code, number)
    return EngineError(
      actual, object: path, cause: "\(call): \(text(number))", hint: hint(actual, number))
  }

  /// A handle that was opened before fork.
  static func ofParent(_ path: String) -> EngineError {
    EngineError(
      .misuse, object: path, cause: "the file was opened before fork, by the parent process",
      hint: "open a connection of its own in the child process")
  }

  /// "No space left on device (28)".
  static func text(_ number: Int32) -> String { "\(message(number)) (\(number))" }

  private static func refined(_ code: ResultCode, _ number: Int32) -> ResultCode {
    switch (code, number) {
    // What was to be synced may be gone whatever the reason: it is not said again that there was no room.
    case (.ioErrorFsync, _), (.ioErrorDirectoryFsync, _): return code
    case (_, ENOSPC), (_, EDQUOT): return .full
    case (.ioErrorWrite, EFBIG): return .full
    case (.cannotOpen, EISDIR): return .cannotOpenIsDirectory
    case (.ioErrorLock, EPERM): return .permission
    default: return code
    }
  }

  private static func hint(_ code: ResultCode, _ number: Int32) -> String? {
    switch number {
    case ENOSPC: return "free some space on the file system, then repeat the transaction"
    case EDQUOT: return "the user's disk quota is used up; free some space, then repeat the transaction"
    case EFBIG: return "the file would exceed the file size limit of the process (ulimit -f) or of the file system"
    case EROFS: return "the file system is mounted read-only; open the database with mode=ro or move it"
    case EACCES, EPERM: return "check the owner and the permissions of the file and of its directory"
    case ENOENT: return "check the path; the directory must exist"
    case ENOTDIR: return "a part of the path is a file, not a directory"
    case EISDIR: return "the path names a directory, not a file"
    case ELOOP: return "symbolic links lead in a circle, or a link stands where a file was expected"
    case EMFILE: return "the process has too many open files; close some or raise ulimit -n"
    case ENFILE: return "the system has too many open files"
    case ENAMETOOLONG: return "use a shorter path"
    case EIO: return "the device or the file system reports damage; look at the kernel's log, restore from a backup"
    case ENOLCK: return "the file system grants no locks (network file system?); put the database on a local one"
    case ENOMEM: return "the system is out of memory"
    case EINVAL where code == .ioErrorLock:
      return "the file system or the kernel knows no open-file-description locks (Linux 3.15 has them)"
    default: return nil
    }
  }
}
