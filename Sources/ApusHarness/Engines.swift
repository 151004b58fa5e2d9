// The engines by name.

public enum Engines {
  /// - Parameter name: "apus", "sqlite" (the system's), or the path of a libsqlite3.so.0.
  public static func named(_ name: String) throws(EngineFailure) -> any HarnessEngine {
    switch name {
    case "sqlite": return try SQLiteLibrary()
    case "apus": throw EngineFailure(code: 1, message: "not supported: this build has no engine yet")
    default: return try SQLiteLibrary(path: name)
    }
  }
}
