// Files that grow and shrink: for some commits most changes are many new rows, then most of those go. Trees become deep and
// collapse, the freelist gets long and is used up, the file's end goes and comes back, and each of that inside savepoints,
// statements that are undone and COMMITs that are dropped, as everywhere. Inserts and deletes that take turns at random leave a
// file as it is.

import ApusBase

extension SimulationProfile {
  mutating func drawTide(_ choices: ChoiceStream) {
    if isConcurrent || !choices.oneIn(4, .hasTide) { return }
    tide = choices.pick([2, 1, 4], .tide)
    keyCount = max(keyCount, choices.pick([200, 400], .keyCount))
    payloadMax = min(payloadMax, 1_500)
    pageSize = min(pageSize, choices.pick([512, 1024], .pageSize))
    operationCountMax = max(operationCountMax, 6)
    auditEvery = max(auditEvery, 3)
    autoVacuum = choices.pick([autoVacuum, 0, 1, 2], .autoVacuum)
    savepointOneIn = min(savepointOneIn, choices.pick([10, 4], .savepointOneIn))
    if kind == .calm || theme != .none || isVolatile || switchOneIn > 0 || !choices.oneIn(2, .tideCommitsAgain) { return }
    // COMMITs that are dropped when the file's end has gone, behind savepoints from before.
    theme = .commitsAgainOften
    haveJournal(choices)
    if journal != .wal { sizeLimitFrames = 0 }
    hasLists = false
    clientCount = min(clientCount, 2)
    processCount = min(processCount, clientCount)
    cachePages = choices.pick([5, 10, 20], .cachePages)
    stepsPerEra = stepsPerEra * 3 / 2
    cancelOneIn = 8
    dropsCommits = true
    savepointOneIn = 3
    rollbackOneIn = 10
    autoVacuum = choices.pick([1, 1, 2], .autoVacuum)
  }
}

extension World {
  /// Nearly every second change is one of the tide; nil: something else comes.
  func operationOfTide(_ choices: ChoiceStream, _ model: DatabaseModel) -> Operation? {
    guard profile.tide > 0, choices.oneIn(2, .followsTide) else { return nil }
    // What is full from the beginning is emptied first.
    let isFlood = (commitCount / profile.tide + (profile.initialRowCount > 0 ? 1 : 0)) % 2 == 0
    return isFlood ? generator.growth(choices, model) : generator.shrinking(choices, model)
  }
}

extension OperationGenerator {
  /// What gives pages back: many rows, of a table that is there.
  func shrinking(_ choices: ChoiceStream, _ model: DatabaseModel) -> Operation {
    let table = choices.pick(model.presentTables, .table)
    let id = Int64(choices.below(keyCount, .key))
    switch choices.below(4, .tideKind) {
    // From here to the end of the table, or to here from its beginning.
    case 0: return .deleteRange(table: table, ids: id...Int64(1 << 30))
    case 1: return .deleteRange(table: table, ids: 0...id)
    case 2:
      let k = Int64(choices.below(14, .wantedK))
      return .deleteByIndex(table: table, ks: k...k + Int64(choices.below(12, .wantedSpan)))
    default: return .deleteRange(table: table, ids: id...id + Int64(choices.below(keyCount, .span)))
    }
  }
}
