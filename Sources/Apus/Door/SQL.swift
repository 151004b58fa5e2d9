// SQL as a type of its own: what is interpolated is bound, never pasted. A plain String does not compile.
// The word `unsafe` stands here as the label of the way round; no memory is concerned.

/// A statement's text and the values of its parameters.
///
/// ```swift
/// let statement: SQL = "SELECT name FROM user WHERE age >= \(minimum) AND city IN \(list: cities)"
/// ```
public struct SQL: ExpressibleByStringInterpolation, Sendable {
  /// The text, with a `?` for each value.
  public private(set) var text: String
  public private(set) var values: [DatabaseValue]

  public init(stringLiteral text: StaticString) {
    self.text = "\(text)"
    values = []
  }

  public init(stringInterpolation: Interpolation) {
    text = stringInterpolation.text
    values = stringInterpolation.values
  }

  /// Text that the program made itself. Never put into it what a user typed: pass that in `values`.
  public init(unsafe text: String, _ values: [any Bindable] = []) {
    self.text = text
    self.values = values.map(\.databaseValue)
  }

  /// The door's own statements.
  static func own(_ text: String) -> SQL { SQL(unsafe: text) }

  public struct Interpolation: StringInterpolationProtocol {
    var text = ""
    var values: [DatabaseValue] = []

    public init(literalCapacity: Int, interpolationCount: Int) {
      text.reserveCapacity(literalCapacity + 2 * interpolationCount)
      values.reserveCapacity(interpolationCount)
    }

    public mutating func appendLiteral(_ literal: StaticString) { text += literal.description }

    /// Binds a value.
    public mutating func appendInterpolation(_ value: some Bindable) {
      text += "?"
      values.append(value.databaseValue)
    }

    /// Binds a value, or NULL. Its own overload, since the compiler warns of interpolated optionals elsewhere.
    public mutating func appendInterpolation<T: Bindable>(_ value: T?) {
      text += "?"
      values.append(value.databaseValue)
    }

    /// Binds a list of values: `(?, ?, ?)`. An empty list is `()`, which is true of nothing after IN.
    public mutating func appendInterpolation(list: some Sequence<some Bindable>) {
      text += "("
      var separator = ""
      for value in list {
        text += separator + "?"
        separator = ", "
        values.append(value.databaseValue)
      }
      text += ")"
    }

    /// A name, quoted.
    public mutating func appendInterpolation(id name: String) {
      text += "\""
      for character in name.unicodeScalars {
        if character == "\"" { text += "\"" }
        text.unicodeScalars.append(character)
      }
      text += "\""
    }

    /// Another piece of SQL with its values.
    public mutating func appendInterpolation(_ fragment: SQL) {
      text += fragment.text
      values += fragment.values
    }
  }
}
