// Memory that the disk itself writes into: see SPEC.md, chapter 2, direct reads. `unsafe` lives here: it is aligned, which no
// other memory of a request is.

import ApusBase

@safe
final class DirectBuffer: @unchecked Sendable {
  private let memory: UnsafeMutableRawBufferPointer

  init(byteCount: Int) {
    unsafe memory = .allocate(byteCount: byteCount, alignment: DirectReads.unitByteCount)
  }

  deinit { unsafe memory.deallocate() }

  var bytes: MutableByteView { unsafe MutableByteView(unchecked: memory) }
}

/// The buffers of a queue that wait for their next use: what the C library's aligned allocation frees is not found again by
/// the next one.
struct DirectBufferStack {
  private var free: [DirectBuffer] = []
  private static let byteCountMax = 64 << 10

  mutating func take(_ byteCount: Int) -> DirectBuffer {
    while let buffer = free.popLast() {
      // One of another size belongs to another file: it makes way.
      if buffer.bytes.count == byteCount { return buffer }
    }
    return DirectBuffer(byteCount: byteCount)
  }

  mutating func give(_ buffer: DirectBuffer) {
    if (free.count + 1) * buffer.bytes.count <= Self.byteCountMax { free.append(buffer) }
  }
}
