// The flag words and small numbers that instructions carry in p2 and p5.

import ApusBase

/// p5 of `eq`, `ne`, `lt`, `le`, `gt`, `ge`.
public struct ComparisonFlags: OptionSet, Sendable {
  public var rawValue: UInt16

  @inlinable @inline(__always)
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Jump (or store 1) also when an operand is NULL.
  public static let jumpIfNull = ComparisonFlags(rawValue: 0x0100)
  /// NULL equals NULL (IS, IS NOT): the result is never NULL. Only on `eq` and `ne`.
  public static let nullEqual = ComparisonFlags(rawValue: 0x0200)
  /// Do not jump: r2 = 1, 0 or NULL.
  public static let storeResult = ComparisonFlags(rawValue: 0x0400)

  /// The affinity that both operands take before they are compared (they themselves stay as they are). The low byte holds
  /// the letter; 0 is none.
  @inlinable
  public static func affinity(_ affinity: Affinity) -> ComparisonFlags {
    ComparisonFlags(rawValue: UInt16(affinity.rawValue))
  }

  @inlinable @inline(__always)
  public var affinity: Affinity { Affinity(rawValue: UInt8(truncatingIfNeeded: rawValue)) ?? .none }
}

/// p5 of `openRead` and `openWrite`.
public struct OpenFlags: OptionSet, Sendable {
  public var rawValue: UInt16

  @inlinable
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// p2 names a register that holds the root page (a table made by this very program).
  public static let rootInRegister = OpenFlags(rawValue: 1)
  /// The cursor is used for `seek` with equality only; a hint.
  public static let seekEqual = OpenFlags(rawValue: 2)
  /// The cursor deletes in bulk; a hint.
  public static let bulk = OpenFlags(rawValue: 4)
}

/// p5 of `column`.
public struct ColumnFlags: OptionSet, Sendable {
  public var rawValue: UInt16

  @inlinable @inline(__always)
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Text and blob bytes may stay in the page: the register is not read after the cursor has moved, been closed or been
  /// written through. Without it the bytes are copied.
  public static let borrowed = ColumnFlags(rawValue: 1)
  /// An integer becomes a real: the column has REAL affinity.
  public static let realAffinity = ColumnFlags(rawValue: 2)
  /// Only the type matters: bytes may be absent (`typeof`, IS NULL).
  public static let typeOnly = ColumnFlags(rawValue: 4)
  /// Text in the record is UTF-16 and becomes UTF-8; set when the program of such a database is finished.
  public static let decodesText = ColumnFlags(rawValue: 8)
  /// Only the length matters.
  public static let lengthOnly = ColumnFlags(rawValue: 8)
}

/// p5 of `makeRecord`.
public struct RecordFlags: OptionSet, Sendable {
  public var rawValue: UInt16

  @inlinable
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// A whole number in a column of REAL affinity is stored as an integer where that is shorter (48 bits), as SQLite does;
  /// `column` makes it a real again.
  public static let compactsReals = RecordFlags(rawValue: 1)
}

/// p5 of `insert`, `delete`, `idxInsert`.
public struct ChangeFlags: OptionSet, Sendable {
  public var rawValue: UInt16

  @inlinable
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Counts as a changed row (`changes()`).
  public static let countsChange = ChangeFlags(rawValue: 0x01)
  /// Sets `last_insert_rowid()`.
  public static let setsLastRowid = ChangeFlags(rawValue: 0x20)
  /// The new key is likely behind all others.
  public static let append = ChangeFlags(rawValue: 0x08)
  /// The cursor goes on from here afterwards: `next` and `prev` find the neighbours of the deleted entry.
  public static let savePosition = ChangeFlags(rawValue: 0x02)
  /// Part of an UPDATE: a delete that an insert follows, or that insert.
  public static let isUpdate = ChangeFlags(rawValue: 0x04)
  /// The cursor was just positioned for this key by a failed search (`notExists`, `noConflict`); a hint.
  public static let usesSeekResult = ChangeFlags(rawValue: 0x10)
}

/// What a failed constraint does: p2 of `halt`.
public enum OnConflict: Int32, Sendable {
  case none = 0
  /// Undoes the whole transaction.
  case rollback = 1
  /// Undoes the statement.
  case abort = 2
  /// Stops, and keeps what the statement has done.
  case fail = 3
  case ignore = 4
  case replace = 5
}

/// p5 of `halt`: whose words go before the message.
public enum ConstraintKind: UInt16, Sendable {
  case none = 0, notNull = 1, unique = 2, check = 3, foreignKey = 4

  public var words: String {
    switch self {
    case .none: ""
    case .notNull: "NOT NULL constraint failed"
    case .unique: "UNIQUE constraint failed"
    case .check: "CHECK constraint failed"
    case .foreignKey: "FOREIGN KEY constraint failed"
    }
  }
}

/// p3 of `setting`: what a pragma reads or sets.
public enum Setting: Int32, Sendable {
  case pageSize, pageCount, freelistCount, maxPageCount, cacheSize, synchronous, busyTimeout, walAutocheckpoint
  case dataVersion, encoding, autoVacuum, lockingMode, ioBackend, foreignKeys, recursiveTriggers, reverseUnordered
  case queryOnly, ignoreCheckConstraints, caseSensitiveLike, tempStore, journalSizeLimit, secureDelete, mmapSize
  case threads, writableSchema, deferForeignKeys, automaticIndex, legacyAlterTable, trustedSchema, cellSizeCheck
  case fullColumnNames, shortColumnNames, countChanges, shrinkMemory, strictPragmas, pageChecksums, recovery, cacheSpill
  case directReads, concurrentIsolation, walSizeLimit

  /// The value of `cacheSpill` that switches it on and leaves its limit.
  public static let spillsAsBefore = Int64.max
}

/// What a check of a column's values asks them to be; NULL always fits.
public enum ColumnClass: Int32, Sendable {
  /// No number: affinity would have made a text of it.
  case text = 1
  /// No text that affinity would have made a number of.
  case numeric
  /// Of a STRICT table: exactly that.
  case strictInteger, strictReal, strictText, strictBlob
}
