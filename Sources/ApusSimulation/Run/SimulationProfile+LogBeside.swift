// Transactions over two files that cannot become durable together: one has a journal, the other a log. Each is atomic for itself,
// and what the power or an error leaves may be of two transactions. What is dropped at a wait is undone as a whole, or finished
// as a whole: that is looked at here, by a connection that is alone.

import ApusBase

extension SimulationProfile {
  mutating func drawLogBeside(_ choices: ChoiceStream) {
    guard attaches, journal != .wal, !isVolatile, switchOneIn == 0, choices.oneIn(4, .hasLogBeside) else { return }
    otherHasLog = true
    clientCount = 1
    processCount = 1
    cutCount = 0
    probesRecovery = false
    for fault in FaultKind.allCases where !fault.isHarmlessWithoutJournal { faults[fault] = 0 }
    faults[.foreignHolder] = 0
    faults[.pageBudget] = 0
    pageCountMax = 0
    autocheckpointFrames = choices.pick([4, 8, 30, 0], .autocheckpointFrames)
    if kind == .calm { return }
    cancelOneIn = choices.pick([8, 50], .cancelOneIn)
    dropsCommits = true
  }
}
