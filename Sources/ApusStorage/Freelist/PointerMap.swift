// The pointer map of a file with auto_vacuum: for each page, what it is and which page leads to it, so that a page can
// be moved. Source: https://sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages
//
//   A map page describes the pages behind it, usable size / 5 of them, five bytes each: kind, parent (big-endian).
//   The first one is page 2; where one would be the lock bytes' page, it is the page behind that.
//
// Entries that change are collected (`pointerEdits`) and written before the commit, or when there are many of them: then
// an operation acts without having loaded the map pages of all that it touches. A savepoint keeps those not yet written.

import ApusBase

enum PointerKind: UInt8 {
  /// Of a b-tree; parent 0.
  case root = 1
  /// On the freelist; parent 0.
  case free = 2
  /// The first page of an overflow chain; parent: the page with the cell.
  case overflowHead = 3
  /// A further page of a chain; parent: the page before it.
  case overflowNext = 4
  /// A page of a b-tree that is not its root; parent: the page above.
  case child = 5
}

struct PointerEntry: Equatable {
  var kind: PointerKind
  var parent: UInt32
}

/// `PRAGMA auto_vacuum`: what is done with pages that become free.
public enum AutoVacuum: Int, Sendable { case none = 0, full, incremental }

extension Pager {
  /// Edits kept before they are written to their pages.
  private static var pointerEditsMax: Int { 512 }

  /// The map page that describes page `number`, or page `number` itself where it is one.
  func mapPage(of number: UInt32) -> UInt32 { PointerMapLayout(self).mapPage(of: number) }

  func isMapPage(_ number: UInt32) -> Bool {
    number > 1 && number != lockBytePage && mapPage(of: number) == number
  }

  /// True for a page that never holds anything: the lock bytes', or one of the pointer map.
  func isReserved(_ number: UInt32) -> Bool {
    number == lockBytePage || usesPointerMap && isMapPage(number)
  }

  /// What page `number` of a file with auto_vacuum is, written or not.
  func pointerEntry(of number: UInt32) throws(Fault) -> PointerEntry {
    if let edit = pointerEdits[number] { return edit }
    let map = mapPage(of: number)
    // No entry describes page 1, a map page or the lock bytes' page, which may stand before the map page of its group.
    guard number > 1, map < number else { throw .corrupt(PageNumber(number), "a page without a pointer map entry is in use") }
    let bytes = try page(PageNumber(map)).bytes
    let offset = 5 * Int(number - map - 1)
    guard offset + 5 <= bytes.count, let kind = PointerKind(rawValue: bytes[offset]) else {
      throw .corrupt(PageNumber(map), "a pointer map entry is none", cell: Int(number))
    }
    return PointerEntry(kind: kind, parent: bytes.bigEndianUInt32(at: offset + 1))
  }

  /// Notes what a page has become. Only for files with auto_vacuum.
  func notePointer(_ number: UInt32, _ kind: PointerKind, parent: UInt32) {
    pointerEdits[number] = PointerEntry(kind: kind, parent: parent)
    if pointerEdits.count >= Pager.pointerEditsMax { endDirtyRoom() }
  }

  /// Notes what lies below a b-tree page that was just written: its children and its overflow chains.
  func notePointers(below page: Page) {
    do throws(Fault) {
      let tree = try BTreePage(page)
      let geometry = TreeGeometry(usableBytes: usableSize)
      let number = page.numberValue
      for index in 0..<tree.cellCount {
        if !tree.isLeaf { notePointer(try tree.child(index).rawValue, .child, parent: number) }
        if tree.kind == .tableInterior { continue }
        let cell = try tree.cell(index, geometry)
        if cell.overflows { notePointer(tree.overflowHead(cell).rawValue, .overflowHead, parent: number) }
      }
      if !tree.isLeaf { notePointer(try tree.child(tree.cellCount).rawValue, .child, parent: number) }
    } catch {
      // A page that this engine has written reads back.
      assertionFailure("\(error)")
    }
  }

  /// Where there are many edits, writes them, as an operation begins.
  func writeManyPointerEdits() throws(Fault) {
    if pointerEdits.count >= Pager.pointerEditsMax { try writePointerEdits() }
  }

  /// Writes the edits to their pages. What was written before a wait is done.
  func writePointerEdits() throws(Fault) {
    if pointerEdits.isEmpty { return }
    for number in pointerEdits.keys.sorted() {
      guard let edit = pointerEdits[number] else { continue }
      if number <= currentPageCount {
        let map = mapPage(of: number)
        guard number > 1, map != number, number != lockBytePage else {
          throw .corrupt(PageNumber(number), "a page that must stay empty is in use")
        }
        let page = try loadedPage(PageNumber(map))
        let offset = 5 * Int(number - map - 1)
        if page.bytes[offset] != edit.kind.rawValue || page.bytes.bigEndianUInt32(at: offset + 1) != edit.parent {
          let bytes = writable(page).mutableBytes
          bytes[offset] = edit.kind.rawValue
          bytes.setBigEndianUInt32(edit.parent, at: offset + 1)
        }
      }
      pointerEdits[number] = nil
    }
  }
}

/// Where the map pages of a file are.
struct PointerMapLayout {
  private let groupPages: UInt32
  private let lockBytePage: UInt32

  init(_ pager: Pager) {
    groupPages = UInt32(pager.usableSize / 5 + 1)
    lockBytePage = pager.lockBytePage
  }

  func mapPage(of number: UInt32) -> UInt32 {
    if number < 2 { return 0 }
    let map = (number - 2) / groupPages * groupPages + 2
    #if PlantedBugs
      if PlantedBug.isActive(.mapOnLockBytes) { return map }
    #endif
    return map == lockBytePage ? map + 1 : map
  }
}
