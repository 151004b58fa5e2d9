// A growing list of trivial items: what a program is written into. An array in a property of a class would cost a check for
// exclusive access, with its bookkeeping, at each instruction that is appended. `unsafe` lives here: the memory is raw, and
// every access to it is checked against the count.

@safe
final class TrivialList<Item: BitwiseCopyable> {
  private var base: UnsafeMutablePointer<Item>
  private var room: Int
  private(set) var count = 0

  init(capacity: Int) {
    room = max(capacity, 1)
    unsafe base = .allocate(capacity: room)
  }

  deinit { unsafe base.deallocate() }

  @inline(__always)
  subscript(index: Int) -> Item {
    get {
      precondition(index >= 0 && index < count)
      return unsafe base[index]
    }
    set {
      precondition(index >= 0 && index < count)
      unsafe base[index] = newValue
    }
  }

  @inline(__always)
  func append(_ item: Item) {
    if count == room { grow() }
    unsafe (base + count).initialize(to: item)
    count += 1
  }

  @inline(__always)
  func popLast() -> Item? {
    if count == 0 { return nil }
    count -= 1
    return unsafe base[count]
  }

  @inline(never)
  private func grow() {
    let grown = UnsafeMutablePointer<Item>.allocate(capacity: room * 2)
    unsafe grown.update(from: base, count: count)
    unsafe base.deallocate()
    unsafe base = grown
    room *= 2
  }

  /// The items' address, which stays as long as the list does and nothing is appended.
  @unsafe
  var start: UnsafePointer<Item> { unsafe UnsafePointer(base) }
}
