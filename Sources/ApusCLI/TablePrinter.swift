// Prints a whole result in columns: box, table, markdown and column mode. All rows are read before the first is printed.

struct TablePrinter {
  /// How a mode draws its lines. A border is (left, fill, cross, right).
  private struct Frame {
    var top: (String, String, String, String)?
    var header: (String, String, String, String)
    var between: (String, String, String, String)?
    var bottom: (String, String, String, String)?
    var left: String, middle: String, right: String
    var centersHeader: Bool
  }

  private static func frame(of mode: OutputMode) -> Frame {
    switch mode {
    case .box:
      Frame(
        top: ("┌─", "─", "─┬─", "─┐"), header: ("├─", "─", "─┼─", "─┤"), between: ("├─", "─", "─┼─", "─┤"),
        bottom: ("└─", "─", "─┴─", "─┘"), left: "│ ", middle: " │ ", right: " │", centersHeader: true)
    case .table:
      Frame(
        top: ("+-", "-", "-+-", "-+"), header: ("+-", "-", "-+-", "-+"), between: ("+-", "-", "-+-", "-+"),
        bottom: ("+-", "-", "-+-", "-+"), left: "| ", middle: " | ", right: " |", centersHeader: true)
    case .markdown:
      Frame(
        top: nil, header: ("|-", "-", "-|-", "-|"), between: nil, bottom: nil, left: "| ", middle: " | ", right: " |",
        centersHeader: true)
    default:
      Frame(
        top: nil, header: ("", "-", "  ", ""), between: nil, bottom: nil, left: "", middle: "  ", right: "",
        centersHeader: false)
    }
  }

  private struct Cell {
    var lines: [[UInt8]]
    var width: Int
  }

  let settings: ShellSettings
  let output: ShellOutput
  private let names: [String]
  private var rows: [[Cell]] = []
  private var hasLongRows = false

  init(_ settings: ShellSettings, _ output: ShellOutput, names: [String]) {
    self.settings = settings
    self.output = output
    self.names = names
  }

  mutating func row(_ statement: SessionStatement) {
    let cells = names.indices.map { column -> Cell in
      let isNull = statement.kind(column) == .null
      return cell(isNull ? Array(settings.nullText.utf8) : statement.text(column), limit: limit(column))
    }
    if cells.contains(where: { $0.lines.count > 1 }) { hasLongRows = true }
    rows.append(cells)
  }

  private func limit(_ column: Int) -> Int? {
    guard column < settings.widths.count, settings.widths[column] != 0 else { return nil }
    return Int(clamping: settings.widths[column].magnitude)
  }

  private func cell(_ bytes: [UInt8], limit: Int?) -> Cell {
    var lines: [[UInt8]] = [[]]
    var width = 0, widest = 0
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      if byte == 0x0a {
        lines.append([])
        width = 0
        index += 1
        continue
      }
      let (length, columns) = TextWidth.character(bytes, at: index)
      if let limit, width + columns > limit, width > 0 {
        lines.append([])
        width = 0
      }
      if byte == 0x09 {
        let spaces = 8 - width % 8
        lines[lines.count - 1] += [UInt8](repeating: 0x20, count: spaces)
        width += spaces
      } else {
        lines[lines.count - 1] += bytes[index..<index + length]
        width += columns
      }
      widest = max(widest, width)
      index += length
    }
    return Cell(lines: lines, width: widest)
  }

  func finish() {
    guard !rows.isEmpty else { return }
    let frame = TablePrinter.frame(of: settings.mode)
    let showsHeader = settings.mode != .column || settings.showsHeader
    let heads = names.map { cell(Array($0.utf8), limit: nil) }
    var widths = names.indices.map { column in
      max(showsHeader ? heads[column].width : 0, rows.reduce(0) { max($0, $1[column].width) })
    }
    for column in names.indices { if let limit = limit(column) { widths[column] = max(widths[column], limit) } }

    func border(_ parts: (String, String, String, String)?) {
      guard let (left, fill, cross, right) = parts else { return }
      output.write(left + widths.map { String(repeating: fill, count: $0) }.joined(separator: cross) + right + "\n")
    }
    func line(_ cells: [Cell], _ index: Int, centered: Bool) {
      output.write(frame.left)
      for (column, cell) in cells.enumerated() {
        if column > 0 { output.write(frame.middle) }
        let bytes = index < cell.lines.count ? cell.lines[index] : []
        let space = max(0, widths[column] - TextWidth.columns(of: bytes))
        let isRight = column < settings.widths.count && settings.widths[column] < 0
        let before = centered ? space / 2 : isRight ? space : 0
        output.write(byte: 0x20, count: before)
        output.write(bytes)
        output.write(byte: 0x20, count: space - before)
      }
      output.write(frame.right + "\n")
    }

    if showsHeader {
      border(frame.top)
      line(heads, 0, centered: frame.centersHeader)
      border(frame.header)
    } else {
      border(frame.top)
    }
    for (number, cells) in rows.enumerated() {
      if hasLongRows, number > 0 {
        if settings.mode == .column { output.write("\n") } else { border(frame.between) }
      }
      let height = cells.map(\.lines.count).max() ?? 1
      for index in 0..<height { line(cells, index, centered: false) }
    }
    border(frame.bottom)
  }
}

/// How many terminal columns text takes.
enum TextWidth {
  static func columns(of bytes: [UInt8]) -> Int {
    var index = 0, count = 0
    while index < bytes.count {
      let (length, width) = character(bytes, at: index)
      index += length
      count += width
    }
    return count
  }

  /// The byte length of the character at `index`, and its columns: 0 for combining marks, 2 for wide East Asian ones.
  static func character(_ bytes: [UInt8], at index: Int) -> (length: Int, columns: Int) {
    let first = bytes[index]
    if first < 0x80 { return (1, first < 0x20 ? 0 : 1) }
    let length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1
    guard length > 1, index + length <= bytes.count else { return (1, 1) }
    var scalar = UInt32(first) & (0xff >> UInt32(length + 1))
    for byte in bytes[(index + 1)..<(index + length)] {
      guard byte & 0xc0 == 0x80 else { return (1, 1) }
      scalar = scalar << 6 | UInt32(byte & 0x3f)
    }
    switch scalar {
    case 0x300...0x36f, 0x200b...0x200f, 0xfe00...0xfe0f: return (length, 0)
    case 0x1100...0x115f, 0x2e80...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60,
      0xffe0...0xffe6, 0x1f300...0x1faff, 0x20000...0x3fffd:
      return (length, 2)
    default: return (length, 1)
    }
  }
}
