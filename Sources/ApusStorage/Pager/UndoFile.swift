// Undo images that found no room in memory: pages in a temporary file, in the order of their entries. Entries are a stack, so the
// file's end follows the youngest one that lies in it.

import ApusBase
import ApusIO

final class UndoFile {
  let file: any File
  /// Places that are taken, the last one of which may be free again when its entry goes.
  private var placeCount: UInt32 = 0
  /// Places up to here are not used again: writes that were given up may still arrive there.
  private var firstFree: UInt32 = 0
  /// Entries before this one have no image in memory.
  private var firstCandidate = 0
  /// Entries from this one on have no place.
  private var placedEnd = 0
  private var group: RequestGroup?
  private var written: [(position: Int, place: UInt32)] = []
  private var abandoned: [RequestGroup] = []

  /// Pages that are written at a time.
  private static let pagesPerWrite = 64

  init(_ file: any File) { self.file = file }

  func offset(of place: UInt32, _ pageSize: Int) -> Int64 { Int64(place - 1) * Int64(pageSize) }

  var isWriting: Bool { group != nil }

  /// - Returns: false where no entry has an image in memory.
  func startWrite(_ undo: [UndoEntry], _ pageSize: Int, _ queue: any IOQueue) -> Bool {
    precondition(group == nil)
    var views: [ByteView] = []
    let group = RequestGroup()
    let first = placeCount + 1
    while firstCandidate < undo.count, views.count < UndoFile.pagesPerWrite {
      if let image = undo[firstCandidate].image {
        group.hold(image)
        views.append(image.bytes)
        placeCount += 1
        written.append((firstCandidate, placeCount))
      }
      firstCandidate += 1
    }
    if views.isEmpty { return false }
    group.add(queue.write(file, at: offset(of: first, pageSize), from: views))
    self.group = group
    return true
  }

  func finishWrite(_ queue: any IOQueue) throws(Fault) {
    guard let group else { return }
    do {
      try group.finish(queue)
    } catch {
      // The images stay where they are.
      if case .failure = error { forgetWrites() }
      throw error
    }
    self.group = nil
  }

  /// What `finishWrite` has brought to the file.
  func takeWritten() -> [(position: Int, place: UInt32)] {
    defer { written = [] }
    if let last = written.last { placedEnd = max(placedEnd, last.position + 1) }
    return written
  }

  /// Waits for what is being written and forgets it.
  func settle(_ queue: any IOQueue) throws(Fault) {
    if let group, !group.isDone(queue) { try group.finish(queue) }
    forgetWrites()
  }

  /// Gives up what is being written: its entries keep their images, or go.
  func forgetWrites() {
    guard let group else { return }
    abandoned.append(group)
    self.group = nil
    #if PlantedBugs
      if !PlantedBug.isActive(.reuseAbandonedPlaces) { firstFree = placeCount }
    #else
      firstFree = placeCount
    #endif
    firstCandidate = written.first?.position ?? firstCandidate
    written = []
  }

  /// The stack of entries has become shorter, and entries from `first` on have moved.
  func cut(to undo: [UndoEntry], from first: Int = .max) {
    firstCandidate = min(firstCandidate, first, undo.count)
    placedEnd = min(placedEnd, undo.count)
    while placedEnd > 0, undo[placedEnd - 1].place == 0 { placedEnd -= 1 }
    placeCount = max(placedEnd > 0 ? undo[placedEnd - 1].place : 0, firstFree)
  }

  /// What is in flight when the file goes.
  func takeAbandoned() -> [RequestGroup] {
    defer { abandoned = [] }
    if let group { abandoned.append(group) }
    group = nil
    return abandoned
  }
}

/// Images on their way back into memory, for a step of a roll-back.
final class UndoLoad {
  /// Which entries these are.
  struct Step: Equatable {
    var serial: UInt64
    var first: Int
    var end: Int
  }

  let step: Step
  let group = RequestGroup()
  /// Those of the undo file, by the position of their entry.
  private var saved: [Int: PageImage] = [:]
  /// Those of the journal, by page.
  private var originals: [UInt32: PageImage] = [:]

  init(_ step: Step) { self.step = step }

  func read(
    _ file: any File, at offset: Int64, _ number: UInt32, _ pageSize: Int, _ queue: any IOQueue, key position: Int?
  ) {
    let image = PageImage.allocate(number, byteCount: pageSize)
    if let position { saved[position] = image } else { originals[number] = image }
    group.hold(image)
    group.add(queue.read(file, at: offset, into: image.mutableBytes))
  }

  func hasOriginal(_ number: UInt32) -> Bool { originals[number] != nil }
  func original(_ number: UInt32) -> PageImage? { originals[number] }

  /// The image of the entry at `position`, with its reference.
  func take(_ position: Int) -> PageImage? { saved.removeValue(forKey: position) }

  func release() {
    for image in saved.values { image.release() }
    for image in originals.values { image.release() }
    saved = [:]
    originals = [:]
  }
}
