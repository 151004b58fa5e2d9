// A trace for people: what was said, what was read and written, by page; all of it, or what concerns one page, one transaction
// or some steps.

public struct TraceFilter: Sendable {
  public var page: Int?
  /// By the number that it stamps the file with.
  public var transaction: Int?
  public var from = 0
  public var to = Int.max

  public init() {}
}

public struct TraceStory: Sendable {
  private let trace: TraceHash
  private let pageSize: Int

  public init(_ verdict: Verdict) {
    trace = verdict.trace
    pageSize = verdict.profile.pageSize
  }

  /// The events that the filter lets through, a line each.
  public func lines(_ filter: TraceFilter) -> [String] {
    var steps = filter.from...max(filter.from, filter.to)
    if let transaction = filter.transaction {
      guard let range = stepRange(of: transaction) else { return ["no transaction \(transaction) came to its stamp"] }
      steps = max(steps.lowerBound, range.lowerBound)...max(range.lowerBound, min(steps.upperBound, range.upperBound))
    }
    return trace.events.compactMap { event in
      guard steps.contains(event.step) else { return nil }
      if let page = filter.page, !concerns(event, page) { return nil }
      return "\(Self.padded(event.step))  \(text(event))"
    }
  }

  /// What the clients said and what befell them: the story of a short run.
  public var story: [String] {
    let told: Set<String> = [
      "client", "failed", "drop", "cut", "kill", "episode", "refused", "damage", "fault", "foreign", "syncfail",
    ]
    return trace.events.filter { told.contains($0.name) }.map { "\(Self.padded($0.step))  \(text($0))" }
  }

  private static func padded(_ step: Int) -> String {
    let digits = String(step)
    return "step " + String(repeating: " ", count: max(0, 6 - digits.count)) + digits
  }

  // MARK: one event

  private func text(_ event: TraceEvent) -> String {
    switch event.name {
    case "read", "cached", "write":
      return "\(event.name == "cached" ? "read at once" : event.name) \(place(event))\(content(event))"
    case "truncate": return "truncate \(path(event)) to \(event.numbers[1]) bytes"
    case "sync": return "sync \(path(event)); \(event.numbers[2]) changes behind it are not covered"
    case "syncdir": return "sync directory \(event.text)"
    case "done": return "client \(event.numbers[0]): done"
    case "failed": return "client \(event.numbers[0]): fails with code \(event.numbers[1])"
    case "drop": return "client \(event.numbers[0]): its statement is dropped at this wait"
    case "cut": return "the power is cut; of what was not synced survives: \(event.text)"
    case "client": return "client \(event.text)"
    case "kill": return "a process ends where it stands"
    case "fault": return "client \(event.numbers[1]): its request fails with code \(event.numbers[2])"
    case "refused", "damage": return "fault: \(event.text)"
    default:
      return ([event.name, event.text] + event.numbers.map(String.init)).filter { !$0.isEmpty }.joined(separator: " ")
    }
  }

  private func path(_ event: TraceEvent) -> String {
    trace.paths[UInt64(event.numbers[0])] ?? "file \(event.numbers[0])"
  }

  private func place(_ event: TraceEvent) -> String {
    let offset = event.numbers[1], count = event.numbers[2]
    let path = path(event)
    let what =
      if path.hasSuffix("-wal") {
        offset < 32 ? "header" : "frame \((offset - 32) / (24 + pageSize) + 1)"
      } else if path.hasSuffix(".db") {
        count > pageSize
          ? "pages \(offset / pageSize + 1) to \((offset + count - 1) / pageSize + 1)" : "page \(offset / pageSize + 1)"
      } else {
        "offset \(offset)"
      }
    return "\(path) \(what) (\(count) bytes)"
  }

  private func content(_ event: TraceEvent) -> String {
    if event.bytes.isEmpty { return "" }
    let pages = pages(of: event).map { number, bytes in
      "page \(number): \(PageSketch(bytes, isFirst: number == 1).text)"
    }
    return pages.isEmpty ? "" : ": " + pages.joined(separator: "; ")
  }

