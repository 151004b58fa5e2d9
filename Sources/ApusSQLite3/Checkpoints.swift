// Checkpoints of the write-ahead log. Source: https://sqlite.org/c3ref/wal_checkpoint_v2.html
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase

@_cdecl("sqlite3_wal_checkpoint_v2")
public func sqlite3_wal_checkpoint_v2(
  _ database: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ mode: CInt, _ frameCount: UnsafeMutablePointer<CInt>?,
  _ checkpointed: UnsafeMutablePointer<CInt>?
) -> CInt {
  unsafe frameCount?.pointee = -1
  unsafe checkpointed?.pointee = -1
  // From SQLITE_CHECKPOINT_NOOP (-1) on.
  let modes = ["NOOP", "PASSIVE", "FULL", "RESTART", "TRUNCATE"]
  guard mode >= -1, Int(mode) + 1 < modes.count else { return ResultCode.misuse.rawValue }
  let name = unsafe name.map { unsafe String(cString: $0) } ?? ""
  return unsafe withDatabase(database) { handle, connection in
    let schema = name.isEmpty ? "" : "\"\(String(name.map { $0 == "\"" ? ["\"", "\""] : [$0] }.joined()))\"."
    do throws(EngineError) {
      let statement = try connection.prepareBlocking("PRAGMA \(schema)wal_checkpoint(\(modes[Int(mode) + 1]))")
      defer { statement.finalize() }
      guard try statement.stepBlocking() else { return handle.succeed() }
      let isBusy = statement.column(0).asInteger != 0
      unsafe frameCount?.pointee = CInt(clamping: statement.column(1).asInteger)
      unsafe checkpointed?.pointee = CInt(clamping: statement.column(2).asInteger)
      return isBusy ? handle.fail(.busy) : handle.succeed()
    } catch {
      if error.message.hasPrefix("unknown database") { return handle.fail(.error, "unknown database: \(name)") }
      return handle.fail(error)
    }
  }
}

@_cdecl("sqlite3_wal_checkpoint")
public func sqlite3_wal_checkpoint(_ database: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> CInt {
  unsafe sqlite3_wal_checkpoint_v2(database, name, 0, nil, nil)
}

/// Zero or less switches checkpoints behind commits off.
@_cdecl("sqlite3_wal_autocheckpoint")
public func sqlite3_wal_autocheckpoint(_ database: OpaquePointer?, _ frameCount: CInt) -> CInt {
  unsafe withDatabase(database) { handle, connection in
    do throws(EngineError) {
      try connection.execute("PRAGMA wal_autocheckpoint = \(max(frameCount, 0))")
      return handle.succeed()
    } catch {
      return handle.fail(error)
    }
  }
}
