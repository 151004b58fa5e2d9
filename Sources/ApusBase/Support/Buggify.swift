// Buggify points: places where the engine may, for the simulator, do something rare that is always right: give way, leave
// optional work undone, take a limit for reached, spill or copy back early. Which point fires, and when, the simulator's
// environment draws from its seed. Compiled only under the trait `PlantedBugs`: a normal build asks nobody.

#if PlantedBugs
  public enum BuggifyPoint: Int, CaseIterable, Sendable {
    // Giving way between two steps of a protocol.
    case walSnapshotRaced, walYieldInRecovery, walYieldInAppend, checkpointYield, placeYield, journalYield, playbackYield
    // Optional work left undone.
    case walSkipZeroFill, walSkipRestart, walSkipLengthCut, skipReadAhead, skipSharedCache
    // Limits.
    case checkpointBatchOfOne, journalRecordOfOne, undoBatchOfOne, evictCleanPages
    // Early.
    case forceSpill, forceCheckpoint, forceUndoSpill
  }
#endif
