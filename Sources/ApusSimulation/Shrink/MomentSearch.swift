// When did the failure become inevitable? The run is replayed up to a step, and everything behind it is drawn anew, many times:
// the share of these runs that fails is low while nothing has happened yet, and near 1 behind the moment.

public struct MomentSearch {
  public struct Point: Sendable {
    public var step: Int
    public var failedCount: Int
    public var runCount: Int

    public var share: Double { Double(failedCount) / Double(max(1, runCount)) }
  }

  /// The seeds of the suffixes, for each step the same.
  public static let runCountUsual = 64
  /// So many steps are tried first, evenly spread.
  private static let gridCount = 12
  /// Most steps that are tried: a curve that is flat has no moment.
  private static let pointCountMax = 28

  private let lastStep: Int
  private let runCount: Int
  private let fails: (_ step: Int, _ seed: UInt64) -> Bool
  public private(set) var points: [Point] = []

  /// - Parameters:
  ///   - lastStep: in which the run failed.
  ///   - fails: whether the run fails in the same way that is replayed before `step`, and drawn from `seed` behind it.
  public init(lastStep: Int, runCount: Int = runCountUsual, fails: @escaping (_ step: Int, _ seed: UInt64) -> Bool) {
    self.lastStep = lastStep
    self.runCount = runCount
    self.fails = fails
  }

  /// Looks at a grid of steps, then closer where the share rises most.
  /// - Returns: the step before and the step behind the steepest rise.
  public mutating func search() -> (before: Point, behind: Point)? {
    let end = lastStep + 1
    for place in 0...Self.gridCount { measure(place * end / Self.gridCount) }
    while let rise = steepest, rise.behind.step - rise.before.step > 1,
      points.count < Self.pointCountMax
    {
      let middle = (rise.before.step + rise.behind.step) / 2
      if points.contains(where: { $0.step == middle }) { break }
      measure(middle)
    }
    return steepest
  }

  private var steepest: (before: Point, behind: Point)? {
    zip(points, points.dropFirst()).max { $0.1.share - $0.0.share < $1.1.share - $1.0.share }
      .map { (before: $0.0, behind: $0.1) }
  }

  private mutating func measure(_ step: Int) {
    if points.contains(where: { $0.step == step }) { return }
    var point = Point(step: step, failedCount: 0, runCount: runCount)
    for seed in 1...UInt64(runCount) where fails(step, seed) { point.failedCount += 1 }
    points.append(point)
    points.sort { $0.step < $1.step }
  }
}
