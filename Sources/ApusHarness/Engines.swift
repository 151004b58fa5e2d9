// The engines by name.

public enum Engines {
  /// - Parameter name: "apus", "sqlite" (the system's), or the path of a libsqlite3.so.0.
  public static func named(_ name: String) throws(EngineFailure) -> any HarnessEngine {
    switch name {
    case "sqlite": return try SQLiteLibrary()
    case "apus": return ApusEngine()
    default: return try SQLiteLibrary(path: name)
    }
  }
}
