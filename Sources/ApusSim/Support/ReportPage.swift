// The page that `report` writes: everything in it, nothing fetched.

import ApusSimulation

struct ReportPage {
  var totals: SeedTotals
  var reports: [SeedReport]
  /// Lines of MutantResult.
  var mutants: [FieldLine]
  var seconds: Double

  private static let style = """
    :root{--ground:#fbfaf8;--text:#1d1d1f;--faint:#8a8a8e;--track:#ecebe7;--bar:#2a6fb0;--bad:#c4361c;--good:#2c7a3f;--line:#dcdad4}
    @media(prefers-color-scheme:dark){:root{--ground:#17181a;--text:#ececec;--faint:#8f9194;--track:#25272a;--bar:#6aaee6;
    --bad:#ff7a5c;--good:#6fc284;--line:#34373b}}
    body{background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:40px auto;
    padding:0 20px}h1{font-size:28px;margin:0 0 4px}h2{font-size:19px;margin:44px 0 6px}p{margin:4px 0 12px;color:var(--faint)}
    .tiles{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0}.tile{border:1px solid var(--line);border-radius:8px;
    padding:10px 16px;min-width:110px}.tile b{display:block;font-size:24px;font-weight:600}.tile span{color:var(--faint)}
    .tile.bad b{color:var(--bad)}.tile.good b{color:var(--good)}
    svg{max-width:100%;height:auto;font:12px system-ui,sans-serif;display:block;margin:8px 0 18px}
    .label,.value{fill:var(--text)}.faint{fill:var(--faint)}.track{fill:var(--track)}.bar{fill:var(--bar)}.bad{fill:var(--bad)}
    .grid,.track-line{stroke:var(--line);stroke-width:1}.track-line{stroke-width:2}
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:3px 10px 3px 0;border-bottom:1px solid var(--line);
    vertical-align:top}th{color:var(--faint);font-weight:400}code{font:13px ui-monospace,monospace}
    """

  var html: String {
    """
    <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
    <title>apus-sim report</title><style>\(Self.style)</style></head><body>
    <h1>apus-sim</h1><p>What the simulator exercises, and what it finds. Every mark says its value when pointed at.</p>
    \(tiles)\(failures)\(seeds)\(mutation)\(faults)\(buggify)\(features)\(slowest)
    </body></html>

    """
  }

  // MARK: what was run

  private var tiles: String {
    func tile(_ value: String, _ name: String, _ style: String = "") -> String {
      "<div class=\"tile \(style)\"><b>\(value)</b><span>\(name)</span></div>"
    }
    let failed = totals.failureCount
    var tiles = [
      tile(grouped(totals.seedCount), "seeds"), tile(grouped(failed), "failed", failed == 0 ? "good" : "bad"),
      tile(grouped(totals.commitCount), "commits"), tile(grouped(totals.cutCount), "power cuts"),
      tile(grouped(totals.droppedCount), "dropped statements"), tile(grouped(totals.eventCount), "events"),
      tile(decimals(Double(totals.seedCount) / max(0.001, seconds), 1), "seeds a second"),
    ]
    let scored = mutants.filter { $0.text("layer") != "canary" }
    if !scored.isEmpty {
      let killed = scored.count { $0.number("killed") == 1 }
      tiles.append(tile("\(killed) of \(scored.count)", "planted bugs found", killed == scored.count ? "good" : ""))
    }
    return "<div class=\"tiles\">\(tiles.joined())</div>"
  }

  private var failures: String {
    let failed = reports.filter { $0.finding != nil }
    if failed.isEmpty { return "" }
    let rows = failed.prefix(30).map { report in
      "<tr><td>\(report.seed)</td><td>\(Chart.escaped(report.finding?.oracle.rawValue ?? ""))</td>"
        + "<td>\(Chart.escaped(report.finding?.text ?? ""))</td><td><code>apus-sim replay \(report.seed)</code></td></tr>"
    }
    return "<h2>Findings</h2><table><tr><th>seed<th>oracle<th>what<th>again</tr>\(rows.joined())</table>"
  }

  private var seeds: String {
    let marks = reports.map { report in
      (
        value: Double(report.microseconds) / 1000,
        text: "seed \(report.seed): \(report.microseconds / 1000) ms, \(report.profile)", isBad: report.finding != nil
      )
    }
    let worlds = totals.features.filter { $0.key.hasPrefix("world ") }.sorted { $0.key < $1.key }
    let bars = worlds.map {
      Chart.Bar(label: String($0.key.dropFirst(6)), value: Double($0.value), text: "\($0.value) seeds")
    }
    return "<h2>Seeds</h2><p>How long each took, in milliseconds; one that failed is large and red.</p>"
      + Chart.strip("milliseconds by seed", marks, unit: "ms") + Chart.bars("seeds by kind of world", bars)
  }

