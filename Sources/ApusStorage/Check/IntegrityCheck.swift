// The structure of a database file: every page is in exactly one place, every b-tree page is sound.
//
// The walk goes through the freelist and the trees and marks each page in a bit map; at the end every page must be
// marked. It keeps one frame per level and looks at one page at a time, so its memory is bounded and a wait costs no work.
// The complaints are SQLite's, word for word. Source: https://sqlite.org/pragma.html#pragma_integrity_check

import ApusBase

/// One run of the structure part of PRAGMA integrity_check.
public final class IntegrityCheck {
  /// A page of a tree on the way from the root, its cells visited from the last to the first.
  private struct Frame {
    var page: PageNumber
    /// The cell to look at next; `cellCount` is the right-most child, -1 the end, nil a page not looked at yet.
    var cell: Int?
    var hasChildBehind = false
    var checksCoverage = true
    /// Row ids from here on to the left must be smaller.
    var keyLimit: Int64
    var keyMayEqual: Bool
    /// Depth of the children seen so far.
    var depth: Int?
    var childIsLast = false
  }

  /// A freelist or an overflow chain that is being followed.
  private struct ListWalk {
    var next: UInt32
    var left: Int64
    let expected: Int64
    let isFreelist: Bool
    let complaintsBefore: Int
    let prefix: String
  }

  private let pager: Pager
  private let roots: [PageNumber]
  private let complaintsMax: Int
  private var geometry: TreeGeometry
  private var seen = SeenPages(pageCount: 0)
  private var stage = Stage.begin
  private var nextRoot = 0
  private var root = PageNumber.none
  private var frames: [Frame] = []
  private var list: ListWalk?
  private var nextPage: UInt32 = 1
  /// The file has auto_vacuum; entries of its pointer map that are still to be compared.
  private var hasPointerMap = false
  private var mapChecks: [MapCheck] = []
  private var nextMapCheck = 0

  /// What the pointer map must say of a page.
  private struct MapCheck {
    let page: UInt32
    let kind: PointerKind
    let parent: UInt32
    let prefix: String
  }

  /// Pages that nothing but their checksum can be asked about.
  private var freeLeaves: [UInt32] = []

  private enum Stage { case begin, freelist, trees, checksums, unused, done }

  /// What was found so far, in SQLite's words.
  public private(set) var complaints: [String] = []
  private var complaintByteCount = 0

  /// Most complaints, however many are asked for, and their bytes: each page that a crafted file counts may be one.
  static let complaintsLimit = 1_000_000
  private static let complaintByteCountMax = 64 << 20

  /// - Parameters:
  ///   - roots: the root pages of all tables and indexes; that of the schema need not be among them.
  ///   - most: the check ends when it has this many complaints.
  public init(_ pager: Pager, roots: [PageNumber], most: Int = 100) {
    self.pager = pager
    self.roots = roots.contains(.one) ? roots : [.one] + roots
    complaintsMax = min(most, Self.complaintsLimit)
    geometry = TreeGeometry(usableBytes: pager.usableSize)
  }

  /// Runs the check to its end. After a wait, called again, it goes on where it was.
  public func run() throws(Fault) {
    while !isFull {
      pager.beginOperation()
      if nextMapCheck == mapChecks.count, nextMapCheck > 0 {
        mapChecks.removeAll(keepingCapacity: true)
        nextMapCheck = 0
      }
      if nextMapCheck < mapChecks.count {
        try compare(mapChecks[nextMapCheck])
        nextMapCheck += 1
      } else if list != nil {
        try followList()
      } else if !frames.isEmpty {
        try visitTop()
      } else {
        switch stage {
        case .begin: try begin()
        case .freelist: stage = .trees
        case .trees: startNextTree()
        case .checksums: try checkFreeLeaves()
        case .unused: reportUnused()
        case .done: return
        }
      }
    }
    stage = .done
  }

  // MARK: Stages

  private func begin() throws(Fault) {
    guard pager.pageCount > 0 else {
      stage = .done
      return
    }
    let header = try pager.page(.one).bytes
    seen = SeenPages(pageCount: pager.pageCount)
    if pager.lockBytePage <= pager.pageCount { _ = mark(pager.lockBytePage) }
    let largestRoot = header.bigEndianUInt32(at: DatabaseHeader.largestRootOffset)
    if largestRoot != 0 {
      hasPointerMap = true
      let found = roots.map(\.rawValue).max() ?? 0
      if found != largestRoot { complain("max rootpage (\(found)) disagrees with header (\(largestRoot))") }
    } else if header.bigEndianUInt32(at: DatabaseHeader.incrementalOffset) != 0 {
      complain("incremental_vacuum enabled with a max rootpage of zero")
    }
    let free = Int64(header.bigEndianUInt32(at: DatabaseHeader.freelistCountOffset))
    list = ListWalk(
      next: header.bigEndianUInt32(at: DatabaseHeader.freelistTrunkOffset), left: free, expected: free,
      isFreelist: true, complaintsBefore: 0, prefix: "Freelist: ")
    stage = .freelist
  }

