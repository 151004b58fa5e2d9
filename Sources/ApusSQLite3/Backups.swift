// Online backups. Source: https://sqlite.org/c3ref/backup_finish.html
//
// `unsafe`: this is the border to C. A backup's address is the C pointer; C owns one reference to it from init to finish.

import Apus
import ApusBase

@safe
final class BackupHandle {
  let backup: ConnectionBackup
  let target: DatabaseHandle
  let source: DatabaseHandle
  /// What the next step and the finish tell once a step has failed for good.
  var code = ResultCode.ok
  var error: EngineError?

  init(_ backup: ConnectionBackup, target: DatabaseHandle, source: DatabaseHandle) {
    self.backup = backup
    self.target = target
    self.source = source
    source.unfinishedBackupCount += 1
    target.unfinishedBackupCount += 1
  }

  static func from(_ pointer: OpaquePointer?) -> BackupHandle? {
    guard let pointer = unsafe pointer else { return nil }
    return unsafe Unmanaged<BackupHandle>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
  }

  /// Runs `body` while no other thread is in either connection.
  func locked<R>(_ body: () -> R) -> R { source.locked { target.locked(body) } }

  func step(_ pages: Int) -> CInt {
    guard let connection = source.connection else { return ResultCode.misuse.rawValue }
    do throws(EngineError) {
      let isDone = try connection.block { () throws(Fault) in try backup.step(pages: pages) }
      code = isDone ? .done : .ok
      error = nil
    } catch {
      code = error.code
      self.error = error
    }
    return target.result(code)
  }

  func finish() -> CInt {
    var met = error
    do throws(EngineError) {
      try source.connection?.block { () throws(Fault) in try backup.finish() }
    } catch {
      met = met ?? error
    }
    source.unfinishedBackupCount -= 1
    target.unfinishedBackupCount -= 1
    defer {
      source.closeIfUnused()
      target.closeIfUnused()
    }
    guard let met else { return target.succeed() }
    return target.fail(met)
  }
}

@_cdecl("sqlite3_backup_init")
public func sqlite3_backup_init(
  _ target: OpaquePointer?, _ targetName: UnsafePointer<CChar>?, _ source: OpaquePointer?,
  _ sourceName: UnsafePointer<CChar>?
) -> OpaquePointer? {
  guard let from = unsafe DatabaseHandle.from(source), let into = unsafe DatabaseHandle.from(target),
    let origin = from.connection, let connection = into.connection,
    let targetText = unsafe targetName.map({ unsafe String(cString: $0) }),
    let sourceText = unsafe sourceName.map({ unsafe String(cString: $0) })
  else { return nil }
  return unsafe from.locked {
    unsafe into.locked {
      do throws(EngineError) {
        let backup = try connection.makeBackup(into: targetText, from: origin, database: sourceText)
        into.succeed()
        return unsafe OpaquePointer(
          Unmanaged.passRetained(BackupHandle(backup, target: into, source: from)).toOpaque())
      } catch {
        into.fail(error)
        return nil
      }
    }
  }
}

@_cdecl("sqlite3_backup_step")
public func sqlite3_backup_step(_ backup: OpaquePointer?, _ pages: CInt) -> CInt {
  guard let handle = unsafe BackupHandle.from(backup) else { return ResultCode.misuse.rawValue }
  return handle.locked { handle.step(Int(pages)) }
}

@_cdecl("sqlite3_backup_finish")
public func sqlite3_backup_finish(_ backup: OpaquePointer?) -> CInt {
  guard let handle = unsafe BackupHandle.from(backup), let backup = unsafe backup else { return ResultCode.ok.rawValue }
  let code = handle.locked { handle.finish() }
  unsafe Unmanaged<BackupHandle>.fromOpaque(UnsafeRawPointer(backup)).release()
  return code
}

@_cdecl("sqlite3_backup_remaining")
public func sqlite3_backup_remaining(_ backup: OpaquePointer?) -> CInt {
  unsafe CInt(clamping: BackupHandle.from(backup)?.backup.remaining ?? 0)
}

@_cdecl("sqlite3_backup_pagecount")
public func sqlite3_backup_pagecount(_ backup: OpaquePointer?) -> CInt {
  unsafe CInt(clamping: BackupHandle.from(backup)?.backup.pageCount ?? 0)
}
