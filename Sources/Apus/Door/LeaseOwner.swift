// Who holds a connection: a task, or a thread outside of all tasks. `unsafe` lives here: a task is known by its
// address.

import ApusIO

/// Two that are equal are the same task, or the same thread, as long as either lives; a lease ends before its owner
/// does.
struct LeaseOwner: Equatable, Sendable {
  private let isTask: Bool
  private let key: Int

  private init(isTask: Bool, key: Int) {
    self.isTask = isTask
    self.key = key
  }

  static var current: LeaseOwner {
    if let task = unsafe withUnsafeCurrentTask(body: { task in unsafe task?.hashValue }) {
      return LeaseOwner(isTask: true, key: task)
    }
    return LeaseOwner(isTask: false, key: Int(bitPattern: EngineThread.current))
  }
}