  private func expect(_ page: UInt32, _ kind: PointerKind, _ parent: UInt32, _ prefix: String) {
    if hasPointerMap { mapChecks.append(MapCheck(page: page, kind: kind, parent: parent, prefix: prefix)) }
  }

  private func compare(_ check: MapCheck) throws(Fault) {
    // A reference that leads out of the file is complained about by itself.
    let map = pager.mapPage(of: check.page)
    guard check.page > 1, check.page <= pager.pageCount, map != check.page, map <= pager.pageCount else {
      return complain("\(check.prefix)Failed to read ptrmap key=\(check.page)")
    }
    let kind: UInt8
    let parent: UInt32
    if let edit = pager.pointerEdits[check.page] {
      // A transaction's changes are written to the map's pages late.
      kind = edit.kind.rawValue
      parent = edit.parent
    } else {
      let bytes = try pager.page(PageNumber(map)).bytes
      let offset = 5 * Int(check.page - map - 1)
      guard offset + 5 <= bytes.count, (1...5).contains(bytes[offset]) else {
        return complain("\(check.prefix)Failed to read ptrmap key=\(check.page)")
      }
      kind = bytes[offset]
      parent = bytes.bigEndianUInt32(at: offset + 1)
    }
    if kind != check.kind.rawValue || parent != check.parent {
      complain(
        "\(check.prefix)Bad ptr map entry key=\(check.page) expected=(\(check.kind.rawValue),\(check.parent)) "
          + "got=(\(kind),\(parent))")
    }
  }

  private func startNextTree() {
    guard nextRoot < roots.count else {
      stage = .checksums
      return
    }
    root = roots[nextRoot]
    nextRoot += 1
    if root.isNone { return }
    if root.rawValue > 1 { expect(root.rawValue, .root, 0, "") }
    push(root, keyLimit: Int64.max, prefix: "")
  }

  private func checkFreeLeaves() throws(Fault) {
    while let number = freeLeaves.last {
      pager.beginOperation()
      _ = try readable(PageNumber(number), "Freelist: ")
      freeLeaves.removeLast()
    }
    stage = .unused
  }

  /// The page; nil where its checksum is wrong, which is complained about.
  private func readable(_ number: PageNumber, _ prefix: String) throws(Fault) -> Page? {
    do { return try pager.page(number) } catch {
      guard case .failure(let failure) = error, failure.code == .ioErrorData else { throw error }
      complain("\(prefix)page \(number.rawValue): wrong checksum")
      return nil
    }
  }

  private func reportUnused() {
    while nextPage <= pager.pageCount, !isFull {
      let isSeen = seen.contains(nextPage)
      let isMap = hasPointerMap && pager.isMapPage(nextPage)
      if !isSeen, !isMap { complain("Page \(nextPage): never used") }
      if isSeen, isMap { complain("Page \(nextPage): pointer map referenced") }
      if nextPage == pager.pageCount { break }
      nextPage += 1
    }
    stage = .done
  }

  // MARK: References

  private func complain(_ text: String) {
    if isFull { return }
    complaints.append(text)
    complaintByteCount += text.utf8.count
  }

  private var isFull: Bool { complaints.count >= complaintsMax || complaintByteCount >= Self.complaintByteCountMax }

  /// - Returns: false where the page was marked before.
  private func mark(_ number: UInt32) -> Bool {
    number <= pager.pageCount && seen.insert(number)
  }

  /// Marks a page that something refers to, and complains where it cannot be.
  private func refer(_ number: UInt32, _ prefix: String) -> Bool {
    if number == 0 || number > pager.pageCount {
      complain("\(prefix)invalid page number \(number)")
      return false
    }
    if !mark(number) {
      complain("\(prefix)2nd reference to page \(number)")
      return false
    }
    return true
  }

  private func push(_ number: PageNumber, keyLimit: Int64, prefix: String) {
    guard refer(number.rawValue, prefix) else {
      if !frames.isEmpty { childIsDone(depth: 0, keyLimit: keyLimit, prefix: prefix) }
      return
    }
    // A divider may equal the largest row id to its left.
    frames.append(Frame(page: number, cell: nil, keyLimit: keyLimit, keyMayEqual: true))
  }

  // MARK: Lists

