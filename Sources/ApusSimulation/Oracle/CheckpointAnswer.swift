// The row that `PRAGMA wal_checkpoint` answers, held against the bytes of the files (O15):
// https://sqlite.org/pragma.html#pragma_wal_checkpoint

struct CheckpointAnswer {
  let mode: String
  let rows: [[ImageField]]
  /// Nobody has written to the log since the checkpoint was asked for, and nobody is about to commit.
  let isAlone: Bool

  /// - Parameters:
  ///   - hasLog: the file is in WAL mode; nil where that may change meanwhile.
  ///   - log: the bytes of the log; nil where there is none.
  /// - Returns: what is wrong with it; nil where nothing is.
  func problem(hasLog: Bool?, database: [UInt8], log: [UInt8]?) -> String? {
    guard rows.count == 1, case let row = rows[0], row.count == 3, case .integer(let busy) = row[0],
      case .integer(let frameCount) = row[1], case .integer(let copiedCount) = row[2]
    else { return "answers \(rows)" }
    let says = "answers \(busy), \(frameCount), \(copiedCount)"
    // Another checkpoint is under way.
    if hasLog != false, row == [.integer(1), .integer(-1), .integer(-1)] { return nil }
    if frameCount == -1 || copiedCount == -1 || hasLog == false {
      return hasLog != true && row == [.integer(0), .integer(-1), .integer(-1)] ? nil : "\(says) of a log that is \(hasLog == true)"
    }
    guard busy == 0 || busy == 1, copiedCount >= 0, copiedCount <= frameCount else { return says }
    if busy == 0, mode != "passive", copiedCount < frameCount { return "\(says), and has not copied all" }
    if busy == 0, mode == "truncate", frameCount != 0 { return "\(says), and has emptied the log" }
    guard isAlone, let log else { return nil }
    if busy == 0, mode == "truncate", log.contains(where: { $0 != 0 }) { return "\(says), and the log has \(log.count) bytes" }
    if copiedCount == frameCount, let page = Self.firstMissing(database, log) {
      return "\(says), and page \(page) of the log is not in the file"
    }
    return nil
  }

  /// A page whose newest committed version is in the log alone.
  private static func firstMissing(_ database: [UInt8], _ log: [UInt8]) -> Int? {
    let committed = FileImage.committedFrames(log)
    return committed.frames.sorted { $0.key < $1.key }.first { number, page in
      let start = (number - 1) * committed.pageSize
      if number > committed.size { return false }
      return start + committed.pageSize > database.count || !database[start..<start + committed.pageSize].elementsEqual(page)
    }?.key
  }
}
