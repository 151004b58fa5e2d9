// The figures: medians, ratios, peak memory; as a table for people and as JSON for tools.

import ApusHarness

struct Measurement {
  var workload: Workload
  var engines: [EngineFigures]

  struct EngineFigures {
    var name: String
    var nanoseconds: [UInt64] = []
    var peakKibibytes: Int?
    var failure: String?

    var median: Double? {
      if failure != nil || nanoseconds.isEmpty { return nil }
      let sorted = nanoseconds.sorted()
      let middle = sorted.count / 2
      return sorted.count % 2 == 1 ? Double(sorted[middle]) : Double(sorted[middle - 1] + sorted[middle]) / 2
    }
  }

  /// Ours over SQLite's; below one is faster.
  var ratio: Double? {
    guard engines.count == 2, let ours = engines[0].median, let theirs = engines[1].median, theirs > 0 else {
      return nil
    }
    return ours / theirs
  }

  /// Our peak over SQLite's, in KiB.
  var extraMemory: Int? {
    guard engines.count == 2, let ours = engines[0].peakKibibytes, let theirs = engines[1].peakKibibytes else {
      return nil
    }
    return ours - theirs
  }
}

enum BenchReport {
  static func decimal(_ value: Double, _ places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    guard value.isFinite, (value * scale).magnitude < 9e15 else { return "\(value)" }
    let scaled = Int64((value * scale).rounded())
    let digits = String(scaled.magnitude)
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    let sign = scaled < 0 ? "-" : ""
    return places == 0 ? sign + padded : "\(sign)\(padded.dropLast(places)).\(padded.suffix(places))"
  }

  private static func cell(_ text: String, _ width: Int, isRight: Bool = true) -> String {
    let space = String(repeating: " ", count: max(0, width - text.count))
    return isRight ? space + text : text + space
  }

  static func header() -> String {
    cell("workload", 32, isRight: false) + cell("ours ms", 11) + cell("SQLite ms", 11) + cell("ratio", 8)
      + cell("at most", 9) + cell("ours MiB", 10) + cell("SQLite MiB", 12) + "  scale"
  }

  static func line(_ measurement: Measurement) -> String {
    func milliseconds(_ index: Int) -> String {
      guard index < measurement.engines.count else { return "-" }
      if measurement.engines[index].failure != nil { return "refused" }
      return measurement.engines[index].median.map { decimal($0 / 1e6, 2) } ?? "-"
    }
    func memory(_ index: Int) -> String {
      guard index < measurement.engines.count, let peak = measurement.engines[index].peakKibibytes else { return "-" }
      return decimal(Double(peak) / 1024, 1)
    }
    var line = cell(measurement.workload.name, 32, isRight: false) + cell(milliseconds(0), 11)
    line += cell(milliseconds(1), 11) + cell(measurement.ratio.map { decimal($0, 2) } ?? "-", 8)
    line +=
      cell(measurement.workload.promise.map { decimal($0, 1) } ?? "", 9) + cell(memory(0), 10) + cell(memory(1), 12)
    return line + "  " + measurement.workload.scale
  }

  static func failures(_ measurement: Measurement) -> [String] {
    measurement.engines.compactMap { figures in figures.failure.map { "  \(figures.name): \($0)" } }
  }

  static func json(
    _ measurements: [Measurement], _ writers: [WriterResult], reference: SQLiteLibrary, rounds: Int
  ) -> String {
    func quoted(_ text: String) -> String {
      var result = "\""
      for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case _ where scalar.value < 0x20: result += " "
        default: result.unicodeScalars.append(scalar)
        }
      }
      return result + "\""
    }
    let workloads = measurements.map { measurement -> String in
      let engines = measurement.engines.map { figures in
        let fields = [
          "\"name\": \(quoted(figures.name))",
          "\"nanoseconds\": [\(figures.nanoseconds.map(String.init).joined(separator: ", "))]",
          "\"median_nanoseconds\": \(figures.median.map { decimal($0, 0) } ?? "null")",
          "\"peak_kibibytes\": \(figures.peakKibibytes.map(String.init) ?? "null")",
          "\"failure\": \(figures.failure.map(quoted) ?? "null")",
        ]
        return "{\(fields.joined(separator: ", "))}"
      }
      let fields = [
        "\"name\": \(quoted(measurement.workload.name))", "\"scale\": \(quoted(measurement.workload.scale))",
        "\"ratio\": \(measurement.ratio.map { decimal($0, 4) } ?? "null")",
        "\"promise\": \(measurement.workload.promise.map { decimal($0, 2) } ?? "null")",
        "\"engines\": [\(engines.joined(separator: ", "))]",
      ]
      return "    {\(fields.joined(separator: ", "))}"
    }
    let loads = writers.map { result -> String in
      let engines = result.named.map { (name, figures) in
        let fields = [
          "\"name\": \(quoted(name))", "\"commits_per_second\": \(decimal(figures.rate, 1))",
          "\"p50_microseconds\": \(decimal(figures.latency(0.5), 1))",
          "\"p99_microseconds\": \(decimal(figures.latency(0.99), 1))",
          "\"p999_microseconds\": \(decimal(figures.latency(0.999), 1))",
          "\"cpu_microseconds_per_commit\": \(decimal(figures.processor, 1))", "\"conflicts\": \(figures.conflicts)",
          "\"failure\": \(figures.failure.map(quoted) ?? "null")",
        ]
        return "{\(fields.joined(separator: ", "))}"
      }
      return "    {\"name\": \(quoted(result.load.name)), \"engines\": [\(engines.joined(separator: ", "))]}"
    }
    return """
      {
        "sqlite_version": \(quoted(reference.version)),
        "sqlite_library": \(quoted(reference.path)),
        "sqlite_options": [\(reference.compileOptions.map(quoted).joined(separator: ", "))],
        "rounds": \(rounds),
        "workloads": [
      \(workloads.joined(separator: ",\n"))
        ],
        "writers": [
      \(loads.joined(separator: ",\n"))
        ]
      }

      """
  }
}