  private func followList() throws(Fault) {
    guard var walk = list else { return }
    if walk.next == 0 || !isFollowable(walk) {
      if walk.left != 0, complaints.count == walk.complaintsBefore {
        complain(
          "\(walk.prefix)\(walk.isFreelist ? "size" : "overflow list length") is \(walk.expected - walk.left) but should be "
            + "\(walk.expected)")
      }
      list = nil
      return
    }
    guard let bytes = try readable(PageNumber(walk.next), walk.prefix)?.bytes else {
      list = nil
      _ = mark(walk.next)
      return
    }
    guard refer(walk.next, walk.prefix) else {
      list = nil
      return
    }
    walk.left -= 1
    if walk.isFreelist {
      expect(walk.next, .free, 0, walk.prefix)
      let leaves = bytes.bigEndianUInt32(at: 4)
      if leaves > UInt32(pager.usableSize / 4 - 2) {
        complain("\(walk.prefix)freelist leaf count too big on page \(walk.next)")
        walk.left -= 1
      } else {
        for leaf in 0..<Int(leaves) {
          let number = bytes.bigEndianUInt32(at: 8 + 4 * leaf)
          expect(number, .free, 0, walk.prefix)
          if refer(number, walk.prefix), pager.hasChecksums { freeLeaves.append(number) }
        }
        walk.left -= Int64(leaves)
      }
    }
    let next = bytes.bigEndianUInt32(at: 0)
    if !walk.isFreelist, walk.left > 0 { expect(next, .overflowNext, walk.next, walk.prefix) }
    walk.next = next
    list = walk
  }

  /// False where the next page lies outside the file, or was seen before: that is complained about, and the walk ends.
  private func isFollowable(_ walk: ListWalk) -> Bool {
    if walk.next <= pager.pageCount, !seen.contains(walk.next) { return true }
    _ = refer(walk.next, walk.prefix)
    return false
  }

  // MARK: Trees

  /// Looks at the top frame's page up to the next child or chain, or to its end.
  private func visitTop() throws(Fault) {
    let top = frames.count - 1
    var frame = frames[top]
    let place = "Tree \(root.rawValue) page \(frame.page.rawValue)"
    guard let image = try readable(frame.page, "\(place): ") else {
      finish(depth: 0)
      return
    }
    guard frames.count <= TreeGeometry.depthMax, let page = parsed(image) else {
      complain("\(place): btreeInitPage() returns error code 11")
      finish(depth: 0)
      return
    }
    var position: Int
    if let cell = frame.cell {
      position = cell
    } else {
      if !hasSoundFreeSpace(page) {
        complain("\(place): free space corruption")
        frame.checksCoverage = false
        frames[top] = frame
        finish(depth: 0)
        return
      }
      position = page.isLeaf ? page.cellCount - 1 : page.cellCount
    }
    if position == page.cellCount, !page.isLeaf {
      frame.cell = position - 1
      frame.childIsLast = true
      frames[top] = frame
      let child = page.bytes.bigEndianUInt32(at: page.headerStart + 8)
      expect(child, .child, frame.page.rawValue, "\(place) right child: ")
      push(PageNumber(child), keyLimit: frame.keyLimit, prefix: "\(place) right child: ")
      return
    }
    while position >= 0 {
      let step = visit(page, position, &frame, "\(place) cell \(position): ")
      if case .chain(let walk) = step {
        expect(walk.next, .overflowHead, frame.page.rawValue, walk.prefix)
        list = walk
        // An interior page of an index has the cell's left child still to come.
        if !page.isLeaf {
          frame.cell = position
          frame.hasChildBehind = true
        } else {
          frame.cell = position - 1
        }
        frames[top] = frame
        return
      }
      if case .child(let number) = step {
        frame.cell = position - 1
        frame.hasChildBehind = false
        frame.childIsLast = false
        frames[top] = frame
        expect(number.rawValue, .child, frame.page.rawValue, "\(place) cell \(position): ")
        push(number, keyLimit: frame.keyLimit, prefix: "\(place) cell \(position): ")
        return
      }
      position -= 1
    }
    frames[top] = frame
    if frame.checksCoverage { checkCoverage(page) }
    finish(depth: (frame.depth ?? 0) + 1)
  }

  private func parsed(_ image: Page) -> BTreePage? {
    do { return try BTreePage(image) } catch { return nil }
  }

  private func hasSoundFreeSpace(_ page: BTreePage) -> Bool {
    do {
      _ = try page.freeSpace()
      return true
    } catch { return false }
  }

  private enum Step {
    case next
    case chain(ListWalk)
    case child(PageNumber)
  }

