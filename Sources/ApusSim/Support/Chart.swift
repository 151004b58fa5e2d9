// Plots as inline SVG: bars, dots on a logarithmic axis, a heat map. Colours come from the page's style, so that both the light
// and the dark one are readable; every mark says its value in a tooltip.

import Glibc

enum Chart {
  struct Bar {
    var label: String
    var value: Double
    /// What stands behind the bar.
    var text: String
    /// "bad" where it must be seen.
    var style = "bar"
  }

  private static let rowHeight = 20, labelWidth = 230, plotWidth = 420, textWidth = 150

  static func escaped(_ text: String) -> String {
    text.map { character in
      switch character {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      case "\"": "&quot;"
      default: String(character)
      }
    }.joined()
  }

  private static func svg(width: Int, height: Int, _ title: String, _ body: String) -> String {
    "<svg viewBox=\"0 0 \(width) \(height)\" width=\"\(width)\" height=\"\(height)\" role=\"img\" "
      + "aria-label=\"\(escaped(title))\">\(body)</svg>"
  }

  private static func label(_ text: String, _ row: Int) -> String {
    "<text class=\"label\" x=\"\(labelWidth - 8)\" y=\"\(row * rowHeight + 14)\" text-anchor=\"end\">\(escaped(text))</text>"
  }

  /// A horizontal bar for each value, all from zero.
  static func bars(_ title: String, _ bars: [Bar]) -> String {
    let largest = max(bars.map(\.value).max() ?? 0, 1e-9)
    var body = ""
    for (row, bar) in bars.enumerated() {
      let width = bar.value > 0 ? max(2, Int(bar.value / largest * Double(plotWidth))) : 0
      let y = row * rowHeight + 3
      body += label(bar.label, row)
      body += "<rect class=\"track\" x=\"\(labelWidth)\" y=\"\(y)\" width=\"\(plotWidth)\" height=\"14\" rx=\"3\"/>"
      body += "<rect class=\"\(bar.style)\" x=\"\(labelWidth)\" y=\"\(y)\" width=\"\(width)\" height=\"14\" rx=\"3\">"
      body += "<title>\(escaped(bar.label)): \(escaped(bar.text))</title></rect>"
      body += "<text class=\"value\" x=\"\(labelWidth + plotWidth + 8)\" y=\"\(y + 11)\">\(escaped(bar.text))</text>"
    }
    return svg(width: labelWidth + plotWidth + textWidth, height: bars.count * rowHeight + 4, title, body)
  }

  /// A dot for each value on a logarithmic axis; nil stands at the end, as "not found".
  static func dots(
    _ title: String, _ rows: [(label: String, value: Double?, text: String)], limit: Double, unit: String
  ) -> String {
    let end = log10(max(10, limit))
    func x(_ value: Double) -> Int { labelWidth + Int(log10(max(1, value)) / end * Double(plotWidth)) }
    let height = rows.count * rowHeight + 30
    var body = ""
    for decade in 0...Int(end.rounded(.up)) {
      let value = pow(10, Double(decade))
      if value > limit * 1.01 { continue }
      body += "<line class=\"grid\" x1=\"\(x(value))\" y1=\"0\" x2=\"\(x(value))\" y2=\"\(height - 26)\"/>"
      body +=
        "<text class=\"value\" x=\"\(x(value))\" y=\"\(height - 10)\" text-anchor=\"middle\">\(grouped(Int(value)))</text>"
    }
    body += "<text class=\"value\" x=\"\(labelWidth + plotWidth + 8)\" y=\"\(height - 10)\">\(escaped(unit))</text>"
    for (row, entry) in rows.enumerated() {
      let y = row * rowHeight + 10
      let place = entry.value.map(x) ?? labelWidth + plotWidth
      body += label(entry.label, row)
      body += "<line class=\"track-line\" x1=\"\(labelWidth)\" y1=\"\(y)\" x2=\"\(place)\" y2=\"\(y)\"/>"
      body += "<circle class=\"\(entry.value == nil ? "bad" : "bar")\" cx=\"\(place)\" cy=\"\(y)\" r=\"5\">"
      body += "<title>\(escaped(entry.label)): \(escaped(entry.text))</title></circle>"
      body += "<text class=\"value\" x=\"\(labelWidth + plotWidth + 12)\" y=\"\(y + 4)\">\(escaped(entry.text))</text>"
    }
    return svg(width: labelWidth + plotWidth + 260, height: height, title, body)
  }

  /// A cell for each pair, darker where there is more, on a logarithmic scale of each column's own.
  static func heat(_ title: String, rows: [String], columns: [String], _ values: [[Int]]) -> String {
    let cellWidth = 92
    var body = ""
    for (column, name) in columns.enumerated() {
      let middle = labelWidth + column * cellWidth + cellWidth / 2
      body += "<text class=\"label\" x=\"\(middle)\" y=\"14\" text-anchor=\"middle\">\(escaped(name))</text>"
    }
    let largest = max(values.joined().max() ?? 0, 1)
    for (row, name) in rows.enumerated() {
      body += label(name, row + 1)
      for (column, value) in values[row].enumerated() {
        let x = labelWidth + column * cellWidth, y = (row + 1) * rowHeight + 1
        let strength = value == 0 ? 0 : 0.15 + 0.85 * log(Double(value) + 1) / log(Double(largest) + 1)
        body +=
          "<rect class=\"track\" x=\"\(x + 1)\" y=\"\(y)\" width=\"\(cellWidth - 2)\" height=\"\(rowHeight - 2)\" rx=\"2\"/>"
        if value > 0 {
          body += "<rect class=\"bar\" style=\"opacity:\(decimals(strength * 0.75, 2))\" x=\"\(x + 1)\" y=\"\(y)\" "
          body += "width=\"\(cellWidth - 2)\" height=\"\(rowHeight - 2)\" rx=\"2\">"
          body += "<title>\(escaped(name)), \(escaped(columns[column])): \(value)</title></rect>"
        }
        body += "<text class=\"\(value == 0 ? "faint" : "value")\" x=\"\(x + cellWidth / 2)\" y=\"\(y + 13)\" "
        body += "text-anchor=\"middle\">\(value == 0 ? "·" : grouped(value))</text>"
      }
    }
    return svg(width: labelWidth + columns.count * cellWidth + 4, height: (rows.count + 1) * rowHeight + 4, title, body)
  }

  /// One mark for each value, in order: how it is spread.
  static func strip(_ title: String, _ marks: [(value: Double, text: String, isBad: Bool)], unit: String) -> String {
    let width = 820, height = 150, base = 120
    let largest = max(marks.map(\.value).max() ?? 0, 1e-9)
    var body = "<line class=\"grid\" x1=\"0\" y1=\"\(base)\" x2=\"\(width)\" y2=\"\(base)\"/>"
    for (place, mark) in marks.enumerated() {
      let x = decimals(Double(place) * Double(width - 8) / Double(max(1, marks.count - 1)) + 4, 1)
      let y = decimals(Double(base) - mark.value / largest * Double(base - 10), 1)
      body += "<circle class=\"\(mark.isBad ? "bad" : "bar")\" cx=\"\(x)\" cy=\"\(y)\" r=\"\(mark.isBad ? 5 : 2.2)\">"
      body += "<title>\(escaped(mark.text))</title></circle>"
    }
    body += "<text class=\"value\" x=\"4\" y=\"12\">\(escaped(decimals(largest, 0) + " " + unit))</text>"
    body += "<text class=\"value\" x=\"4\" y=\"\(height - 10)\">seeds, in order</text>"
    return svg(width: width, height: height, title, body)
  }
}
