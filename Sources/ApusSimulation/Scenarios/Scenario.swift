// The classes of corruption that users of young embedded databases have met, each as a named shape of world: on the sound engine a
// scenario finds nothing, with one of its planted bugs it finds that within its budget.

public struct Scenario: Sendable {
  public var name: String
  /// What its users saw.
  public var symptom: String
  /// The kind of world that it takes place in.
  public var kind: SimulationProfile.Kind
  /// The planted bugs that it must find, by name.
  public var plants: [String]
  /// Seconds to the first catch.
  public var budgetSeconds: Int
  var shape: @Sendable (inout SimulationProfile) -> Void

  public static func named(_ name: String) -> Scenario? { (all + controls).first { $0.name == name } }

  /// The world that has not what a planted bug needs to show: there it must survive.
  /// - Parameter need: as the table of the planted bugs names it.
  /// - Returns: the control's name.
  public static func control(without need: String) -> String? {
    controls.first { $0.name == "without-" + need }?.name
  }

  private static let controls: [Scenario] = [
    Scenario(
      name: "without-powerCut", symptom: "", kind: .mixed, plants: [], budgetSeconds: 0
    ) {
      $0.cutCount = 0
      $0.probesRecovery = false
    },
    Scenario(name: "without-fault", symptom: "", kind: .calm, plants: [], budgetSeconds: 0) {
      $0.faults = FaultRates()
    },
    Scenario(
      name: "without-damage", symptom: "", kind: .mixed, plants: [], budgetSeconds: 0
    ) { $0.hasChecksums = false },
    Scenario(
      name: "without-cancellation", symptom: "", kind: .mixed, plants: [], budgetSeconds: 0
    ) { profile in
      profile.cancelOneIn = 0
      profile.dropsCommits = false
    },
  ]

