// Whether a step of a write transaction comes through in spite of the waits that are injected into it. It looks at all its pages
// before it changes one, and a wait lets it begin again: along a chain of 16 pages, each of which is met by every fourth look, it
// would come through once in a hundred times, and a statement over many chains outlast every patience.

#if PlantedBugs
  struct StepPace {
    /// Waits behind which a step that has changed nothing is helped: more than chance gives most steps.
    private static let waitCountMax = 32
    /// Looks that are kept: those of a step along a chain, twice over.
    private static let lookCountMax = 128

    /// For pages, since the last change of one.
    private var waitCount = 0
    /// Since the last wait.
    private var looks: [UInt32] = []
    /// The looks before that wait, which the step does again, and how many of them are still to come.
    private var repeated: Set<UInt32> = []
    private var repeatedCount = 0

    var isSlow: Bool { waitCount >= Self.waitCountMax }

    /// Notes a look.
    /// - Returns: whether it is one that a slow step has done before its last wait: no other is injected there.
    mutating func spares(_ number: UInt32) -> Bool {
      if looks.count < Self.lookCountMax { looks.append(number) }
      guard isSlow, repeatedCount > 0, repeated.contains(number) else { return false }
      repeatedCount -= 1
      return true
    }

    mutating func noteWait() {
      waitCount += 1
      if isSlow {
        repeated = Set(looks)
        repeatedCount = looks.count
      }
      looks.removeAll(keepingCapacity: true)
    }

    mutating func noteChange() {
      if waitCount == 0 && looks.isEmpty { return }
      waitCount = 0
      repeatedCount = 0
      looks.removeAll(keepingCapacity: true)
    }
  }
#endif
