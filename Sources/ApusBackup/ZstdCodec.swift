// Zstandard frames, one at a time, each whole in memory.
//
// `unsafe` lives here: it calls C with views of our memory.

import ApusBase
import CZstd

@safe
final class ZstdCompressor {
  private let context: OpaquePointer
  private var buffer = ByteBuffer()

  init(level: Int) throws(EngineError) {
    guard let made = unsafe ZSTD_createCCtx() else { throw EngineError(.noMemory) }
    unsafe context = made
    _ = unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(clamping: level))
    // A plain `zstd -d` then checks what it writes, too.
    _ = unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
  }

  deinit { _ = unsafe ZSTD_freeCCtx(context) }

  /// A frame with these bytes; valid until the next call.
  func compress(_ bytes: ByteView) throws(EngineError) -> ByteView {
    buffer.resize(to: ZSTD_compressBound(bytes.count))
    let room = buffer.mutableBytes
    let count = unsafe ZSTD_compress2(context, room.unsafeBase, room.count, bytes.unsafeBase, bytes.count)
    if ZSTD_isError(count) != 0 { throw ZstdError.make(count) }
    return buffer.bytes.slice(0, count)
  }
}

@safe
final class ZstdDecompressor {
  private let context: OpaquePointer

  init() throws(EngineError) {
    guard let made = unsafe ZSTD_createDCtx() else { throw EngineError(.noMemory) }
    unsafe context = made
  }

  deinit { _ = unsafe ZSTD_freeDCtx(context) }

  /// The bytes of one frame, which must fill `target` exactly.
  func decompress(_ frame: ByteView, into target: MutableByteView) throws(EngineError) {
    let count = unsafe ZSTD_decompressDCtx(context, target.unsafeBase, target.count, frame.unsafeBase, frame.count)
    if ZSTD_isError(count) != 0 { throw ZstdError.make(count) }
    if count != target.count { throw EngineError(.corrupt, cause: "a frame holds \(count) bytes, not \(target.count)") }
  }
}

private enum ZstdError {
  static func make(_ code: Int) -> EngineError {
    let text = unsafe ZSTD_getErrorName(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    return EngineError(.corrupt, cause: "zstd: \(text)")
  }
}
