// A file descriptor with shared ownership: requests in flight keep it open, so that the kernel never works on a number
// that meanwhile belongs to another file.

final class Descriptor: Sendable {
  let number: Int32
  let path: String
  private let forkCount = ProcessForks.count

  init(_ number: Int32, path: String) {
    self.number = number
    self.path = path
    ProcessForks.note(number)
  }

  /// It is the parent's: in this process the number is closed, or stands for something else.
  var isInherited: Bool { ProcessForks.count != forkCount }

  deinit {
    if isInherited { return }
    ProcessForks.forget(number)
    SystemCalls.close(number)
  }
}
