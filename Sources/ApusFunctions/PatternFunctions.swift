// `like` and `glob`, the functions behind the operators. Source: https://sqlite.org/lang_expr.html#like

import ApusBase
import ApusVM

public enum PatternFunctions {
  /// Longest pattern; a longer one could take too long.
  static let patternByteCountMax = 50_000

  static let definitions: [FunctionDefinition] =
    likeDefinitions(isCaseSensitive: false) + [
      .scalar("glob", .exactly(2), [.deterministic, .innocuous, .isLike, .isCaseSensitive], glob)
    ]

  /// What `PRAGMA case_sensitive_like` registers.
  public static func likeDefinitions(isCaseSensitive: Bool) -> [FunctionDefinition] {
    let traits: FunctionTraits = [.deterministic, .innocuous, .isLike]
    if isCaseSensitive {
      return [
        .scalar("like", .exactly(2), traits.union(.isCaseSensitive), likeCaseSensitive),
        .scalar("like", .exactly(3), traits.union(.isCaseSensitive), likeCaseSensitive),
      ]
    }
    return [.scalar("like", .exactly(2), traits, like), .scalar("like", .exactly(3), traits, like)]
  }

  static func like(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    try match(&context, arguments, .like)
  }

  static func likeCaseSensitive(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    try match(&context, arguments, .likeCaseSensitive)
  }

  static func glob(_ context: inout FunctionContext, _ arguments: ValueRange) throws(Fault) {
    try match(&context, arguments, .glob)
  }

  // Blobs never match, as in SQLite built with LIKE_DOESNT_MATCH_BLOBS, which its makers recommend and Debian uses.
  private static func match(
    _ context: inout FunctionContext, _ arguments: ValueRange, _ kind: PatternMatch
  ) throws(Fault) {
    if arguments[0].kind == .blob || arguments[1].kind == .blob { return context.setInteger(0) }
    let pattern = context.text(arguments[0], .first)
    if pattern.count > patternByteCountMax { throw context.error("LIKE or GLOB pattern too complex") }
    var kind = kind
    if arguments.count == 3 {
      if arguments[2].isNull { return context.setNull() }
      let escape = context.text(arguments[2], .third).untilNUL()
      guard escape.count > 0, escape.characterEnd(0) == escape.count else {
        throw context.error("ESCAPE expression must be a single character")
      }
      kind.escape = escape.character(at: 0).code
      // A mark that is the escape character is no mark any more.
      if kind.escape == kind.anyRun { kind.anyRun = 0 }
      if kind.escape == kind.anyOne { kind.anyOne = 0 }
    }
    if arguments[0].isNull || arguments[1].isNull { return context.setNull() }
    context.setBoolean(kind.matches(pattern, context.text(arguments[1], .second)))
  }
}
