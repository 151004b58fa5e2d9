// Loading: from the process's cache, the log or the file into the connection's table. `unsafe` lives here.

import ApusBase
import ApusIO

/// Where a page's current image lies.
private struct PagePlace {
  var version: UInt64
  var frame: UInt32
  var isPrivate: Bool
}

extension Pager {
  /// Brings a page that the table does not have; it exists.
  func loadPage(_ number: PageNumber) throws(Fault) -> Page {
    guard let store else {
      // In memory everything that was ever written is in the table.
      let image = PageImage.allocate(number.rawValue, byteCount: pageSize)
      image.mutableBytes.fill(0, pageSize)
      return unsafe Page(table.pointee.insertClean(image), byteCount: usableSize, isWritable: false)
    }
    try store.checkPoison()
    let place = try place(of: number.rawValue, store)
    let cache = sharedCache(place, store)
    if let cache, let image = cache.find(number.rawValue, place.version) {
      return unsafe Page(table.pointee.insertClean(image), byteCount: usableSize, isWritable: false)
    }
    if !store.hasReads, !isDirect(place, store), let image = imageAtOnce(number.rawValue, place, store) {
      do { try verify(image, store) } catch {
        unsafe table.pointee.recycle(image)
        throw error
      }
      if place.isPrivate {
        return unsafe Page(table.pointee.insertSpilled(image), byteCount: usableSize, isWritable: false)
      }
      unsafe image.header.pointee.version = place.version
      if let cache { cache.insert(image, version: place.version) }
      return unsafe Page(table.pointee.insertClean(image), byteCount: usableSize, isWritable: false)
    }
    var position = store.reads.count - 1
    while position >= 0, !store.reads[position].matches(number.rawValue, place) { position -= 1 }
    if position < 0 {
      submitRead(number.rawValue, place, store)
      position = store.reads.count - 1
    }
    let read = store.reads[position]
    do {
      try read.group.finish(store.queue)
    } catch {
      if case .failure = error { dropRead(position, store) } else { unsafe table.pointee.noteWait() }
      #if PlantedBugs
        noteWaitForPage()
      #endif
      throw error
    }
    store.reads.remove(at: position)
    let byteCount = read.group.firstResult ?? 0
    if byteCount < pageSize {
      if read.frame != 0 {
        read.image.release()
        throw .error(.ioErrorShortRead, object: "\(number)", cause: "its frame is behind the log's end")
      }
      // Behind the end of the file a page is zeros.
      read.image.mutableBytes.fill(byteCount, pageSize - byteCount)
    }
    do { try verify(read.image, store) } catch {
      read.image.release()
      throw error
    }
    if read.isPrivate {
      return unsafe Page(table.pointee.insertSpilled(read.image), byteCount: usableSize, isWritable: false)
    }
    unsafe read.image.header.pointee.version = place.version
    cache?.insert(read.image, version: place.version)
    return unsafe Page(table.pointee.insertClean(read.image), byteCount: usableSize, isWritable: false)
  }

  /// Past the system's cache: what lies in the file and is no transaction's own. See SPEC.md, chapter 2, direct reads.
  @inline(__always)
  private func isDirect(_ place: PagePlace, _ store: FileStore) -> Bool {
    configuration.readsDirectly && place.frame == 0 && !place.isPrivate && hasDirectPages
      && store.file.directReadRefusal() == nil
  }

  /// A connection that is alone with its file has no use for the file's cache.
  @inline(__always)
  private func sharedCache(_ place: PagePlace, _ store: FileStore) -> FileCache? {
    #if PlantedBugs
      if environment.fires(.skipSharedCache) { return nil }
    #endif
    if place.isPrivate || place.version == 0 || !store.verifiesChecksums || store.cache?.isShared != true { return nil }
    return store.cache
  }

  /// A hint: these pages will be asked for soon. Their reads are submitted together.
  public func pages(prefetch numbers: [PageNumber]) {
    guard let store, state != .none, store.poison == nil else { return }
    var submitted = false
    for number in numbers where number.rawValue > 0 && number.rawValue <= currentPageCount {
      if unsafe table.pointee.findLoaded(number.rawValue) != nil { continue }
      guard store.reads.count < 64, let place = try? place(of: number.rawValue, store) else { break }
      if place.isPrivate || store.reads.contains(where: { $0.matches(number.rawValue, place) }) { continue }
      if place.version != 0, let image = store.cache?.find(number.rawValue, place.version) {
        image.release()
        continue
      }
      submitRead(number.rawValue, place, store)
      submitted = true
    }
    if submitted { store.queue.submit() }
  }

  /// The page, where the kernel has all of it in memory: most reads, and no request.
  private func imageAtOnce(_ number: UInt32, _ place: PagePlace, _ store: FileStore) -> PageImage? {
    let image = unsafe table.pointee.makeImage(number)
    let byteCount: Int?
    if place.frame != 0, let wal = store.wal {
      let offset = WALFormat.frameOffset(place.frame, pageSize: pageSize) + Int64(WALFormat.frameHeaderByteCount)
      byteCount = store.queue.readAtOnce(wal.file, at: offset, into: image.mutableBytes)
    } else {
      byteCount = store.queue.readAtOnce(
        store.file, at: Int64(number - 1) * Int64(pageSize), into: image.mutableBytes)
    }
    if byteCount == pageSize { return image }
    unsafe table.pointee.recycle(image)
    return nil
  }

