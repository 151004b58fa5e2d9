// A subquery in FROM that is a plain join becomes part of the join around it.
// Source: https://sqlite.org/optoverview.html#flattening

import ApusSQL

extension Rewrite {
  @Sendable static func flattenSubqueries(_ subject: Subject) {
    var place = 0
    while place < subject.query.sources.count {
      if canFlatten(subject, place) {
        flatten(subject, place)
      } else {
        place += 1
      }
    }
  }

  private static func canFlatten(_ subject: Subject, _ place: Int) -> Bool {
    let source = subject.query.sources[place]
    guard let select = source.select, !select.isCompound, select.recursiveArmStart == nil, select.limit == nil,
      select.orderBy.isEmpty, source.materialization != .materialized
    else { return false }
    let inner = select.arms[0]
    guard !inner.isValues, inner.aggregates == nil, !inner.isDistinct, !inner.sources.isEmpty,
      subject.query.sources.count + inner.sources.count <= CompilerSettings.joinTableCountMax,
      staysSmall(subject, source, inner)
    else { return false }
    if source.joinKind == .left {
      // The whole of the inner FROM must be there or not: one table only.
      return inner.sources.count == 1 && inner.sources[0].table != nil && !subject.query.isDistinct
    }
    if source.joinKind == .cross || subject.query.sources.dropFirst(place + 1).first?.joinKind == .cross {
      return inner.sources.count == 1
    }
    return true
  }

  // Views of views that use a column twice double its expression at each step, and add their heights.
  private static func staysSmall(_ subject: Subject, _ source: Source, _ inner: BoundQuery) -> Bool {
    let counts = inner.columns.map(\.expression.nodeCount)
    guard counts.contains(where: { $0 > 1 }) else { return true }
    var added = 0
    subject.walk { node in
      if case .column(let other, let number) = node.kind, other === source, number >= 0 { added += counts[number] }
      return added <= addedNodeCountMax
    }
    guard added <= addedNodeCountMax else { return false }
    let outer = max(subject.query.height, subject.orderBy.map(\.expression.height).max() ?? 0)
    return outer + (inner.columns.map(\.expression.height).max() ?? 0) <= Binder.nestingMax
  }

  /// Nodes that a subquery's columns may become in the query around it.
  private static let addedNodeCountMax = 50_000

  private static func flatten(_ subject: Subject, _ place: Int) {
    let query = subject.query
    let source = query.sources[place]
    guard let inner = source.select?.arms[0] else { return }
    let first = inner.sources[0]
    let isOuter = source.joinKind == .left
    // Replaces each column of the subquery by what it stands for.
    subject.walk { node in
      guard case .column(let other, let number) = node.kind, other === source, number >= 0 else { return true }
      replace(node, by: inner.columns[number].expression, isOuter ? first : nil)
      return false
    }
    let on = [source.on, isOuter ? inner.filter : nil, first.on].compactMap { $0 }
    first.on = conjunction(on)
    first.joinKind = source.joinKind
    if first.usingColumns.isEmpty { first.usingColumns = source.usingColumns }
    query.sources.replaceSubrange(place...place, with: inner.sources)
    if !isOuter { query.filter = conjunction([inner.filter, query.filter].compactMap { $0 }) }
    recomputeUse(of: inner.sources, subject)
  }

  static func conjunction(_ parts: [BoundExpression]) -> BoundExpression? {
    guard let first = parts.first else { return nil }
    return parts.dropFirst().reduce(first) { BoundExpression(.binary(.and, $0, $1)) }
  }

  /// Makes `node` mean `expression`; as a column's, its collation is no explicit one.
  static func replace(_ node: BoundExpression, by original: BoundExpression, _ nullable: Source?) {
    // Each place gets its own nodes: later rewrites change them in place.
    let expression = original.deepCopy()
    var isColumn = false
    // On the null row another query's column is NULL as well, though its own cursor stands on a row.
    if case .column(let source, _) = expression.kind, nullable == nil || source === nullable { isColumn = true }
    if isColumn {
      node.kind = expression.kind
    } else {
      // As a column it had a collation of its own, BINARY if no other.
      let name = expression.collation ?? "BINARY"
      let value = expression.withoutCollate
      node.kind = .collate(nullable.map { BoundExpression(.ifNullRow($0, value)) } ?? value, name)
    }
    node.hasCollate = false
  }

  static func recomputeUse(of sources: [Source], _ subject: Subject) {
    for source in sources { source.usedColumns = 0 }
    subject.walk { node in
      if case .column(let source, let number) = node.kind, sources.contains(where: { $0 === source }) {
        source.markUsed(number)
      }
      return true
    }
  }
}
