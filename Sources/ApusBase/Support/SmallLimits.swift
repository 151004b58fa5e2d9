// Limits that the file formats leave to who writes, made small by a world of the simulator, so that little content reaches what
// lies behind them: later regions of the wal-index, later trunks of the freelist. Compiled only under the trait `PlantedBugs`: in
// a normal build they are SQLite's, and constants.

#if PlantedBugs
  public struct SmallLimits: Sendable {
    /// Frames that a region of the wal-index describes, a power of two; nil: SQLite's 4096. Who shares an index must agree.
    public var regionFrameCount: UInt32?
    /// Leaves that are put into one trunk of the freelist; nil: as many as have room.
    public var trunkLeafCount: Int?
    /// Bytes of what a transaction notes of its reads and of its changes, and of the commits that are kept to be compared with; nil:
    /// megabytes.
    public var noteByteCount: Int?

    public init() {}
  }
#endif
