// The lines of EXPLAIN QUERY PLAN, in SQLite's words.

import ApusBase
import ApusSQL
import ApusVM

extension Generator {
  func explain(_ level: LoopLevel) {
    if builder.explainMode == 0 { return }
    let source = level.source, candidate = level.candidate
    let isSearch = candidate.equalityCount > 0 || candidate.flags.contains(.range) || candidate.flags.contains(.oneRow)
    if candidate.flags.contains(.multipleOr) { return }
    var text = isSearch || candidate.flags.contains(.automatic) ? "SEARCH " : "SCAN "
    text += name(of: source)
    if source.isSpaceWalk, !candidate.flags.contains(.automatic) { text += spacePlan(source) }
    if candidate.flags.contains(.automatic) {
      text += " USING AUTOMATIC COVERING INDEX ("
      text += candidate.terms.map { "\(source.columnName($0.column).text)=?" }.joined(separator: " AND ") + ")"
    } else if let index = candidate.index, let table = source.table {
      if index === table.primaryKeyIndex {
        if isSearch { text += " USING PRIMARY KEY" }
      } else {
        text += candidate.flags.contains(.covering) ? " USING COVERING INDEX " : " USING INDEX "
        text += index.name.text
      }
      if isSearch { text += " (\(conditions(candidate, index, source)))" }
    } else if candidate.flags.contains(.rowid), isSearch {
      text += " USING INTEGER PRIMARY KEY ("
      if candidate.equalityCount > 0 {
        text += "rowid=?"
      } else {
        var parts: [String] = []
        if candidate.flags.contains(.bottom) { parts.append("rowid>?") }
        if candidate.flags.contains(.top) { parts.append("rowid<?") }
        text += parts.joined(separator: " AND ")
      }
      text += ")"
    }
    if source.joinKind == .left { text += " LEFT-JOIN" }
    builder.explain(text, parent: planParent)
  }

  private func name(of source: Source) -> String {
    if let table = source.table, let alias = source.alias, alias != table.name { return alias.text }
    let schema = source.writtenSchema.map { $0.text + "." } ?? ""
    return schema + (source.table?.name.text ?? source.name)
  }

  private func conditions(_ candidate: LoopCandidate, _ index: CatalogIndex, _ source: Source) -> String {
    func column(_ place: Int) -> String {
      let number = index.columns[place].number
      return number == -1 ? "rowid" : number == -2 ? "<expr>" : source.columnName(number).text
    }
    var parts = (0..<candidate.equalityCount).map { "\(column($0))=?" }
    if candidate.flags.contains(.bottom) { parts.append("\(column(candidate.equalityCount))>?") }
    if candidate.flags.contains(.top) { parts.append("\(column(candidate.equalityCount))<?") }
    return parts.joined(separator: " AND ")
  }
}
