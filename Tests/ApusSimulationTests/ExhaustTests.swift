// The exhaustive crashes and drops, in small: what `apus-sim exhaust` and `apus-sim cancel-all` do in full.

import ApusSimulation
import Testing

@Suite("Every case, in small")
struct ExhaustTests {
  @Test(
    "a workload of one statement survives a cut at each point", arguments: ExhaustJournal.allCases, [0, 3, 5, 7, 11])
  func survivesCuts(journal: ExhaustJournal, letter: Int) throws {
    let result = try ExhaustRun(journal).run([letter])
    #expect(result.failures.isEmpty, "\(result.failures.map(\.description).joined(separator: "\n"))")
    #expect(result.pointCount > 2 && result.crashCount == 5 * result.pointCount)
  }

  @Test("all workloads of two statements are 156")
  func countsWorkloads() { #expect(ExhaustRun.workloads(length: 2).count == 12 + 144) }

  @Test("at least fifty kinds of statement are dropped")
  func countsKinds() { #expect(CancelKind.all.count >= 50) }

  @Test("a statement that was dropped has never begun", arguments: [0, 13, 15, 26, 35, 44])
  func dropsStatement(number: Int) {
    for setting in CancelSetting.all where setting.cachePages < 500 {
      let result = CancelRun(CancelKind.all[number], setting).run()
      #expect(result.failures.isEmpty, "\(result.failures.first?.description ?? "")")
    }
  }
}
