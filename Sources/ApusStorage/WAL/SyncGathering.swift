// Whether the next sync of the log waits for more commits (SPEC, "Group commit", 3).
//
// Threads that commit again and again miss the sync that begins when theirs has ended: they fall into two halves, and each of their
// commits takes two syncs. Where all of them come back in a part of a sync's time it is quicker to wait for them:
//
//   sync ended ---- the others come back, R -----> sync of all, S              R + S a commit, instead of 2 S
//
// All is measured: S, R, and how many come back. Those who did not come back in time twice are not waited for.

#if PlantedBugs
  import ApusBase
#endif

struct SyncGathering: Sendable {
  /// How long a sync takes, in nanoseconds: a running mean. 0: none has ended.
  private var syncNanoseconds: UInt64 = 0
  private var syncBegan: UInt64 = 0
  private var syncEnded: UInt64 = 0
  /// Commits that the last sync covered, and those that were pending when it ended: who is likely to come back.
  private var expectedCount = 0
  /// How long it took from the last sync's end until so many were pending; nil: so many have not been yet.
  private var returned: UInt64?
  /// The same of an earlier sync: what is reckoned with.
  private var returnsIn: UInt64?
  /// They have not come in time after the last sync.
  private var wereMissed = false

  mutating func noteSyncBegan(_ now: UInt64) { syncBegan = now }

  /// - Parameters:
  ///   - coveredCount: commits that are answered now.
  ///   - pendingCount: commits that are pending still.
  mutating func noteSyncEnded(_ now: UInt64, coveredCount: Int, pendingCount: Int) {
    let taken = now &- syncBegan
    syncNanoseconds = syncNanoseconds == 0 ? taken : syncNanoseconds - syncNanoseconds / 4 + taken / 4
    syncEnded = now
    expectedCount = coveredCount + pendingCount
    // Once may be a checkpoint's doing, or a pause for other processes.
    if returned != nil || wereMissed { returnsIn = returned }
    wereMissed = returned == nil
    returned = nil
  }

  mutating func noteAppend(_ now: UInt64, pendingCount: Int) {
    if returned == nil, pendingCount >= expectedCount { returned = now &- syncEnded }
  }

  /// Until when the next sync waits for those that are likely to come; nil where it begins now.
  func end(_ now: UInt64, pendingCount: Int) -> UInt64? {
    guard let returnsIn, expectedCount > 1, pendingCount < expectedCount else { return nil }
    let longest = syncNanoseconds - syncNanoseconds / 4
    if returnsIn >= longest { return nil }
    #if PlantedBugs
      if PlantedBug.isActive(.gatherForEver) { return .max }
    #endif
    let end = syncEnded + min(returnsIn + returnsIn / 2, longest)
    return now < end ? end : nil
  }
}
