// What a run is told besides its seed or tape.

public struct RunSettings: Sendable {
  /// The kind of world; nil: the scenario's, or they take turns.
  public var kind: SimulationProfile.Kind?
  public var scenario: Scenario?

  public init(kind: SimulationProfile.Kind? = nil, scenario: Scenario? = nil) {
    self.kind = kind
    self.scenario = scenario
  }

  public func run(_ origin: ChoiceSource.Origin, records: Bool = false, keepsTrace: Bool = false) -> Verdict {
    let scenario = scenario
    return Simulation(
      ChoiceSource(origin, records: records), kind: kind ?? scenario?.kind, shape: { scenario?.shape(&$0) },
      keepsTrace: keepsTrace
    ).run()
  }
}