  private var slowest: String {
    let rows = reports.sorted { $0.microseconds > $1.microseconds }.prefix(8).map { report in
      "<tr><td>\(report.seed)</td><td>\(report.microseconds / 1000) ms</td><td>\(grouped(report.eventCount))</td>"
        + "<td>\(Chart.escaped(report.profile))</td></tr>"
    }
    return "<h2>Slowest seeds</h2><table><tr><th>seed<th>time<th>events<th>profile</tr>\(rows.joined())</table>"
  }

  // MARK: what it exercised

  private var faults: String {
    let names = FaultKind.allCases.map(\.name)
    let columns = ["injected", "retried", "surfaced", "healed"]
    let values = names.map { name -> [Int] in
      let tally = totals.faults[name] ?? FaultTally()
      return [tally.injected, tally.retried, tally.surfaced, tally.healed]
    }
    let missing = names.filter { totals.faults[$0] == nil }
    let note = missing.isEmpty ? "Every kind was met." : "Not met: " + missing.joined(separator: ", ") + "."
    return "<h2>Faults</h2><p>How often each was injected, and what became of it. \(Chart.escaped(note))</p>"
      + Chart.heat("faults and what became of them", rows: names, columns: columns, values)
  }

  private var buggify: String {
    if BuggifyNames.all.isEmpty { return "" }
    let bars = BuggifyNames.all.map { name -> Chart.Bar in
      let count = totals.buggifyHits[name] ?? 0
      return Chart.Bar(label: name, value: Double(count), text: count == 0 ? "never" : grouped(count), style: "bar")
    }
    let hit = bars.count { $0.value > 0 }
    return "<h2>Buggify points</h2><p>\(hit) of \(bars.count) points in the engine fired.</p>"
      + Chart.bars("buggify hits", bars)
  }

  private var features: String {
    let features = totals.features.filter { !$0.key.hasPrefix("world ") && !$0.key.hasPrefix("fault ") }
    let bars = features.sorted { Self.key($0.key) < Self.key($1.key) }.map { name, count in
      Chart.Bar(
        label: name, value: Double(count),
        text: "\(decimals(100 * Double(count) / Double(max(1, totals.seedCount)), 0)) %")
    }
    return "<h2>Features</h2><p>In how many of the seeds. What stands at nothing is never tried.</p>"
      + Chart.bars("features of the profiles", bars)
  }

  /// Numbers in their order within a name.
  private static func key(_ feature: String) -> String {
    let words = feature.split(separator: " ")
    guard let last = words.last, let number = Int(last) else { return feature }
    let digits = String(number)
    return words.dropLast().joined(separator: " ") + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }

  // MARK: what it finds

  private var mutation: String {
    let scored = mutants.filter { $0.text("layer") != "canary" }
    if scored.isEmpty { return "" }
    var layers: [String] = []
    for mutant in scored {
      if let layer = mutant.text("layer"), !layers.contains(layer) { layers.append(layer) }
    }
    let bars = layers.map { layer -> Chart.Bar in
      let all = scored.filter { $0.text("layer") == layer }
      let killed = all.count { $0.number("killed") == 1 }
      return Chart.Bar(
        label: layer, value: Double(killed) / Double(all.count), text: "\(killed) of \(all.count)",
        style: killed == all.count ? "bar" : "bad")
    }
    let rows = scored.sorted { ($0.number("killSeeds") ?? .max) < ($1.number("killSeeds") ?? .max) }.map { mutant in
      (
        label: mutant.text("plant") ?? "", value: mutant.number("killSeeds").map(Double.init),
        text: mutant.number("killSeeds").map { "\(grouped($0)), \(mutant.text("oracle") ?? "")" } ?? "survives"
      )
    }
    let limit = Double(scored.compactMap { $0.number("seeds") }.max() ?? 1000)
    return "<h2>Planted bugs</h2><p>The share that is found, by layer, and the seeds it takes to find each.</p>"
      + Chart.bars("planted bugs found by layer", bars)
      + Chart.dots("seeds to find each planted bug", rows, limit: max(limit, 1000), unit: "seeds")
  }
}