  /// The pages that a write brings, of the database or in frames of the log.
  private func pages(of event: TraceEvent) -> [(number: Int, bytes: ArraySlice<UInt8>)] {
    let path = path(event), offset = event.numbers[1]
    var found: [(number: Int, bytes: ArraySlice<UInt8>)] = []
    if path.hasSuffix(".db") {
      for start in stride(from: 0, to: event.bytes.count - pageSize + 1, by: pageSize) {
        found.append((number: (offset + start) / pageSize + 1, bytes: event.bytes[start..<start + pageSize]))
      }
    } else if path.hasSuffix("-wal"), offset >= 32, (offset - 32) % (24 + pageSize) == 0 {
      for start in stride(from: 0, to: event.bytes.count - pageSize - 23, by: 24 + pageSize) {
        let number = event.bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
        found.append((number: number, bytes: event.bytes[start + 24..<start + 24 + pageSize]))
      }
    }
    return found
  }

  private func concerns(_ event: TraceEvent, _ page: Int) -> Bool {
    if event.name == "cut" || event.name == "kill" { return true }
    guard event.numbers.count == 3, ["read", "cached", "write", "truncate"].contains(event.name) else { return false }
    if pages(of: event).contains(where: { $0.number == page }) { return true }
    guard path(event).hasSuffix(".db") else { return false }
    let first = event.numbers[1] / pageSize + 1
    let last = (event.numbers[1] + max(1, event.numbers[2]) - 1) / pageSize + 1
    return event.name == "truncate" ? page >= first : (first...last).contains(page)
  }

  // MARK: one transaction

  /// From the BEGIN of the client that stamps the file so, to what it said behind its COMMIT.
  private func stepRange(of transaction: Int) -> ClosedRange<Int>? {
    let script = trace.script
    guard let place = script.firstIndex(where: { $0.sql == "UPDATE stamp SET n=\(transaction)" }) else { return nil }
    let client = script[place].client
    func isBeginning(_ sql: String) -> Bool { sql.hasPrefix("BEGIN") || sql == "SAVEPOINT whole" }
    let first = script[..<place].last { $0.client == client && isBeginning($0.sql) }?.step ?? script[place].step
    let later = script[place...].filter { $0.client == client }.dropFirst()
    let last = later.first { !$0.sql.contains("stamp") && $0.sql != "COMMIT" && $0.sql != "RELEASE whole" }?.step ?? Int.max
    return first...last
  }
}

/// A page in a few words: its kind, and the row ids of a table's leaf.
struct PageSketch {
  private let bytes: ArraySlice<UInt8>
  private let start: Int

  init(_ bytes: ArraySlice<UInt8>, isFirst: Bool) {
    self.bytes = bytes
    start = bytes.startIndex + (isFirst ? 100 : 0)
  }

  private func number(at offset: Int) -> Int {
    guard offset + 1 < bytes.endIndex else { return 0 }
    return Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
  }

  var text: String {
    guard start + 8 < bytes.endIndex else { return "too short" }
    let count = number(at: start + 3)
    switch bytes[start] {
    case 2: return "index interior, \(count) cells"
    case 5: return "table interior, \(count) cells"
    case 10: return "index leaf, \(count) cells"
    case 13:
      let ids = (0..<count).compactMap { rowid(of: $0) }
      guard let first = ids.first, let last = ids.last else { return "table leaf, empty" }
      return "table leaf, \(count) cells, row ids \(first) to \(last)"
    default: return "no tree page"
    }
  }

  private func rowid(of cell: Int) -> Int64? {
    var offset = bytes.startIndex + number(at: start + 8 + 2 * cell)
    guard skipVarint(&offset) != nil else { return nil }
    return skipVarint(&offset)
  }

  private func skipVarint(_ offset: inout Int) -> Int64? {
    var value: UInt64 = 0
    for place in 0..<9 {
      guard bytes.indices.contains(offset) else { return nil }
      let byte = bytes[offset]
      offset += 1
      if place == 8 { return Int64(bitPattern: value << 8 | UInt64(byte)) }
      value = value << 7 | UInt64(byte & 0x7f)
      if byte < 0x80 { return Int64(bitPattern: value) }
    }
    return nil
  }
}
