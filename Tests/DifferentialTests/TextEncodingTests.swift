// UTF-16 databases: the same answers as SQLite's, whoever wrote the file, and text that comes back byte for byte.

import ApusBase
import ApusHarness
import Foundation
import Testing

@Suite("UTF-16 databases")
struct TextEncodingTests {
  private static let texts = [
    "a", "Ā", "b", "A", "", "𐀀", "！", "z", "é", "É", "ab", "aB", "ab ", "ab  ", "\u{d7ff}", "\u{e000}", "12", "3.5", "日本語", "🎉x",
  ]

  private static let schema = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, n TEXT COLLATE NOCASE, r TEXT COLLATE RTRIM, x);
    CREATE INDEX ta ON t(a); CREATE INDEX tn ON t(n, a DESC); CREATE UNIQUE INDEX tr ON t(r, id);
    CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE VIEW v AS SELECT a || 'é' AS y FROM t;
    """

  private static let queries = [
    "PRAGMA encoding", "SELECT id FROM t ORDER BY a", "SELECT id FROM t ORDER BY n, id", "SELECT id FROM t ORDER BY r, id",
    "SELECT k FROM w", "SELECT id, length(a), hex(a), typeof(a), upper(a), unicode(a), quote(a) FROM t ORDER BY id",
    "SELECT id FROM t WHERE a > 'b' ORDER BY id", "SELECT id FROM t WHERE +a > 'b' ORDER BY id",
    "SELECT id FROM t WHERE a BETWEEN 'A' AND 'é' ORDER BY id", "SELECT id FROM t WHERE n = 'AB' ORDER BY id",
    "SELECT id FROM t WHERE r = 'ab' ORDER BY id", "SELECT id FROM t WHERE a LIKE 'a%' ORDER BY id",
    "SELECT id FROM t WHERE a GLOB 'a*' ORDER BY id", "SELECT max(a), min(a), max(a, 'é'), min(+a, 'Ā') FROM t",
    "SELECT a, count(*) FROM t GROUP BY a ORDER BY a", "SELECT n, count(*) FROM t GROUP BY n ORDER BY n",
    "SELECT a FROM t UNION SELECT k FROM w", "SELECT a FROM t EXCEPT SELECT 'b'", "SELECT id FROM t ORDER BY a DESC LIMIT 3",
    "SELECT hex(CAST(a AS BLOB)), CAST(x AS TEXT) FROM t ORDER BY id", "SELECT 'a' < 'Ā', 'é' > 'z', 'A' = 'a' COLLATE NOCASE",
    "SELECT id FROM t WHERE a IN ('é', '🎉x', 'b') ORDER BY id", "SELECT t.id, w.v FROM t JOIN w ON w.k = t.a ORDER BY 1",
    "SELECT t.id, w.v FROM t JOIN w ON w.k = t.n ORDER BY 1, 2", "SELECT * FROM v", "SELECT sql FROM sqlite_schema ORDER BY name",
    "SELECT id FROM t WHERE a > '日' ORDER BY a", "SELECT substr(a, 2, 1), instr(a, 'x'), replace(a, 'é', 'ee') FROM t ORDER BY id",
    "SELECT k FROM w WHERE k >= 'b' ORDER BY k DESC", "SELECT group_concat(a, '-') FROM (SELECT a FROM t ORDER BY id)",
    "SELECT id, CAST('é12' AS INTEGER), '12' + 0, a || 1 FROM t ORDER BY id", "PRAGMA integrity_check",
  ]

  @Test(
    "queries give SQLite's answers on files of either engine", arguments: ["UTF-16le", "UTF-16be"], [true, false])
  func agrees(encoding: String, isOurs: Bool) throws {
    let path = NSTemporaryDirectory() + "apus-encoding-\(UUID().uuidString).db"
    defer { for suffix in ["", "-journal", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) } }
    let engines: [any HarnessEngine] = [ApusEngine(), try SQLiteLibrary()]
    let writer = try engines[isOurs ? 0 : 1].open(path, readOnly: false)
    try writer.execute("PRAGMA encoding = '\(encoding)';" + Self.schema)
    for (id, text) in Self.texts.enumerated() {
      try writer.execute(
        """
        INSERT INTO t VALUES(\(id), '\(text)', '\(text)', '\(text)', CAST('\(text)' AS BLOB));
        INSERT INTO w VALUES('\(text)', \(id));
        """)
    }
    try writer.execute("INSERT INTO t(id, a, x) VALUES(100, 5, x'0001'), (101, NULL, 1.5); DELETE FROM t WHERE id = 7")
    writer.close()
    let connections = try engines.map { try $0.open(path, readOnly: false) }
    defer { for connection in connections.reversed() { connection.close() } }
    for query in Self.queries {
      let ours = try connections[0].rows(query).rows, theirs = try connections[1].rows(query).rows
      #expect(ours == theirs, "\(encoding): \(query)")
    }
  }

  @Test("UTF-16 with surrogates that stand alone comes back as it was", arguments: UInt64(1)...20)
  func keepsLoneSurrogates(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for encoding in [TextEncoding.utf16LittleEndian, .utf16BigEndian] {
      var stored = ByteBuffer(), text = ByteBuffer(), again = ByteBuffer()
      for _ in 0..<2 * random.below(40) {
        stored.append(random.oneIn(2) ? UInt8(0xd8 + random.below(8)) : UInt8(random.below(256)))
      }
      encoding.appendUTF8(stored.bytes, to: &text)
      encoding.append(text.bytes, to: &again)
      #expect(stored.bytes.elementsEqual(again.bytes), "seed \(seed)")
      #expect(encoding.byteCount(text.bytes) == stored.count, "seed \(seed)")
    }
  }
}
