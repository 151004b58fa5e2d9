// A concurrent transaction is compared with what was committed since its snapshot (SPEC, "Validation"). It holds the write
// lock, and nothing here can wait.
//
//   commit with keys     in a range that was read: lost; its pages meet pages that were read without keys: lost; passed, they
//                        count as looked at from then on
//   commit without       its pages meet any that was looked at: lost
//   all passed           no page meets one that was looked at, changed or taken: appended as it is; else rebased
//
// Who cannot be rebased is lost where pages meet.

import ApusBase
import ApusIO

extension Pager {
  func validate(
    _ store: FileStore, _ wal: WriteAheadLog, _ published: WALIndexHeader, mayRebase: Bool
  ) throws(Fault) {
    guard let concurrent = store.concurrent else { return }
    guard let frames = wal.framesBehindSnapshot(published) else {
      throw lose(
        conflict(store, "the log was replaced by another process since this transaction began"), .log, store, wal)
    }
    // Whoever is in the midst of a statement takes part as well.
    cursors.flushNotes()
    let log = concurrent.log
    let pieces =
      concurrent.registration?.history.pieces(of: frames, salts: published.salts)
      ?? (frames.isEmpty ? [] : [CommitHistory.Piece(frames: frames, keys: nil, isForeign: true)])
    let isRebasable = mayRebase && log.isKeyed
    // Page 1 counts the pages, and is stamped at the commit.
    let takesPages = currentPageCount != committedPageCount || savepoints.contains { $0.pageCount != committedPageCount }
    var changed = PageSet()
    var meets = false
    for piece in pieces {
      var keys = piece.keys
      if let commit = piece.keys, isRebasable {
        switch compare(log, commit) {
        case .passes: break
        case .unknown: keys = nil
        case .conflict(let key): throw lose(store, key, wal)
        }
      }
      var pages: [UInt32] = []
      for frame in piece.frames {
        #if PlantedBugs
          if PlantedBug.isActive(.compareFirstCommitOnly), frame != frames.lowerBound { break }
        #endif
        pages.append(try wal.index.page(ofFrame: frame))
      }
      var meetsPiece = false
      for page in pages {
        #if PlantedBugs
          let isBlind = PlantedBug.isActive(.forgetAllocation) && page == 1
          let writesOnly = PlantedBug.isActive(.validateWritesOnly)
        #else
          let isBlind = false
          let writesOnly = false
        #endif
        let isChanged = (isPrivate(page) || page == 1 && takesPages) && !isBlind
        let isRead = concurrent.lookedAt.contains(page) && !writesOnly
        let isKeyed = log.pages.contains(page) && !writesOnly
        let isKnown = keys != nil && isRebasable
        if isRead || isKeyed && !isKnown || isChanged && !isRebasable {
          throw lose(store, page: page, isForeign: piece.isForeign, wal)
        }
        if concurrent.plainPages.contains(page) {
          // At COMMIT nothing is read any more.
          if !mayRebase {
            throw lose(store, page: page, isForeign: piece.isForeign, wal)
          }
          store.concurrent?.hasOldReads = true
        }
        if isKeyed || isChanged { meetsPiece = true }
        changed.insert(page)
      }
      if meetsPiece {
        meets = true
        #if PlantedBugs
          if PlantedBug.isActive(.lookedAtStaysOld) { continue }
        #endif
        // What was read may lie on these pages now.
        for page in pages where page != 1 { log.pages.insert(page) }
      }
    }
    if !frames.isEmpty, isPrivate(1), try loadedCookie() != concurrent.cookie {
      throw lose(
        conflict(store, "this transaction changes the schema, and another one has committed since it began"),
        .schemaChange, store, wal)
    }
    store.concurrent?.isHeaderOther = changed.contains(1)
    #if PlantedBugs
      if PlantedBug.isActive(.skipRebase) { meets = false }
    #endif
    if meets { beginRebase(store) }
    if !mayRebase { log.dropKeys() }
    try goOn(store, wal, topOf: published, without: changed)
    if !frames.isEmpty { dataVersion += 1 }
  }

  private func compare(_ log: LogicalLog, _ commit: CommittedKeys) -> LogicalLog.Comparison {
    #if PlantedBugs
      if PlantedBug.isActive(.validateWritesOnly) { return .passes }
    #endif
    return log.compare(commit)
  }

  /// Of a page 1 that is private, and so in memory.
  private func loadedCookie() throws(Fault) -> UInt32 {
    try loadedPage(.one).bytes.bigEndianUInt32(at: DatabaseHeader.schemaCookieOffset)
  }

  /// Lost to a key, in the words of its table and index, where somebody knows them.
  private func lose(_ store: FileStore, _ key: KeyConflict, _ wal: WriteAheadLog) -> Fault {
    let rows = key.key.map { "key \($0.text(textEncoding))" } ?? "all rows"
    let name = nameOfTree?(key.root)
    let isIndex = name?.index != nil
    let kind: ConcurrentConflicts.Kind =
      switch (key.key, key.isAsserted) {
      case (nil, _): .allRows
      case (_, true): isIndex ? .indexKey : .key
      case (_, false): isIndex ? .indexRange : .range
      }
    guard let name else {
      return lose(
        conflict(store, "tree \(key.root), \(rows): changed by another transaction since this one began"), kind, store, wal)
    }
    let index = name.index.map { ", index \($0)" } ?? ""
    let error = conflict(
      store, object: name.index.map { "\(name.table).\($0)" } ?? name.table,
      "table \(name.table)\(index), \(rows): changed by another transaction since this one began")
    return lose(error, kind, table: name.table, store, wal)
  }

  private func lose(_ store: FileStore, page: UInt32, isForeign: Bool, _ wal: WriteAheadLog) -> Fault {
    let cause = isForeign
      ? "changed by another process since this transaction began" : "changed by another transaction since this one began"
    return lose(conflict(store, "page \(page): \(cause)"), isForeign ? .foreignPage : .page, store, wal)
  }

  /// What others are compared with that are open now; nil where nobody is, or where it is not known by keys.
  func keysForOthers(_ store: FileStore) -> CommittedKeys? {
    guard let log = logicalLog, log.isKeyed, let history = store.cache?.history else { return nil }
    if store.concurrent?.isBehindLog == true { return nil }
    guard
      history.isWatched(besides: store.concurrent?.registration?.number) || history.mayBeOpened && commitsWait(store)
    else { return nil }
    return CommittedKeys(log.netChanges())
  }

  /// The commit of this transaction is published without the queue; the write lock is held still.
  func publishKeys(_ keys: CommittedKeys?, _ store: FileStore, _ wal: WriteAheadLog) {
    guard let history = store.cache?.history else { return }
    let from = wal.base.salts == wal.header.salts ? wal.base.frameCount : 0
    history.add(keys, salts: wal.header.salts, from: from, to: wal.header.frameCount)
    history.publish(salts: wal.header.salts, through: wal.header.frameCount)
  }
}
