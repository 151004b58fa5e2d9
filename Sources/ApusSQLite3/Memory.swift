// sqlite3_malloc and its kin. Each block carries its size in front, so that it can be told and counted.
//
// `unsafe`: it is an allocator.

import ApusBase
import Glibc
import Synchronization

/// Bytes in front of a block; they keep it aligned for any type.
private let headerByteCount = 16
/// Longest block that SQLite's allocator gives.
private let blockByteCountMax: UInt64 = 0x7fff_feff
private let used = Atomic<Int64>(0)
private let highwater = Atomic<Int64>(0)

private func count(_ bytes: Int64) {
  let now = used.wrappingAdd(bytes, ordering: .relaxed).newValue
  if now > highwater.load(ordering: .relaxed) { highwater.store(now, ordering: .relaxed) }
}

@_cdecl("sqlite3_malloc64")
public func sqlite3_malloc64(_ size: UInt64) -> UnsafeMutableRawPointer? {
  guard size > 0, size <= blockByteCountMax, let base = unsafe malloc(Int(size) + headerByteCount) else { return nil }
  unsafe base.storeBytes(of: size, as: UInt64.self)
  count(Int64(size))
  return unsafe base + headerByteCount
}

@_cdecl("sqlite3_malloc")
public func sqlite3_malloc(_ size: CInt) -> UnsafeMutableRawPointer? {
  size <= 0 ? nil : unsafe sqlite3_malloc64(UInt64(size))
}

@_cdecl("sqlite3_msize")
public func sqlite3_msize(_ block: UnsafeMutableRawPointer?) -> UInt64 {
  guard let block = unsafe block else { return 0 }
  return unsafe (block - headerByteCount).load(as: UInt64.self)
}

@_cdecl("sqlite3_free")
public func sqlite3_free(_ block: UnsafeMutableRawPointer?) {
  guard let block = unsafe block else { return }
  unsafe count(-Int64(sqlite3_msize(block)))
  unsafe free(block - headerByteCount)
}

@_cdecl("apus_free")
public func apus_free(_ block: UnsafeMutableRawPointer?) { unsafe sqlite3_free(block) }

@_cdecl("sqlite3_realloc64")
public func sqlite3_realloc64(_ block: UnsafeMutableRawPointer?, _ size: UInt64) -> UnsafeMutableRawPointer? {
  guard let block = unsafe block else { return unsafe sqlite3_malloc64(size) }
  if size == 0 {
    unsafe sqlite3_free(block)
    return nil
  }
  guard let grown = unsafe sqlite3_malloc64(size) else { return nil }
  unsafe memcpy(grown, block, Int(min(size, sqlite3_msize(block))))
  unsafe sqlite3_free(block)
  return unsafe grown
}

@_cdecl("sqlite3_realloc")
public func sqlite3_realloc(_ block: UnsafeMutableRawPointer?, _ size: CInt) -> UnsafeMutableRawPointer? {
  unsafe sqlite3_realloc64(block, UInt64(max(size, 0)))
}

@_cdecl("sqlite3_memory_used")
public func sqlite3_memory_used() -> Int64 { used.load(ordering: .relaxed) }

@_cdecl("sqlite3_memory_highwater")
public func sqlite3_memory_highwater(_ reset: CInt) -> Int64 {
  let most = highwater.load(ordering: .relaxed)
  if reset != 0 { highwater.store(used.load(ordering: .relaxed), ordering: .relaxed) }
  return most
}

/// A NUL-terminated copy in memory of `sqlite3_malloc`.
func copyToC(_ text: String) -> UnsafeMutablePointer<CChar>? {
  var text = text
  return text.withUTF8 { bytes -> UnsafeMutablePointer<CChar>? in
    guard let copy = unsafe sqlite3_malloc64(UInt64(bytes.count + 1)) else { return nil }
    if let base = bytes.baseAddress { unsafe memcpy(copy, base, bytes.count) }
    unsafe copy.storeBytes(of: 0, toByteOffset: bytes.count, as: UInt8.self)
    return unsafe copy.assumingMemoryBound(to: CChar.self)
  }
}

/// The same of bytes that need not be UTF-8.
func copyToC(_ bytes: ByteView) -> UnsafeMutablePointer<CChar>? {
  guard let copy = unsafe sqlite3_malloc64(UInt64(bytes.count + 1)) else { return nil }
  unsafe memcpy(copy, bytes.unsafeBase, bytes.count)
  unsafe copy.storeBytes(of: 0, toByteOffset: bytes.count, as: UInt8.self)
  return unsafe copy.assumingMemoryBound(to: CChar.self)
}
