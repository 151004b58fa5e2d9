// SQLite's result codes and their standard texts. Source: https://sqlite.org/rescode.html

public struct ResultCode: RawRepresentable, Hashable, Sendable {
  public var rawValue: Int32

  @inlinable
  public init(rawValue: Int32) { self.rawValue = rawValue }

  @inlinable
  public init(_ rawValue: Int32) { self.rawValue = rawValue }

  /// The low byte: the code that callers see unless they ask for extended codes.
  public var primary: ResultCode { ResultCode(rawValue & 0xff) }

  public static let ok = ResultCode(0), error = ResultCode(1), `internal` = ResultCode(2), permission = ResultCode(3)
  public static let abort = ResultCode(4), busy = ResultCode(5), locked = ResultCode(6), noMemory = ResultCode(7)
  public static let readOnly = ResultCode(8), interrupt = ResultCode(9), ioError = ResultCode(10)
  public static let corrupt = ResultCode(11), notFound = ResultCode(12), full = ResultCode(13)
  public static let cannotOpen = ResultCode(14), `protocol` = ResultCode(15), empty = ResultCode(16)
  public static let schema = ResultCode(17), tooBig = ResultCode(18), constraint = ResultCode(19)
  public static let mismatch = ResultCode(20), misuse = ResultCode(21), noLargeFile = ResultCode(22)
  public static let authorization = ResultCode(23), format = ResultCode(24), range = ResultCode(25)
  public static let notADatabase = ResultCode(26), notice = ResultCode(27), warning = ResultCode(28)
  public static let row = ResultCode(100), done = ResultCode(101)

  public static let errorMissingCollation = ResultCode(257), errorRetry = ResultCode(513)
  public static let abortRollback = ResultCode(516)
  public static let busyRecovery = ResultCode(261), busySnapshot = ResultCode(517), busyTimeout = ResultCode(773)
  public static let lockedSharedCache = ResultCode(262)
  public static let readOnlyRecovery = ResultCode(264), readOnlyCannotLock = ResultCode(520)
  public static let readOnlyRollback = ResultCode(776), readOnlyDatabaseMoved = ResultCode(1032)
  public static let readOnlyCannotInit = ResultCode(1288), readOnlyDirectory = ResultCode(1544)
  public static let ioErrorRead = ResultCode(266), ioErrorShortRead = ResultCode(522)
  public static let ioErrorWrite = ResultCode(778), ioErrorFsync = ResultCode(1034)
  public static let ioErrorDirectoryFsync = ResultCode(1290), ioErrorTruncate = ResultCode(1546)
  public static let ioErrorFstat = ResultCode(1802), ioErrorUnlock = ResultCode(2058)
  public static let ioErrorReadLock = ResultCode(2314), ioErrorDelete = ResultCode(2570)
  public static let ioErrorAccess = ResultCode(3338), ioErrorLock = ResultCode(3850)
  public static let ioErrorClose = ResultCode(4106), ioErrorSharedMemoryOpen = ResultCode(4618)
  public static let ioErrorSharedMemorySize = ResultCode(4874), ioErrorSharedMemoryLock = ResultCode(5130)
  public static let ioErrorSharedMemoryMap = ResultCode(5386), ioErrorCorruptFileSystem = ResultCode(8458)
  /// Of SQLite's own layer for checksums, too.
  public static let ioErrorData = ResultCode(8202)
  public static let corruptIndex = ResultCode(779), corruptSequence = ResultCode(523)
  public static let cannotOpenIsDirectory = ResultCode(526), cannotOpenFullPath = ResultCode(782)
  public static let cannotOpenSymbolicLink = ResultCode(1550)
  public static let constraintCheck = ResultCode(275), constraintCommitHook = ResultCode(531)
  public static let constraintForeignKey = ResultCode(787), constraintFunction = ResultCode(1043)
  public static let constraintNotNull = ResultCode(1299), constraintPrimaryKey = ResultCode(1555)
  public static let constraintTrigger = ResultCode(1811), constraintUnique = ResultCode(2067)
  public static let constraintRowid = ResultCode(2579), constraintDataType = ResultCode(3091)

  /// The text of `sqlite3_errstr`, word for word.
  public var standardMessage: String {
    switch self {
    case .abortRollback: return "abort due to ROLLBACK"
    case .row: return "another row available"
    case .done: return "no more rows available"
    default: break
    }
    let messages: [String?] = [
      "not an error", "SQL logic error", nil, "access permission denied", "query aborted", "database is locked",
      "database table is locked", "out of memory", "attempt to write a readonly database", "interrupted",
      "disk I/O error", "database disk image is malformed", "unknown operation", "database or disk is full",
      "unable to open database file", "locking protocol", nil, "database schema has changed", "string or blob too big",
      "constraint failed", "datatype mismatch", "bad parameter or other API misuse", nil, "authorization denied", nil,
      "column index out of range", "file is not a database", "notification message", "warning message",
    ]
    let index = Int(rawValue & 0xff)
    guard rawValue >= 0, index < messages.count, let message = messages[index] else { return "unknown error" }
    return message
  }
}
