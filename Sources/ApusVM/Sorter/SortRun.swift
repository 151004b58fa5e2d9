// Sorted runs on a temporary file, written and read in chunks.
//
//   offset  size  record of a run
//        0     4  byte count, little-endian
//        4     n  the record
//
// A reader keeps the chunk that it reads from, and the next one comes into a second buffer, so a record that was given
// out stays where it is until the reader has moved on.

import ApusBase
import ApusIO

struct SortRun {
  var start: Int64
  var byteCount: Int64
  /// Bytes that the texts (or blobs) of the first column all begin with.
  var shared: SortSharedBytes
}

/// Appends records to a file through a buffer. A full buffer is written before more is taken.
struct SortRunWriter: ~Copyable {
  static let chunkBytes = 256 << 10

  private let file: any File
  private let queue: any IOQueue
  private let start: Int64
  private var offset: Int64
  private var buffer = ByteBuffer(capacity: SortRunWriter.chunkBytes + 4096)
  private var ticket: Ticket?

  init(file: any File, queue: any IOQueue, at start: Int64) {
    self.file = file
    self.queue = queue
    self.start = start
    offset = start
  }

  deinit { drain(queue, ticket) }

  mutating func append(_ record: ByteView) throws(Fault) {
    if buffer.count >= SortRunWriter.chunkBytes { try flush() }
    let end = buffer.count
    buffer.resize(to: end &+ 4 &+ record.count)
    let target = buffer.mutableBytes
    target.setLittleEndianUInt32(UInt32(truncatingIfNeeded: record.count), at: end)
    target.copy(record, to: end &+ 4)
  }

  private mutating func flush() throws(Fault) {
    if buffer.count == 0 { return }
    let current: Ticket
    if let ticket {
      current = ticket
    } else {
      current = queue.write(file, at: offset, from: [buffer.bytes])
      ticket = current
      queue.submit()
    }
    guard let result = queue.take(current) else { throw .wait(.completion(current)) }
    ticket = nil
    switch result {
    case .failed(let error): throw .failure(error)
    case .done: offset += Int64(buffer.count)
    }
    buffer.removeAll()
  }

  /// Writes what is left; the run then lies in the file.
  mutating func finish(_ shared: SortSharedBytes) throws(Fault) -> SortRun {
    try flush()
    return SortRun(start: start, byteCount: offset - start, shared: shared)
  }
}

/// Reads a run from its front.
struct SortRunReader: ~Copyable {
  private let file: any File
  private let queue: any IOQueue
  private var nextOffset: Int64
  private let end: Int64
  private let chunkBytes: Int
  private var buffer = ByteBuffer()
  private var incoming = ByteBuffer()
  private var ticket: Ticket?
  private var kept = 0
  /// Where the record after the current one starts in `buffer`.
  private var position = 0

  private var recordStart = 0
  private var recordBytes = 0
  private(set) var isAtEnd = false

  init(_ run: SortRun, file: any File, queue: any IOQueue, chunkBytes: Int) {
    self.file = file
    self.queue = queue
    self.chunkBytes = chunkBytes
    nextOffset = run.start
    end = run.start + run.byteCount
  }

  deinit { drain(queue, ticket) }

  var record: ByteView { buffer.bytes.slice(recordStart, recordBytes) }

  /// Moves to the next record. After a wait it is called again.
  mutating func advance() throws(Fault) {
    while true {
      let available = buffer.count &- position
      if available >= 4 {
        let length = Int(buffer.bytes.littleEndianUInt32(at: position))
        if available >= 4 &+ length {
          recordStart = position &+ 4
          recordBytes = length
          position &+= 4 &+ length
          return
        }
        try fill(atLeast: 4 + length)
      } else {
        if nextOffset >= end, available == 0, ticket == nil {
          isAtEnd = true
          return
        }
        try fill(atLeast: 4)
      }
    }
  }

  /// Brings the rest of the buffer and a further chunk into a new buffer.
  private mutating func fill(atLeast wanted: Int) throws(Fault) {
    let current: Ticket
    if let ticket {
      current = ticket
    } else {
      kept = buffer.count - position
      let length = Int(min(end - nextOffset, Int64(max(chunkBytes, wanted - kept))))
      guard length > 0 else { throw .error(.corrupt, cause: "a sorted run ends early") }
      incoming.resize(to: kept + length)
      incoming.mutableBytes.copy(buffer.bytes.suffix(from: position), to: 0)
      current = queue.read(file, at: nextOffset, into: incoming.mutableBytes.slice(kept, length))
      ticket = current
      queue.submit()
    }
    guard let result = queue.take(current) else { throw .wait(.completion(current)) }
    ticket = nil
    switch result {
    case .failed(let error): throw .failure(error)
    case .done(let count):
      guard count == incoming.count - kept else { throw .error(.ioErrorShortRead) }
      nextOffset += Int64(count)
    }
    swap(&buffer, &incoming)
    position = 0
  }
}

/// A request in flight holds its buffer: it is over before the buffer goes.
func drain(_ queue: any IOQueue, _ ticket: Ticket?) {
  guard let ticket else { return }
  queue.submit()
  while queue.take(ticket) == nil { queue.waitForCompletion() }
}
