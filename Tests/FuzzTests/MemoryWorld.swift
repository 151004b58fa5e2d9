// A database, and perhaps its log, opened in memory to ask one thing.

import ApusHarness
import ApusIO

@testable import ApusFuzzing

struct MemoryWorld {
  let world = MemoryEnvironment(seed: 1)

  init(_ input: SplitInput) {
    world.setContents(of: "/asked.db", to: input.first)
    if !input.second.isEmpty { world.setContents(of: "/asked.db-wal", to: input.second) }
  }

  /// -1 where the question is not answered.
  func integer(_ sql: String) -> Int64 {
    guard let connection = try? FuzzEngines.ours("/asked.db", in: world) else { return -1 }
    defer { connection.close() }
    guard case .integer(let number)? = try? connection.firstRows(sql).first?.first else { return -1 }
    return number
  }
}
