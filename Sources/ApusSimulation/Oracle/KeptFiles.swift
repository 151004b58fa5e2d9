// What journals and logs leave on the disk (O18): https://sqlite.org/pragma.html#pragma_journal_size_limit

/// A rollback journal right behind a commit: gone, empty, or one that nobody plays back, and not longer than it may be.
struct KeptJournal {
  let mode: SimulationProfile.Journal
  /// Negative: none.
  let limit: Int

  /// - Returns: what is wrong with a journal that holds `bytes`; nil where nothing is.
  func problem(_ bytes: [UInt8]?) -> String? {
    guard let bytes else { return nil }
    switch mode {
    case .wal, .memory, .off: return nil
    case .delete: return "the journal of a commit that was answered is there"
    case .truncate: return bytes.isEmpty ? nil : "a journal that is truncated has \(bytes.count) bytes"
    case .persist:
      if bytes.first ?? 0 != 0 { return "the header of a journal that is kept is not wiped" }
      return limit >= 0 && bytes.count > limit ? "the journal that is kept has \(bytes.count) bytes, and \(limit) are allowed" : nil
    }
  }
}

/// The log behind a commit: where it has started again, nothing of the old one lies beyond the limit.
struct KeptLog {
  private static let headerByteCount = 32, frameHeaderByteCount = 24

  private var salts: ArraySlice<UInt8> = []
  private var troubleCount = -1
  /// It has started again, and whoever did so had no trouble.
  private var isCut = false

  /// - Parameter troubleCount: what may have kept somebody from cutting the file, until now.
  /// - Returns: what is wrong with a log that holds `bytes`; nil where nothing is.
  mutating func problem(_ bytes: [UInt8], limit: Int, troubleCount: Int) -> String? {
    guard bytes.count > Self.headerByteCount else { return nil }
    let pageSize = bytes[8..<12].reduce(0) { $0 << 8 | Int($1) }
    guard pageSize >= 512, pageSize <= 65_536 else { return nil }
    let hasTrouble = troubleCount != self.troubleCount
    if salts != bytes[16..<24] { isCut = !salts.isEmpty }
    if hasTrouble { isCut = false }
    salts = bytes[16..<24]
    self.troubleCount = troubleCount
    if !isCut { return nil }
    var stale: Int?
    for offset in stride(
      from: Self.headerByteCount, through: bytes.count - Self.frameHeaderByteCount, by: Self.frameHeaderByteCount + pageSize)
    {
      if bytes[offset + 8..<offset + 16].elementsEqual(salts) {
        stale = nil
      } else if stale == nil, offset >= limit, bytes[offset..<offset + Self.frameHeaderByteCount].contains(where: { $0 != 0 }) {
        stale = offset
      }
    }
    return stale.map { "the log began anew, and has frames of the old one at \($0) of \(bytes.count), with \(limit) to keep" }
  }
}
