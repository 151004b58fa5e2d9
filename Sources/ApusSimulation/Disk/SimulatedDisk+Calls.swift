// Calls that are answered at once and may be refused: open, create, delete, truncate, lock.

import ApusBase
import ApusIO

extension SimulatedDisk {
  enum Call { case open, create, delete, truncate, lock }

  /// - Throws: what the operating system would say.
  func checkCall(_ call: Call, _ path: String, _ file: DiskFile?) throws(EngineError) {
    if faults.isReadOnly {
      switch call {
      case .create: try refuse(.readOnlyFileSystem, .cannotOpen, "open", SystemErrorNumber.readOnly, path, file)
      case .delete: try refuse(.readOnlyFileSystem, .ioErrorDelete, "unlink", SystemErrorNumber.readOnly, path, file)
      case .truncate: try refuse(.readOnlyFileSystem, .ioErrorTruncate, "ftruncate", SystemErrorNumber.readOnly, path, file)
      case .open, .lock: break
      }
    }
    switch call {
    case .open:
      if faults.meets(.tooManyFiles, on: FileRole(path)) {
        let number = faults.choices.pick([SystemErrorNumber.tooManyFiles, SystemErrorNumber.tableFull], .errorNumber)
        try refuse(.tooManyFiles, .cannotOpen, "open", number, path, file)
      }
      if faults.meets(.refusedOpen, on: FileRole(path)) {
        try refuse(.refusedOpen, .cannotOpen, "open", SystemErrorNumber.access, path, file)
      }
    case .create:
      if let limit = faults.spaceLimit, usedByteCount > limit {
        try refuse(.diskFull, .cannotOpen, "open", SystemErrorNumber.noSpace, path, file)
      }
    case .delete:
      if faults.meets(.nameCallError, on: FileRole(path)) || faults.meetsTurn(.nameCallError, of: faults.actor) {
        try refuse(.nameCallError, .ioErrorDelete, "unlink", SystemErrorNumber.io, path, file)
      }
    case .truncate:
      if faults.meets(.truncateError, on: FileRole(path)) || faults.meetsTurn(.truncateError, of: faults.actor) {
        try refuse(.truncateError, .ioErrorTruncate, "ftruncate", SystemErrorNumber.io, path, file)
      }
    case .lock:
      if faults.meets(.lockError, on: FileRole(path)) {
        try refuse(.lockError, .ioErrorLock, "fcntl(F_OFD_SETLK)", SystemErrorNumber.noLocks, path, file)
      }
    }
  }

  private func refuse(
    _ kind: FaultKind, _ code: ResultCode, _ call: StaticString, _ number: Int32, _ path: String, _ file: DiskFile?
  ) throws(EngineError) {
    faults.noteFailure(kind, of: faults.actor, file, role: FileRole(path))
    trace.add("refused", "\(kind) \(path)")
    throw SystemError.make(code, call: call, errno: number, path: path)
  }
}
