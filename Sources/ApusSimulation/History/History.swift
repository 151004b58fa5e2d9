// What a run's transactions did to lists of numbers, as its clients saw it: the input of the isolation checker.
//
// Each transaction appends numbers to lists and reads lists. A number is appended once in a whole history, so a list that was
// read says which transactions came before, in their order. Nothing here knows how the engine works.

public struct History: Sendable {
  public enum Action: Equatable, Sendable {
    case append(key: Int, value: Int)
    case read(key: Int, values: [Int])
  }

  public enum Outcome: Sendable {
    case committed
    /// A crash lay between the question and the answer: it counts if somebody has seen it.
    case unknown
    case aborted
  }

  public struct Transaction: Sendable {
    /// For the report: the client, the statements' place in the trace.
    public var name: String
    public var actions: [Action]
    public var outcome: Outcome
    /// Moments of one clock: before its first statement, and behind the answer to its COMMIT. Only their order counts.
    public var begin: Int
    public var end: Int
    /// Its reads are those of one snapshot, and need not hold where its appends are.
    public var isAtSnapshot: Bool

    public init(
      _ name: String, _ actions: [Action], _ outcome: Outcome = .committed, begin: Int, end: Int, isAtSnapshot: Bool = false
    ) {
      self.isAtSnapshot = isAtSnapshot
      self.name = name
      self.actions = actions
      self.outcome = outcome
      self.begin = begin
      self.end = end
    }
  }

  public var transactions: [Transaction]

  public init(_ transactions: [Transaction] = []) { self.transactions = transactions }
}
