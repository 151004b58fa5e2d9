// What needs no connection: the library itself, texts, the printf family's Swift half.
//
// `unsafe`: this is the border to C.

import ApusBase
import ApusFunctions
import ApusSQL
import ApusVM
import CApus
import Glibc

// MARK: the library

@_cdecl("sqlite3_libversion")
public func sqlite3_libversion() -> UnsafePointer<CChar>? { unsafe cText(SQLiteVersion.text) }

/// A literal's bytes end in a NUL.
private func cText(_ text: StaticString) -> UnsafePointer<CChar>? {
  unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

@_cdecl("sqlite3_libversion_number")
public func sqlite3_libversion_number() -> CInt { CInt(SQLiteVersion.number) }

@_cdecl("sqlite3_sourceid")
public func sqlite3_sourceid() -> UnsafePointer<CChar>? { unsafe cText(SQLiteVersion.sourceIdentifier) }

@_cdecl("sqlite3_compileoption_get")
public func sqlite3_compileoption_get(_ index: CInt) -> UnsafePointer<CChar>? {
  guard index >= 0, Int(index) < SQLiteVersion.compileOptions.count else { return nil }
  return unsafe cText(SQLiteVersion.compileOptions[Int(index)])
}

/// An option is used where the name is it, or its part before '='; "SQLITE_" may stand in front.
@_cdecl("sqlite3_compileoption_used")
public func sqlite3_compileoption_used(_ name: UnsafePointer<CChar>?) -> CInt {
  guard var name = unsafe name else { return 0 }
  if unsafe sqlite3_strnicmp(name, "SQLITE_", 7) == 0 { unsafe name += 7 }
  let count = unsafe strlen(name)
  for option in SQLiteVersion.compileOptions {
    guard let text = unsafe cText(option), unsafe sqlite3_strnicmp(text, name, CInt(clamping: count)) == 0 else { continue }
    let end = unsafe text[count]
    if count > 0, end == 0 || end == 0x3d { return 1 }
  }
  return 0
}

@_cdecl("sqlite3_threadsafe")
public func sqlite3_threadsafe() -> CInt { 1 }

@_cdecl("sqlite3_initialize")
public func sqlite3_initialize() -> CInt { ResultCode.ok.rawValue }

@_cdecl("sqlite3_shutdown")
public func sqlite3_shutdown() -> CInt { ResultCode.ok.rawValue }

@_cdecl("sqlite3_sleep")
public func sqlite3_sleep(_ milliseconds: CInt) -> CInt {
  let milliseconds = max(milliseconds, 0)
  var rest = timespec(tv_sec: Int(milliseconds) / 1000, tv_nsec: Int(milliseconds) % 1000 * 1_000_000)
  var left = timespec()
  while unsafe nanosleep(&rest, &left) != 0, errno == EINTR { rest = left }
  return milliseconds
}

/// Connections of one process share a file's page cache in any case; SQLite's shared-cache mode, with its locks on
/// tables, is not built.
@_cdecl("sqlite3_enable_shared_cache")
public func sqlite3_enable_shared_cache(_ isOn: CInt) -> CInt {
  isOn == 0 ? ResultCode.ok.rawValue : ResultCode.error.rawValue
}

@_cdecl("sqlite3_randomness")
public func sqlite3_randomness(_ count: CInt, _ buffer: UnsafeMutableRawPointer?) {
  guard count > 0, let buffer = unsafe buffer else { return }
  for offset in 0..<Int(count) {
    let byte = UInt8(truncatingIfNeeded: systemEnvironment.randomUInt64() >> 32)
    unsafe buffer.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
  }
}

// MARK: texts

@_cdecl("sqlite3_complete")
public func sqlite3_complete(_ sql: UnsafePointer<CChar>?) -> CInt {
  guard let sql = unsafe sql else { return 0 }
  return unsafe SQLParser.isComplete(ByteView(unchecked: UnsafeRawPointer(sql), count: strlen(sql))) ? 1 : 0
}

@_cdecl("sqlite3_stricmp")
public func sqlite3_stricmp(_ left: UnsafePointer<CChar>?, _ right: UnsafePointer<CChar>?) -> CInt {
  unsafe sqlite3_strnicmp(left, right, CInt.max)
}

@_cdecl("sqlite3_strnicmp")
public func sqlite3_strnicmp(_ left: UnsafePointer<CChar>?, _ right: UnsafePointer<CChar>?, _ count: CInt) -> CInt {
  guard let left = unsafe left else { return unsafe right == nil ? 0 : -1 }
  guard let right = unsafe right else { return 1 }
  func fold(_ byte: CChar) -> CInt {
    let byte = UInt8(bitPattern: byte)
    return CInt(byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)
  }
  var place = 0
  while place < Int(count) {
    let a = unsafe fold(left[place]), b = unsafe fold(right[place])
    if a != b || a == 0 { return a - b }
    place += 1
  }
  return 0
}

/// The Swift half of `sqlite3_mprintf`: SQLite's own printf, with the arguments that C collected. Nothing where a text is too
/// long to be formatted.
@_cdecl("apus_format")
public func apus_format(
  _ format: UnsafePointer<CChar>, _ arguments: UnsafePointer<apus_argument>, _ count: CInt
) -> UnsafeMutablePointer<CChar>? {
  if unsafe strnlen(format, textByteCountMax + 1) > textByteCountMax { return nil }
  for index in 0..<Int(count) where unsafe arguments[index].isTooLong { return nil }
  var context = FunctionContext(environment: systemEnvironment)
  let pattern = unsafe ByteView(unchecked: UnsafeRawPointer(format), count: strlen(format))
  do throws(Fault) {
    try unsafe withUnsafeTemporaryAllocation(of: Value.self, capacity: Int(count) + 1) { values throws(Fault) in
      for index in 0..<Int(count) {
        unsafe values.initializeElement(at: index, to: value(arguments[index]))
      }
      guard let base = values.baseAddress else { return }
      try PrintfFormatter.format(pattern, unsafe ValueRange(unchecked: base, count: Int(count)), &context)
    }
  } catch {
    // Too long a text: SQLite's printf gives none either.
    return nil
  }
  context.output.append(0)
  let text = context.output.bytes
  guard let block = unsafe sqlite3_malloc64(UInt64(text.count)) else { return nil }
  unsafe memcpy(block, text.unsafeBase, text.count)
  return unsafe block.assumingMemoryBound(to: CChar.self)
}

extension apus_argument {
  fileprivate var isTooLong: Bool { unsafe kind == CChar(bitPattern: UInt8(ascii: "s")) && integer > textByteCountMax }
}

private func value(_ argument: apus_argument) -> Value {
  switch unsafe UInt8(bitPattern: argument.kind) {
  case UInt8(ascii: "d"): return unsafe .real(argument.real)
  case UInt8(ascii: "s"):
    guard let text = unsafe argument.text else { return .null }
    return unsafe .text(ByteView(unchecked: UnsafeRawPointer(text), count: Int(argument.integer)))
  default: return unsafe .integer(argument.integer)
  }
}
