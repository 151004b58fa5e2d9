// Values and names as SQL, CSV and JSON text.

enum Quoting {
  static let hexDigits = Array("0123456789ABCDEF".utf8)

  static func blob(_ bytes: [UInt8]) -> [UInt8] {
    var text = Array("X'".utf8)
    for byte in bytes { text += [hexDigits[Int(byte >> 4)], hexDigits[Int(byte & 15)]] }
    text.append(UInt8(ascii: "'"))
    return text
  }

  static func string(_ bytes: [UInt8]) -> [UInt8] {
    var text = [UInt8(ascii: "'")]
    for byte in bytes {
      if byte == UInt8(ascii: "'") { text.append(byte) }
      text.append(byte)
    }
    text.append(UInt8(ascii: "'"))
    return text
  }

  /// As `string`, but on one line: line breaks become escapes that `replace` turns back.
  static func oneLineString(_ bytes: [UInt8]) -> [UInt8] {
    let hasNewline = bytes.contains(0x0a), hasReturn = bytes.contains(0x0d)
    if !hasNewline, !hasReturn { return string(bytes) }
    /// An escape that the text does not contain: `\n`, else `(\n0)`, `(\n1)`, ...
    func escape(_ plain: String) -> [UInt8] {
      var candidate = Array(plain.utf8)
      var count = 0
      while contains(bytes, candidate) {
        candidate = Array("(\(plain)\(count))".utf8)
        count += 1
      }
      return candidate
    }
    let newline = escape("\\n"), carriageReturn = escape("\\r")
    var escaped: [UInt8] = []
    for byte in bytes {
      switch byte {
      case 0x0a: escaped += newline
      case 0x0d: escaped += carriageReturn
      default: escaped.append(byte)
      }
    }
    var text: [UInt8] = []
    if hasNewline { text += Array("replace(".utf8) }
    if hasReturn { text += Array("replace(".utf8) }
    text += string(escaped)
    if hasReturn { text += Array(",'".utf8) + carriageReturn + Array("',char(13))".utf8) }
    if hasNewline { text += Array(",'".utf8) + newline + Array("',char(10))".utf8) }
    return text
  }

  static func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
    guard !part.isEmpty, bytes.count >= part.count else { return part.isEmpty }
    return (0...(bytes.count - part.count)).contains { bytes[$0] == part[0] && bytes[$0...].starts(with: part) }
  }

  /// A name as it must stand in SQL: quoted where it is a keyword or no plain identifier.
  static func name(_ name: String) -> String {
    let bytes = Array(name.utf8)
    let isPlain =
      bytes.first.map { !($0 >= 0x30 && $0 <= 0x39) } ?? false
      && bytes.allSatisfy {
        $0 == UInt8(ascii: "_") || ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7a)
      }
    if isPlain, !isKeyword(name) { return name }
    return quotedName(name)
  }

  static func quotedName(_ name: String) -> String {
    var text = "\""
    for scalar in name.unicodeScalars {
      if scalar == "\"" { text.unicodeScalars.append(scalar) }
      text.unicodeScalars.append(scalar)
    }
    return text + "\""
  }

  /// A field of a CSV line: quoted where it is empty, holds a separator, a quote, a space or anything not printable.
  static func csv(_ bytes: [UInt8], separator: String) -> [UInt8] {
    let needsQuotes =
      bytes.isEmpty || bytes.contains { $0 <= 0x20 || $0 >= 0x7f || $0 == 0x22 || $0 == 0x27 }
      || contains(bytes, Array(separator.utf8))
    if !needsQuotes { return bytes }
    var text: [UInt8] = [0x22]
    for byte in bytes {
      if byte == 0x22 { text.append(byte) }
      text.append(byte)
    }
    text.append(0x22)
    return text
  }

  static func json(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = [0x22]
    for byte in bytes {
      switch byte {
      case 0x22, 0x5c: text += [0x5c, byte]
      case 0x08: text += Array("\\b".utf8)
      case 0x0c: text += Array("\\f".utf8)
      case 0x0a: text += Array("\\n".utf8)
      case 0x0d: text += Array("\\r".utf8)
      case 0x09: text += Array("\\t".utf8)
      case 0..<0x20:
        let digits = Array("0123456789abcdef".utf8)
        text += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: text.append(byte)
      }
    }
    text.append(0x22)
    return text
  }

  // Source: https://sqlite.org/lang_keywords.html
  private static let keywords: Set<String> = Set(
    """
    ABORT ACTION ADD AFTER ALL ALTER ALWAYS ANALYZE AND AS ASC ATTACH AUTOINCREMENT BEFORE BEGIN BETWEEN BY CASCADE CASE \
    CAST CHECK COLLATE COLUMN COMMIT CONFLICT CONSTRAINT CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP \
    DATABASE DEFAULT DEFERRABLE DEFERRED DELETE DESC DETACH DISTINCT DO DROP EACH ELSE END ESCAPE EXCEPT EXCLUDE EXCLUSIVE \
    EXISTS EXPLAIN FAIL FILTER FIRST FOLLOWING FOR FOREIGN FROM FULL GENERATED GLOB GROUP GROUPS HAVING IF IGNORE IMMEDIATE \
    IN INDEX INDEXED INITIALLY INNER INSERT INSTEAD INTERSECT INTO IS ISNULL JOIN KEY LAST LEFT LIKE LIMIT MATCH \
    MATERIALIZED NATURAL NO NOT NOTHING NOTNULL NULL NULLS OF OFFSET ON OR ORDER OTHERS OUTER OVER PARTITION PLAN PRAGMA \
    PRECEDING PRIMARY QUERY RAISE RANGE RECURSIVE REFERENCES REGEXP REINDEX RELEASE RENAME REPLACE RESTRICT RETURNING RIGHT \
    ROLLBACK ROW ROWS SAVEPOINT SELECT SET TABLE TEMP TEMPORARY THEN TIES TO TRANSACTION TRIGGER UNBOUNDED UNION UNIQUE \
    UPDATE USING VACUUM VALUES VIEW VIRTUAL WHEN WHERE WINDOW WITH WITHOUT
    """.split(separator: " ").map(String.init))

  static func isKeyword(_ name: String) -> Bool { keywords.contains(name.uppercased()) }
}
