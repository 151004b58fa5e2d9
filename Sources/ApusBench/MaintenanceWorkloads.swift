// What keeps a database in order: checkpoints, VACUUM, checks, backups.

import ApusHarness

extension Workloads {
  static let maintenance: [Workload] = [
    Workload(
      name: "checkpoint", scale: "100,000 pages", promise: nil, writes: true
    ) { (context) throws(EngineFailure) in
      let connection = try context.openScratch()
      try connection.execute(
        """
        PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;
        CREATE TABLE w(id INTEGER PRIMARY KEY, b BLOB);
        """)
      let statement = try connection.prepare("INSERT INTO w VALUES (?1, zeroblob(3900))")
      try connection.execute("BEGIN")
      for row in 1...100_000 {
        try statement.bind(integer: Int64(row), at: 1)
        _ = try statement.step()
        statement.reset()
        if row % 10_000 == 0 { try connection.execute("COMMIT; BEGIN") }
      }
      try connection.execute("COMMIT")
      statement.finalize()
      return { () throws(EngineFailure) in
        let rows = try connection.rows("PRAGMA wal_checkpoint(TRUNCATE)").rows
        return rows == [[.integer(0), .integer(0), .integer(0)]] ? 0 : -1
      }
    },
    Workload(
      name: "VACUUM", scale: "200,000 rows, every second deleted", promise: 0.8, writes: true
    ) { (context) throws(EngineFailure) in
      let connection = try context.openScratch()
      try fill(connection, rows: 200_000)
      try connection.execute("DELETE FROM w WHERE id % 2 = 0")
      return { () throws(EngineFailure) in
        try connection.execute("VACUUM")
        guard case .integer(let pages)? = try connection.rows("PRAGMA freelist_count").rows.first?.first else { return -1 }
        return pages
      }
    },
    Workload(
      name: "integrity_check", scale: "1,000,000 rows, 2 indexes", promise: 0.5, writes: false
    ) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      return { () throws(EngineFailure) in
        try connection.rows("PRAGMA integrity_check").rows == [[.text("ok")]] ? 0 : -1
      }
    },
    Workload(
      name: "backup", scale: "92 MiB", promise: nil, writes: true
    ) { (context) throws(EngineFailure) in
      let connection = try context.openShared()
      return { () throws(EngineFailure) in
        try connection.backUp(to: context.scratch)
        return 0
      }
    },
  ]
}
