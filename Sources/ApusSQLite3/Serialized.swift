// Databases as bytes. Source: https://sqlite.org/c3ref/serialize.html
//
// The engine copies the bytes of sqlite3_deserialize into pages of its own. The buffer stays as long as the database, and
// SQLITE_SERIALIZE_NOCOPY brings it up to date and gives it out.
//
// `unsafe`: this is the border to C.

import Apus
import ApusBase
import ApusStorage
import ApusVM

private enum SerializeFlag {
  static let noCopy: UInt32 = 1
  static let freeOnClose: UInt32 = 1, resizeable: UInt32 = 2, readOnly: UInt32 = 4
}

/// The application's memory that a database was made of.
@safe
final class DeserializedBuffer {
  private(set) var base: UnsafeMutableRawPointer?
  private var capacity: Int
  private let isOwned: Bool
  private let mayGrow: Bool

  init(_ base: UnsafeMutableRawPointer?, capacity: Int, flags: UInt32) {
    unsafe self.base = base
    self.capacity = capacity
    isOwned = flags & SerializeFlag.freeOnClose != 0
    mayGrow = isOwned && flags & SerializeFlag.resizeable != 0
  }

  deinit { if isOwned { unsafe sqlite3_free(base) } }

  /// Makes room for so many bytes; false where that cannot be.
  func reserve(_ byteCount: Int) -> Bool {
    if byteCount <= capacity { return true }
    guard mayGrow, let grown = unsafe sqlite3_realloc64(base, UInt64(byteCount)) else { return false }
    unsafe base = grown
    capacity = byteCount
    return true
  }
}

@_cdecl("sqlite3_serialize")
public func sqlite3_serialize(
  _ database: OpaquePointer?, _ schema: UnsafePointer<CChar>?, _ size: UnsafeMutablePointer<Int64>?, _ flags: UInt32
) -> UnsafeMutablePointer<UInt8>? {
  unsafe size?.pointee = -1
  guard let handle = unsafe DatabaseHandle.from(database), let connection = handle.connection else { return nil }
  let name = unsafe schema.map { unsafe String(cString: $0) } ?? "main"
  return unsafe handle.locked {
    let number = databaseNumber(connection, name)
    let buffer = handle.buffer(of: number.flatMap { connection.state.databases[$0]?.pager })
    if flags & SerializeFlag.noCopy != 0, buffer == nil {
      // What lies in pages is not contiguous: only its size can be told.
      if let count = try? connection.byteCount(of: name) { unsafe size?.pointee = Int64(count) }
      return nil
    }
    var block: UnsafeMutableRawPointer?
    var total = 0
    var place = 0
    do throws(EngineError) {
      try connection.serialize(
        name,
        reserve: { count in
          total = count
          if flags & SerializeFlag.noCopy != 0 {
            unsafe block = buffer?.reserve(count) == true ? buffer?.base : nil
          } else {
            unsafe block = sqlite3_malloc64(UInt64(count))
          }
        }
      ) { _, page in
        if let block = unsafe block, place + page.count <= total {
          unsafe (block + place).copyMemory(from: page.unsafeBase, byteCount: page.count)
        }
        place += page.count
      }
    } catch {
      if flags & SerializeFlag.noCopy == 0 { unsafe sqlite3_free(block) }
      handle.fail(error)
      return nil
    }
    unsafe size?.pointee = Int64(total)
    return unsafe block?.assumingMemoryBound(to: UInt8.self)
  }
}

@_cdecl("sqlite3_deserialize")
public func sqlite3_deserialize(
  _ database: OpaquePointer?, _ schema: UnsafePointer<CChar>?, _ data: UnsafeMutablePointer<UInt8>?, _ size: Int64,
  _ capacity: Int64, _ flags: UInt32
) -> CInt {
  // Freed with its last reference where it is the database's, also where this fails.
  let buffer = unsafe DeserializedBuffer(
    UnsafeMutableRawPointer(data), capacity: Int(clamping: max(size, capacity)), flags: flags)
  return unsafe withDatabase(database) { handle, connection in
    let name = unsafe schema.map { unsafe String(cString: $0) } ?? "main"
    guard size >= 0, unsafe data != nil || size == 0 else { return handle.fail(.misuse) }
    var options = DeserializeOptions(isReadOnly: flags & SerializeFlag.readOnly != 0)
    if flags & SerializeFlag.resizeable == 0 { options.byteCountMax = Int(clamping: max(size, capacity)) }
    do throws(EngineError) {
      if let base = unsafe buffer.base {
        try connection.deserialize(name, unsafe ByteView(unchecked: UnsafeRawPointer(base), count: Int(size)), options)
      } else {
        try connection.deserialize(name, ByteView.empty, options)
      }
    } catch {
      return handle.fail(error)
    }
    if let number = databaseNumber(connection, name), let pager = connection.state.databases[number]?.pager {
      handle.keep(buffer, for: pager)
    }
    return handle.succeed()
  }
}