  /// A hint by a scan: of the pages that begin with `first` and follow each other in the file, those that the kernel
  /// has in memory come in by one call. They do not go to the file cache: a scan would only drive out what others use.
  func readAhead(_ first: UInt32, count: Int) {
    #if PlantedBugs
      if environment.fires(.skipReadAhead) { return }
    #endif
    // More than the table keeps would be gone before the scan comes to it.
    let count = min(count, cleanLimit / 2)
    guard let store, state != .none, store.poison == nil, store.reads.isEmpty, faultInjection == nil, count > 1
    else { return }
    let isBound = first > 0 && UInt64(first) + UInt64(count) <= UInt64(currentPageCount) + 1
    guard isBound, let place = try? place(of: first, store), !place.isPrivate, place.frame == 0 else { return }
    if place.version != 0, let cache = store.cache, cache.isShared, let image = cache.find(first, place.version) {
      image.release()
      return
    }
    var images: [PageImage] = []
    images.reserveCapacity(count)
    for number in first..<first + UInt32(count) {
      if unsafe table.pointee.findLoaded(number) != nil { break }
      if number != first {
        #if PlantedBugs
          let ignoresLog = PlantedBug.isActive(.readAheadOverLog)
        #else
          let ignoresLog = false
        #endif
        guard let next = try? self.place(of: number, store), !next.isPrivate && next.frame == 0 || ignoresLog
        else { break }
      }
      images.append(unsafe table.pointee.makeImage(number))
    }
    let (views, offset) = (images.map { $0.mutableBytes }, Int64(first - 1) * Int64(pageSize))
    let byteCount =
      (isDirect(place, store)
        ? store.queue.readDirectlyAtOnce(store.file, at: offset, into: views)
        : store.queue.readAtOnce(store.file, at: offset, into: views)) ?? 0
    for (index, image) in images.enumerated() {
      if (index + 1) * pageSize > byteCount || !isSound(image, store) {
        unsafe table.pointee.recycle(image)
        continue
      }
      unsafe image.header.pointee.version = place.version
      unsafe table.pointee.insertClean(image).pointee.wasVisited = true
    }
  }

  /// What a scan did not ask for is not reported: the page is read again when it is asked for.
  private func isSound(_ image: PageImage, _ store: FileStore) -> Bool {
    #if PlantedBugs
      if PlantedBug.isActive(.readAheadUnverified) { return true }
    #endif
    do { try verify(image, store) } catch { return false }
    return true
  }

  private func submitRead(_ number: UInt32, _ place: PagePlace, _ store: FileStore) {
    let image = unsafe table.pointee.makeImage(number)
    let group = RequestGroup()
    group.hold(image)
    if place.frame != 0, let wal = store.wal {
      let offset = WALFormat.frameOffset(place.frame, pageSize: pageSize) + Int64(WALFormat.frameHeaderByteCount)
      group.add(store.queue.read(wal.file, at: offset, into: image.mutableBytes))
    } else {
      let offset = Int64(number - 1) * Int64(pageSize)
      group.add(
        isDirect(place, store)
          ? store.queue.readDirectly(store.file, at: offset, into: image.mutableBytes)
          : store.queue.read(store.file, at: offset, into: image.mutableBytes))
    }
    store.reads.append(
      PendingRead(
        number: number, version: place.version, isPrivate: place.isPrivate, frame: place.frame, image: image,
        group: group))
  }

  private func dropRead(_ position: Int, _ store: FileStore) {
    let read = store.reads.remove(at: position)
    store.abandon(read.group)
    read.image.release()
  }

  /// The snapshot ends, or frames of the transaction are forgotten: what is still on its way is of no use, or wrong.
  func dropReads(_ store: FileStore) {
    while !store.reads.isEmpty { dropRead(store.reads.count - 1, store) }
  }

  private func place(of number: UInt32, _ store: FileStore) throws(Fault) -> PagePlace {
    guard let wal = store.wal else {
      let isPrivate = store.hasSpilled && store.spilledPages.contains(number)
      return PagePlace(version: UInt64(store.generation) << 32, frame: 0, isPrivate: isPrivate)
    }
    let frame = try wal.frame(of: number)
    if wal.holdsWriteLock && frame > wal.header.frameCount {
      return PagePlace(version: 0, frame: frame, isPrivate: true)
    }
    let version = UInt64(store.generation) << 32 | UInt64(frame)
    if wal.readMark == 0 {
      // Everything is in the file. The log may have started again under this reader, and then the index tells of
      // another log; the image is right all the same, but nobody may share it under that name.
      let isSameLog = try wal.index.readHeader()?.salts == wal.header.salts
      return PagePlace(version: isSameLog ? version : 0, frame: 0, isPrivate: false)
    }
    // Of a commit of this process that may yet fail: its frame would be written again with something else.
    #if PlantedBugs
      let shares = PlantedBug.isActive(.pendingImagesShared)
    #else
      let shares = false
    #endif
    if frame > wal.sharedFrameCount, !shares { return PagePlace(version: 0, frame: frame, isPrivate: false) }
    return PagePlace(version: version, frame: frame, isPrivate: false)
  }

  /// The version that a page of the snapshot has now; 0 where that cannot be told.
  func version(of number: UInt32, _ store: FileStore) throws(Fault) -> UInt64 {
    let place = try place(of: number, store)
    return place.isPrivate ? 0 : place.version
  }
}

extension PendingRead {
  fileprivate func matches(_ number: UInt32, _ place: PagePlace) -> Bool {
    self.number == number && version == place.version && isPrivate == place.isPrivate
      && frame == place.frame
  }
}
