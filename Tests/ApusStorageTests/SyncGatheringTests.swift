// When the next sync of the log waits for the commits that are likely to come, and when it does not.

import Testing

@testable import ApusStorage

@Suite(.timeLimit(.minutes(20))) struct SyncGatheringTests {
  /// A sync of a millisecond that covers `covered`, and `returning` commits that come back one each `gap` nanoseconds behind it.
  private func cycle(
    _ gathering: inout SyncGathering, from now: UInt64, covered: Int, pending: Int, returning: Int, gap: UInt64
  ) -> UInt64 {
    gathering.noteSyncBegan(now)
    let end = now + 1_000_000
    gathering.noteSyncEnded(end, coveredCount: covered, pendingCount: pending)
    for count in 0..<returning {
      gathering.noteAppend(end + gap * UInt64(count + 1), pendingCount: pending + count + 1)
    }
    return end
  }

  @Test("those who came back soon are waited for, as long as it took them and half of that")
  func waits() {
    var gathering = SyncGathering()
    // Nothing is known yet.
    #expect(gathering.end(5, pendingCount: 1) == nil)
    var now = cycle(&gathering, from: 0, covered: 1, pending: 15, returning: 1, gap: 20_000)
    #expect(gathering.end(now, pendingCount: 15) == nil)
    now = cycle(&gathering, from: now, covered: 15, pending: 1, returning: 15, gap: 20_000)
    // The last sync's sixteen had come back after 20 us.
    #expect(gathering.end(now, pendingCount: 1) == now + 30_000)
    now = cycle(&gathering, from: now + 300_000, covered: 1, pending: 15, returning: 1, gap: 20_000)
    // Fifteen take 300 us.
    #expect(gathering.end(now, pendingCount: 15) == now + 450_000)
    #expect(gathering.end(now + 449_999, pendingCount: 15) == now + 450_000)
    #expect(gathering.end(now + 450_000, pendingCount: 15) == nil)
    #expect(gathering.end(now, pendingCount: 16) == nil)
  }

  @Test("nobody waits who is alone, nor for those that take three quarters of a sync, or did not come twice")
  func doesNotWait() {
    var alone = SyncGathering(), slow = SyncGathering(), gone = SyncGathering()
    var now: UInt64 = 0
    for _ in 0..<5 {
      let end = cycle(&alone, from: now, covered: 1, pending: 0, returning: 1, gap: 10_000)
      #expect(alone.end(end, pendingCount: 0) == nil)
      _ = cycle(&slow, from: now, covered: 8, pending: 0, returning: 8, gap: 100_000)
      #expect(slow.end(end, pendingCount: 1) == nil)
      now = end + 900_000
    }
    for _ in 0..<3 { now = cycle(&gone, from: now, covered: 8, pending: 0, returning: 8, gap: 60_000) }
    // 480 us and half of that are more than three quarters of a sync.
    #expect(gone.end(now, pendingCount: 1) == now + 720_000)
    now = cycle(&gone, from: now, covered: 8, pending: 0, returning: 3, gap: 60_000)
    #expect(gone.end(now, pendingCount: 3) == now + 720_000)
    now = cycle(&gone, from: now, covered: 3, pending: 0, returning: 2, gap: 60_000)
    #expect(gone.end(now, pendingCount: 2) == now + 720_000)
    now = cycle(&gone, from: now, covered: 2, pending: 0, returning: 2, gap: 60_000)
    #expect(gone.end(now, pendingCount: 1) == nil)
  }
}