  private func visit(_ page: BTreePage, _ index: Int, _ frame: inout Frame, _ prefix: @autoclosure () -> String) -> Step {
    let offset = page.bytes.bigEndianUInt16(at: page.pointersStart + 2 * index)
    let last = pager.usableSize - TreeGeometry.cellBytesMin
    guard offset >= page.contentStart, offset <= last else {
      complain("\(prefix())Offset \(offset) out of range \(page.contentStart)..\(last)")
      frame.checksCoverage = false
      return .next
    }
    guard let length = length(page, index), offset + max(length, TreeGeometry.cellBytesMin) <= pager.usableSize else {
      complain("\(prefix())Extends off end of page")
      frame.checksCoverage = false
      return .next
    }
    if !frame.hasChildBehind {
      if page.kind.isTable, let rowid = rowid(page, index) {
        if frame.keyMayEqual ? rowid > frame.keyLimit : rowid >= frame.keyLimit {
          complain("\(prefix())Rowid \(rowid) out of order")
        }
        frame.keyLimit = rowid
        frame.keyMayEqual = false
      }
      if page.kind != .tableInterior, let cell = cell(page, index), cell.overflows {
        let pages = Int64((cell.payloadBytes - cell.localBytes + geometry.overflowBytes - 1) / geometry.overflowBytes)
        return .chain(
          ListWalk(
            next: page.overflowHead(cell).rawValue, left: pages, expected: pages, isFreelist: false,
            complaintsBefore: complaints.count, prefix: prefix()))
      }
    }
    return page.isLeaf ? .next : .child(PageNumber(page.bytes.bigEndianUInt32(at: offset)))
  }

  private func length(_ page: BTreePage, _ index: Int) -> Int? {
    do { return try page.cellLength(index, geometry) } catch { return nil }
  }

  private func rowid(_ page: BTreePage, _ index: Int) -> Int64? {
    do { return try page.rowid(index) } catch { return nil }
  }

  private func cell(_ page: BTreePage, _ index: Int) -> TreeCell? {
    do { return try page.cell(index, geometry) } catch { return nil }
  }

  /// The top frame's page is done: its parent goes on.
  private func finish(depth: Int) {
    let frame = frames.removeLast()
    if let parent = frames.last {
      let cell = (parent.cell ?? -1) + 1
      childIsDone(
        depth: depth, keyLimit: frame.keyLimit,
        prefix: "Tree \(root.rawValue) page \(parent.page.rawValue) cell \(cell): ")
    }
  }

  private func childIsDone(depth: Int, keyLimit: Int64, prefix: @autoclosure () -> String) {
    let top = frames.count - 1
    if let known = frames[top].depth, known != depth, !frames[top].childIsLast {
      complain("\(prefix())Child page depth differs")
    }
    frames[top].depth = depth
    frames[top].keyLimit = keyLimit
    frames[top].keyMayEqual = false
  }

  /// Cells and freeblocks must not overlap, and what they leave over is the page's count of fragments.
  private func checkCoverage(_ page: BTreePage) {
    var uses: [(start: Int, end: Int)] = []
    for index in 0..<page.cellCount {
      guard let length = length(page, index) else { return }
      let offset = page.bytes.bigEndianUInt16(at: page.pointersStart + 2 * index)
      uses.append((offset, offset + max(length, TreeGeometry.cellBytesMin)))
    }
    var block = page.bytes.bigEndianUInt16(at: page.headerStart + 1)
    while block != 0 {
      uses.append((block, block + page.bytes.bigEndianUInt16(at: block + 2)))
      block = page.bytes.bigEndianUInt16(at: block)
    }
    uses.sort { $0.start < $1.start }
    var end = page.contentStart
    var fragments = 0
    for use in uses {
      if use.start < end {
        complain("Multiple uses for byte \(use.start) of page \(page.number.rawValue)")
        return
      }
      fragments += use.start - end
      end = use.end
    }
    fragments += pager.usableSize - end
    let reported = Int(page.bytes[page.headerStart + 7])
    if fragments != reported {
      complain("Fragmentation of \(fragments) bytes reported as \(reported) on page \(page.number.rawValue)")
    }
  }
}

/// One bit a page, in pieces that come with their first bit: a damaged database may count billions of pages.
private struct SeenPages {
  private static let pieceWordCount = 4096
  private static let piecePageCount = UInt32(pieceWordCount * 64)

  private var pieces: [[UInt64]]

  init(pageCount: UInt32) { pieces = Array(repeating: [], count: Int(pageCount / Self.piecePageCount) + 1) }

  func contains(_ number: UInt32) -> Bool {
    let piece = Int(number / Self.piecePageCount), place = Int(number % Self.piecePageCount)
    return !pieces[piece].isEmpty && pieces[piece][place / 64] & (1 << UInt64(place % 64)) != 0
  }

  /// - Returns: false where it was there.
  mutating func insert(_ number: UInt32) -> Bool {
    if contains(number) { return false }
    let piece = Int(number / Self.piecePageCount), place = Int(number % Self.piecePageCount)
    if pieces[piece].isEmpty { pieces[piece] = Array(repeating: 0, count: Self.pieceWordCount) }
    pieces[piece][place / 64] |= 1 << UInt64(place % 64)
    return true
  }
}
