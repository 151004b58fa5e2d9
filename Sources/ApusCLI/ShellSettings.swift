// What dot commands and options set.

enum OutputMode: String, CaseIterable {
  case box, column, csv, insert, json, line, list, markdown, quote, table, tabs
}

struct ShellSettings {
  var mode = OutputMode.list
  var showsHeader = false
  /// True once the user has said whether headers are wanted: `.mode column` then leaves them alone.
  var isHeaderChosen = false
  var columnSeparator = "|"
  var rowSeparator = "\n"
  var nullText = ""
  var insertTable = "table"
  var widths: [Int] = []
  /// The widest that `.width` makes a column, as in SQLite's shell: what is wider is padded for nothing.
  static let widthMax = 10_000
  var showsTime = false
  var showsChanges = false
  var echoes = false
  var bails = false
  /// In `insert` mode, line breaks are written as `replace('...','\n',char(10))`, so that each row stays on a line.
  var escapesNewlines = true
  var mainPrompt = "apus> "
  var continuePrompt = " ...> "

  /// Switches the mode and what goes with it, as `.mode` does.
  mutating func select(_ mode: OutputMode) {
    self.mode = mode
    switch mode {
    case .column: if !isHeaderChosen { showsHeader = true }
    case .list: (columnSeparator, rowSeparator) = ("|", "\n")
    case .tabs: columnSeparator = "\t"
    case .csv: (columnSeparator, rowSeparator) = (",", "\r\n")
    case .quote: (columnSeparator, rowSeparator) = (",", "\n")
    case .box, .insert, .json, .line, .markdown, .table: break
    }
  }
}
