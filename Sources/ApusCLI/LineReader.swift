// Lines of standard input or of a file, as bytes.
// `unsafe` lives here: read(2) and open(2).

import Glibc

final class LineReader {
  private let descriptor: Int32
  private let ownsDescriptor: Bool
  private var buffer: [UInt8] = []
  private var position = 0
  private var isAtEnd = false
  /// The number of the line that was read last.
  private(set) var lineNumber = 0

  static func standardInput() -> LineReader { LineReader(descriptor: 0, ownsDescriptor: false) }

  /// nil where the file cannot be read.
  convenience init?(path: String) {
    let opened = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else { return nil }
    self.init(descriptor: opened, ownsDescriptor: true)
  }

  private init(descriptor: Int32, ownsDescriptor: Bool) {
    self.descriptor = descriptor
    self.ownsDescriptor = ownsDescriptor
  }

  deinit { if ownsDescriptor { close(descriptor) } }

  /// The next line without its end; nil after the last.
  func next() -> [UInt8]? {
    var line: [UInt8] = []
    while true {
      if let end = buffer[position...].firstIndex(of: UInt8(ascii: "\n")) {
        line += buffer[position..<end]
        position = end + 1
        break
      }
      line += buffer[position...]
      buffer.removeAll(keepingCapacity: true)
      position = 0
      if isAtEnd {
        if line.isEmpty { return nil }
        break
      }
      fill()
    }
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    lineNumber += 1
    return line
  }

  private func fill() {
    var chunk = [UInt8](repeating: 0, count: 16384)
    let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { return }
    if count <= 0 {
      isAtEnd = true
      return
    }
    buffer = Array(chunk[0..<count])
  }
}
