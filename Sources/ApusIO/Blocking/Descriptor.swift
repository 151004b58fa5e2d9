// A file descriptor with shared ownership: requests in flight keep it open, so that the kernel never works on a number
// that meanwhile belongs to another file.

final class Descriptor: Sendable {
  let number: Int32
  let path: String

  init(_ number: Int32, path: String) {
    self.number = number
    self.path = path
  }

  deinit { SystemCalls.close(number) }
}
