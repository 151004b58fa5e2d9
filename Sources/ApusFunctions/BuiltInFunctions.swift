// All functions that come with the engine.

import ApusVM

public enum BuiltInFunctions {
  /// The library that every connection starts with.
  public static let library = FunctionLibrary(
    TextFunctions.definitions + LiteralFunctions.definitions + ValueFunctions.definitions
      + ConnectionFunctions.definitions + FormatFunction.definitions + PatternFunctions.definitions
      + MathFunctions.definitions + DateTimeFunctions.definitions
      + SumFunctions.definitions + ExtremeFunctions.definitions + GroupConcatFunctions.definitions
      + PercentileFunctions.definitions)
}
