// The text that `sqlite_schema` stores for an object: a normalised heading, then the writer's own words from the
// object's unqualified name on.

import ApusBase

extension CreateTable {
  /// The stored text of a table that was created with columns; `text` is what was parsed.
  public func schemaText(_ text: ByteView) -> String { "CREATE TABLE " + text.string(definition) }
}

extension CreateIndex {
  public func schemaText(_ text: ByteView) -> String {
    (isUnique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ") + text.string(definition)
  }
}

extension CreateView {
  public func schemaText(_ text: ByteView) -> String { "CREATE VIEW " + text.string(definition) }
}

extension CreateTrigger {
  public func schemaText(_ text: ByteView) -> String { "CREATE TRIGGER " + text.string(definition) }
}

extension CreateVirtualTable {
  public func schemaText(_ text: ByteView) -> String { "CREATE VIRTUAL TABLE " + text.string(definition) }
}

extension ByteView {
  /// The bytes of a span of this text; for names of result columns, checks and stored definitions.
  public func string(_ span: SourceSpan) -> String {
    let start = min(max(Int(span.start), 0), count)
    let end = min(max(Int(span.end), start), count)
    return slice(start, end - start).string
  }
}