  public static let all: [Scenario] = [
    Scenario(
      name: "insert-storm", symptom: "SQLITE_CORRUPT within minutes of concurrent inserts", kind: .power,
      plants: [
        "skipWALSync", "keepSaltsAtReset", "acceptUncommittedTail", "chainFromLastFrame", "resetBeforeDatabaseSync",
        "copyPastReaders", "backfillBeforeWALSync", "evictDirtyPage", "allocateLeafTwice", "syncBesideFrames",
        "loseCellInSplit", "staleDividerKey", "leakOverflowChain", "freeblockCoalesceOffByOne", "allocateLockBytePage",
      ], budgetSeconds: 60
    ) { profile in
      profile.clientCount = max(2, profile.clientCount)
      profile.cachePages = min(profile.cachePages, 20)
      profile.pageSize = min(profile.pageSize, 4096)
      profile.payloadMax = 6_000
      profile.operationCountMax = 20
      if profile.journal == .wal, profile.autocheckpointFrames == 1000 { profile.autocheckpointFrames = 8 }
    },
    Scenario(
      name: "two-writers", symptom: "two writers corrupt the file after ten minutes", kind: .power,
      plants: [
        "staleCheckpointPlan", "forgetForeignCommits", "keepDroppedCheckpoint", "releaseLocksEarly",
        "writeOnStaleSnapshot", "dropReadMark", "compareFrameCountOnly",
      ],
      budgetSeconds: 600
    ) { profile in
      profile.clientCount = max(2, profile.clientCount)
      profile.processCount = 2
      if profile.journal == .wal {
        profile.autocheckpointFrames = min(8, max(4, profile.autocheckpointFrames))
        profile.checkpointOneIn = 4
      }
      profile.schedule = .priorities(changes: 4)
      profile.cancelOneIn = max(8, min(50, profile.cancelOneIn))
    },
    Scenario(
      name: "n-writers", symptom: "three writers, and \"database is locked\" at once", kind: .calm, plants: [],
      budgetSeconds: 10
    ) { profile in
      profile.clientCount = 5
      profile.busyTimeoutMilliseconds = 5000
    },
    Scenario(
      name: "rollback-maze", symptom: "what ROLLBACK leaves is not what was before", kind: .power,
      plants: [
        "stalePageAfterRollback", "noUndoScopeBesideIndexes", "keepProgramsAfterRollback",
        "keepPageCountAtRollback", "loseEntryAtRelease", "keepDroppedStatement", "keepDroppedTransaction",
        "forgetDroppedRollback",
      ],
      budgetSeconds: 30
    ) { profile in
      profile.cachePages = 10
      profile.pageSize = 512
      profile.keyCount = 30
      profile.operationCountMax = 20
      profile.cancelOneIn = 8
      profile.dropsCommits = true
      profile.hasComingTables = true
      if profile.autoVacuum == 0 { profile.autoVacuum = 2 }
    },
    Scenario(
      name: "honest-errors", symptom: "\"disk I/O error\" for what is none", kind: .flaky,
      plants: ["busyAsIOError", "acknowledgeFailedSync"], budgetSeconds: 10
    ) { profile in profile.clientCount = max(3, profile.clientCount) },
    Scenario(
      name: "wr-load", symptom: "tables WITHOUT ROWID corrupt under load", kind: .power,
      plants: ["skipSavingOtherCursors", "forgetIndexEntryOnUpdate", "wrongCollapse"], budgetSeconds: 30
    ) { profile in
      profile.clientCount = max(4, profile.clientCount)
      profile.pageSize = 512
      profile.scanOneIn = 4
    },
    Scenario(
      name: "pragma-effect", symptom: "a PRAGMA is taken and does nothing", kind: .calm, plants: [], budgetSeconds: 5
    ) { _ in },
    Scenario(
      name: "no-hang", symptom: "an await that never ends", kind: .flaky,
      plants: ["loseEarlyCompletion", "keepReadLock"], budgetSeconds: 20
    ) { profile in
      profile.cancelOneIn = 8
      profile.faults[.stall] = 100
    },
    Scenario(
      name: "ddl-soak", symptom: "the schema changes, and days later something is wrong", kind: .mixed,
      plants: [
        "staleMapEntryAfterBalance", "staleLinkAfterMove", "leakOverflowChain", "keepProgramsAfterRollback",
        "keepCatalogAfterRollback",
      ],
      budgetSeconds: 900
    ) { profile in
      profile.hasComingTables = true
      if profile.autoVacuum == 0 { profile.autoVacuum = 1 }
      profile.vacuumOneIn = 6
      profile.clientCount = max(2, profile.clientCount)
      profile.stepsPerEra *= 3
    },
    Scenario(
      name: "concurrent-writers", symptom: "of two transactions that ran at once, one is lost or both are wrong", kind: .power,
      plants: [
        "compareFirstCommitOnly", "forgetAllocation", "validateWritesOnly", "foreignSeenLate", "keepStalePages",
        "snapshotPageCount", "keepSavepointTip", "forgetLooks", "dropReadsAtRollbackTo", "skipRebase", "trimOneTooEarly",
        "forgetIndexRange", "forgetGapAtEnd", "keepChangesAtRollbackTo", "rebaseSkipsIndex", "forgetPlainPages",
      ],
      budgetSeconds: 60
    ) { profile in
      profile.beConcurrent()
      profile.hasLists = true
      profile.hasKeys = profile.stepsPerEra % 2 == 0
      profile.clientCount = max(4, profile.clientCount)
      profile.cachePages = min(profile.cachePages, 60)
      profile.operationCountMax = min(profile.operationCountMax, 20)
    },
    Scenario(
      name: "keyed-writers", symptom: "a name that two have claimed, a count that no order gives, an entry without its row",
      kind: .calm,
      plants: [
        "cutBeforeRangeEnd", "forgetGapAtEnd", "forgetAbsentKey", "forgetIndexRange", "keepChangesAtRollbackTo", "cancelEqualKeys",
        "replaceNamesTableOnly", "compareBytes", "rebaseSkipsIndex", "skipRebase", "trimOneTooEarly", "raiseOverwrites",
        "raiseUnseen",
      ],
      budgetSeconds: 60
    ) { profile in
      profile.beKeyed()
      profile.isolation = .serializable
    },
    Scenario(
      name: "snapshot-writers", symptom: "an update is lost, or a name claimed twice, where only plain reads may be stale",
      kind: .calm,
      plants: [
        "forgetAssertedLook", "forgetWrittenPath", "leakIsolation",
      ],
      budgetSeconds: 60
    ) { profile in
      profile.beKeyed()
      profile.hasLists = true
      if profile.isolation == .serializable { profile.isolation = .snapshot }
      // Commits of other processes have no keys: they are compared with the pages that were looked at.
      if profile.stepsPerEra % 4 == 0 { profile.processCount = 3 }
    },
    Scenario(
      name: "list-appends", symptom: "what was read cannot come from transactions one after the other", kind: .power,
      plants: ["validateWritesOnly", "foreignSeenLate", "compareFirstCommitOnly"], budgetSeconds: 60
    ) { profile in
      profile.beConcurrent()
      profile.hasLists = true
      profile.hasKeys = true
      profile.sideOneIn = 1
      profile.listOneIn = 1
      profile.isolation = .serializable
      profile.clientCount = max(4, profile.clientCount)
      profile.pageSize = min(profile.pageSize, 2048)
      profile.cachePages = max(20, profile.cachePages)
      profile.initialRowCount = 0
      profile.vacuumOneIn = 0
      profile.auditEvery = 10
      profile.stepsPerEra *= 3
    },
    Scenario(
      name: "group-commit", symptom: "a commit was answered or seen, and the sync that it shared had failed", kind: .flaky,
      plants: [
        "publishBeforeSync", "answerOnPendingBase", "ackByRunningSync", "pendingImagesShared", "barge", "retryFailedSync",
        "forgetSettled", "publishTooFar",
      ],
      budgetSeconds: 120
    ) { profile in
      profile.commitInGroups()
      profile.hasKeys = profile.stepsPerEra % 2 == 0
      profile.processCount = 1
      profile.cutCount = max(1, profile.cutCount)
      profile.faults[.syncKeepsView] = 12
      profile.faults[.syncRevertsView] = 12
      // A log that goes on, so that what has failed is written over.
      profile.autocheckpointFrames = 1000
      if profile.checkpointOneIn > 0 { profile.checkpointOneIn = 30 }
    },
    Scenario(
      name: "checkpoint-sync", symptom: "a checkpoint was told that the log is not on the disk, and the commit was not",
      kind: .flaky, plants: ["checkpointSyncsAlone"], budgetSeconds: 120
    ) { profile in
      profile.commitInGroups()
      profile.processCount = 1 + profile.stepsPerEra % 2
      profile.faults[.syncKeepsView] = 24
      profile.faults[.syncToldOnce] = 24
      profile.autocheckpointFrames = 4
      profile.checkpointOneIn = 4
      profile.reconnectOneIn = 4
      profile.stepsPerEra *= 2
    },
    Scenario(
      name: "outgrown-cache", symptom: "a transaction that is larger than its cache sees a file that never was", kind: .calm,
      plants: ["goOnWithHalfPlace"], budgetSeconds: 120
    ) { profile in
      profile.outgrowCaches()
      profile.buggifies = true
    },
    Scenario(
      name: "log-limit", symptom: "the log grows while somebody reads, until the disk is full", kind: .flaky,
      plants: ["appendAtLimit", "roomBeforeTurnOnly", "waitForRoomForEver"], budgetSeconds: 60
    ) { profile in
      profile.beConcurrent()
      profile.sizeLimitFrames = profile.stepsPerEra % 2 == 0 ? 12 : 30
      profile.clientCount = max(5, profile.clientCount)
      profile.pageSize = min(profile.pageSize, 2048)
      profile.cachePages = max(20, profile.cachePages)
      profile.operationCountMax = min(profile.operationCountMax, 6)
      profile.payloadMax = min(profile.payloadMax, 1_500)
      profile.busyTimeoutMilliseconds = 50
      profile.autocheckpointFrames = 1000
      profile.faults = FaultRates()
      profile.faults[.delay] = 8
      profile.faults[.stall] = 60
    },
  ]

  /// Scenarios whose feature the engine does not have yet.
  public static let due: [(name: String, symptom: String, reason: String)] = [
    ("vector-scale", "vector search fails beyond a thousand rows", "vectors do not exist yet"),
    ("json-maze", "\"malformed JSON\" for JSON that is well formed", "JSON does not exist yet"),
    ("cost", "an index is not used", "measured by `make bench` and `make compare`, which need SQLite"),
    (
      "pool-storm", "connections of a pool are lost",
      "the pool is tested with threads (`swift test --filter DoorTests`)"
    ),
    ("container", "\"permission denied\" in containers", "`apus-prove` refuses io_uring by the kernel (`make prove`)"),
  ]
}
