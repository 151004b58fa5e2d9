// Where the shell's output goes: one buffer before standard output, a file (`.output`), or a file for one command (`.once`).
// `unsafe` lives here: write(2), open(2), and copying out of the engine's views.

import ApusBase
import Glibc

final class ShellOutput {
  private var bytes: [UInt8] = []
  private var descriptor: Int32 = 1
  private var isForOneCommand = false
  /// A terminal sees each result at once; a pipe sees it in pieces.
  private static let bufferByteCountMax = 64 * 1024

  init() { bytes.reserveCapacity(4096) }

  @inline(__always)
  func write(_ text: String) {
    bytes.append(contentsOf: text.utf8)
    if bytes.count >= ShellOutput.bufferByteCountMax { flush() }
  }

  @inline(__always)
  func write(_ text: [UInt8]) {
    bytes.append(contentsOf: text)
    if bytes.count >= ShellOutput.bufferByteCountMax { flush() }
  }

  @inline(__always)
  func write(_ view: ByteView) {
    unsafe bytes.append(contentsOf: view.unsafeBuffer)
    if bytes.count >= ShellOutput.bufferByteCountMax { flush() }
  }

  func write(byte: UInt8, count: Int = 1) {
    for _ in 0..<max(0, count) { bytes.append(byte) }
  }

  func flush() {
    ShellOutput.write(bytes, to: descriptor)
    bytes.removeAll(keepingCapacity: true)
  }

  /// Sends what follows to a file; nil for standard output.
  /// - Returns: false where the file cannot be opened.
  func redirect(to path: String?, forOneCommand: Bool) -> Bool {
    flush()
    if descriptor != 1 { close(descriptor) }
    descriptor = 1
    isForOneCommand = false
    guard let path, path != "stdout" else { return true }
    let opened = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard opened >= 0 else { return false }
    descriptor = opened
    isForOneCommand = forOneCommand
    return true
  }

  /// Ends what `.once` began.
  func commandDidEnd() {
    if isForOneCommand { _ = redirect(to: nil, forOneCommand: false) }
  }

  /// A line to standard error, after what was written before it.
  func error(_ text: String) {
    flush()
    ShellOutput.write(Array((text + "\n").utf8), to: 2)
  }

  private static func write(_ bytes: [UInt8], to descriptor: Int32) {
    var start = 0
    while start < bytes.count {
      let written = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + start }, buffer.count - start)
      }
      if written < 0, errno == EINTR { continue }
      if written <= 0 { return }
      start += written
    }
  }
}
