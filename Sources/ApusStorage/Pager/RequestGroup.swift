// Requests in flight that belong together: a journal's segment, a commit's frames, a batch of a checkpoint.
//
// The group owns what the requests read and write, so it may outlive the statement that submitted them: whoever
// abandons one hands it to the pager's `abandoned` list, where it stays until the queue has given everything back.
// `unsafe` lives here.

import ApusBase
import ApusIO

@safe
final class RequestGroup {
  // Most groups are one request with one image: those stand here, and take no array.
  private var first: Ticket?
  private var others: [Ticket] = []
  private var taken = 0
  /// The first failure of those that are done.
  private(set) var failure: EngineError?
  private var firstImage: PageImage?
  private var otherImages: [PageImage] = []
  private var memory: [UnsafeMutableRawBufferPointer] = unsafe []
  /// What the request that was added first has transferred.
  private(set) var firstResult: Int?
  private var otherResults: [Int] = []

  #if PlantedBugs
    private var hasWaited = false
  #endif

  init() {}

  deinit {
    // Memory that a request may still read or write must not be used again: rather lose it (a queue that died).
    if taken < count { return }
    firstImage?.release()
    for image in otherImages { image.release() }
    for index in unsafe memory.indices {
      #if PlantedBugs
        unsafe memory[index].initializeMemory(as: UInt8.self, repeating: PageImage.poison)
      #endif
      unsafe memory[index].deallocate()
    }
  }

  private var count: Int { first == nil ? 0 : 1 + others.count }

  func add(_ ticket: Ticket) { if first == nil { first = ticket } else { others.append(ticket) } }

  /// Each request that is done has transferred so many bytes.
  func hasTransferredOnly(_ byteCount: Int) -> Bool {
    (firstResult ?? byteCount) == byteCount && otherResults.allSatisfy { $0 == byteCount }
  }

  /// Memory that lives as long as the group.
  func allocate(_ byteCount: Int) -> MutableByteView {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: max(byteCount, 1), alignment: 16)
    unsafe memory.append(block)
    return unsafe MutableByteView(unchecked: block).slice(0, byteCount)
  }

  /// Keeps an image's bytes until the group ends.
  func hold(_ image: PageImage) {
    image.retain()
    if firstImage == nil { firstImage = image } else { otherImages.append(image) }
  }

  /// Throws `.wait` until every request is done, then the first failure, if there was one.
  func finish(_ queue: any IOQueue) throws(Fault) {
    while let ticket = taken == 0 ? first : taken <= others.count ? others[taken - 1] : nil {
      // Whoever waits submits: a request that is alone is then done by that very thread, which costs less than the ring.
      guard let result = queue.take(ticket) else {
        #if PlantedBugs
          hasWaited = true
        #endif
        throw .wait(.completion(ticket))
      }
      #if PlantedBugs
        // A completion that is there before anybody waits for it is dropped.
        if PlantedBug.isActive(.loseEarlyCompletion), !hasWaited, count > 1 {
          throw .wait(.completion(ticket))
        }
      #endif
      taken += 1
      let byteCount: Int
      switch result {
      case .done(let count): byteCount = count
      case .failed(let error):
        byteCount = 0
        if failure == nil { failure = error }
      }
      if taken == 1 { firstResult = byteCount } else { otherResults.append(byteCount) }
    }
    if let failure { throw .failure(failure) }
  }

  /// True when nothing is in flight any more.
  func isDone(_ queue: any IOQueue) -> Bool {
    do {
      try finish(queue)
      return true
    } catch {
      switch error {
      case .wait: return false
      case .failure: return true
      }
    }
  }
}

/// Runs a restartable operation to its end and blocks at its waits: the synchronous driver, for tests and for closing.
public func blocking<Result>(
  _ queue: any IOQueue, _ environment: any Environment, _ operation: () throws(Fault) -> Result
) throws(EngineError) -> Result {
  while true {
    do {
      return try operation()
    } catch {
      switch error {
      case .failure(let failure): throw failure
      case .wait(.completion): queue.waitForCompletion()
      case .wait(.moment(let moment)), .wait(.signal(let moment)):
        environment.sleep(untilMonotonic: moment, or: queue.alarm)
      case .wait(.nothing): break
      }
    }
  }
}
