// What a run's profile has, as words: the histogram over many seeds shows what the generator never draws.

extension SimulationProfile {
  /// Each as "what value", or "what" alone where it is there or not.
  public var features: [String] {
    var all = [
      "world \(kind.rawValue)", "journal \(journal.rawValue)", "synchronous \(synchronous.rawValue)",
      "page size \(pageSize)",
      "cache pages \(cachePages)", "connections \(clientCount)", "processes \(processCount)", "cuts \(cutCount)",
      "keys \(keyCount)", "payload \(payloadMax)", "statements \(operationCountMax)", "auto_vacuum \(autoVacuum)",
      "sector \(sectorByteCount)", "busy timeout \(busyTimeoutMilliseconds)",
    ]
    if journal == .wal { all.append("log frames \(autocheckpointFrames)") }
    let switches: [(String, Bool)] = [
      ("page faults", injectsFaults), ("cancellation", cancelOneIn > 0), ("dropped commits", dropsCommits),
      ("open scans", scanOneIn > 0), ("cache hits", hasCache), ("checkpoints", checkpointOneIn > 0),
      ("checksums", hasChecksums), ("two files", attaches), ("vacuum", vacuumOneIn > 0),
      ("lock page inside", lockByteOffset < 0x4000_0000), ("buggify", buggifies), ("page limit", pageCountMax > 0),
      ("priorities", schedule != .anybody), ("tables that come and go", hasComingTables), ("lists", hasLists),
      ("log size limit", sizeLimitFrames > 0), ("journal size limit", journalLimitBytes >= 0),
      ("changes of the journal mode", switchOneIn > 0), ("small regions of the wal-index", regionFrameCount > 0),
      ("small trunks", trunkLeafCount > 0), ("few notes", noteByteCount > 0),
      ("journals of several modes", mixesJournals), ("many readers", readerOneIn < 4), ("faults in rows", faultsComeInRows),
      ("kills in doubt", killsInDoubt), ("faults at turns", failsAtTurns), ("tide", tide > 0),
      ("a log beside a journal", otherHasLog),
      ("concurrent transactions", isConcurrent), ("transactions over keys", hasKeys), ("lanes", hasLanes),
      ("long names", nameBytes > 0), ("mixed levels of synchronous", mixesLevels),
      ("snapshot isolation", isConcurrent && isolation != .serializable),
    ]
    all += switches.filter(\.1).map(\.0)
    if let faultFocus { all.append("failing \(faultFocus)") }
    if theme != .none { all.append("theme \(theme.rawValue)") }
    return all + faults.kinds.map { "fault \($0.name)" }
  }
}
