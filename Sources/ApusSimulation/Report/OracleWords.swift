// Oracles as files and options name them.

extension Finding.Oracle {
  /// The number, as "O4".
  public var number: String { String(rawValue.prefix { $0 != " " }) }

  public var word: String { rawValue }

  public init?(word: String) {
    guard let oracle = Self.allCases.first(where: { $0.rawValue == word || $0.number == word.prefix { $0 != " " } })
    else {
      return nil
    }
    self = oracle
  }
}
