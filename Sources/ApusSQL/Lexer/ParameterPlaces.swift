// Where the parameters of a statement's text stand.

import ApusBase

/// A parameter in a text: its offset, its length with the sigil.
public struct ParameterPlace: Equatable, Sendable {
  public let offset: Int
  public let count: Int
}

extension SQLParser {
  /// The parameters of a text that has been parsed, in their order.
  public static func parameterPlaces(in text: ByteView) -> [ParameterPlace] {
    let lexer = Lexer(text)
    var places: [ParameterPlace] = []
    var offset = 0
    while true {
      let token = lexer.token(at: offset)
      let start = Int(token.start), end = Int(token.end)
      if token.kind == .endOfText || end <= start { return places }
      if token.kind == .variable { places.append(ParameterPlace(offset: start, count: end - start)) }
      offset = end
    }
  }
}
