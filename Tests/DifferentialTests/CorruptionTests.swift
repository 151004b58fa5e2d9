// Each corruption of the corpus is found, by SQLite's integrity check and by ours.

import ApusHarness
import Foundation
import Testing

@Suite("Differential: corrupt files", .timeLimit(.minutes(20)))
struct CorruptionTests {
  private func path(_ name: String) -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("apus-corrupt-\(getpid())-\(name).db").path
  }

  private func sound() throws -> DamagedFile {
    let path = path("sound")
    try? FileManager.default.removeItem(atPath: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let connection = try SQLiteLibrary().open(path, readOnly: false)
    try connection.execute(Corruption.setup)
    var roots: [String: Int] = [:]
    for row in try connection.rows("SELECT name, rootpage FROM sqlite_schema").rows {
      guard case .text(let name) = row[0], case .integer(let root) = row[1] else { continue }
      roots[String(decoding: name, as: UTF8.self)] = Int(root)
    }
    connection.close()
    return DamagedFile(bytes: [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))), roots: roots)
  }

  /// What a check says; an error counts as a finding too.
  private func findings(_ engine: any HarnessEngine, _ path: String, _ pragma: String) -> [String] {
    do throws(EngineFailure) {
      let connection = try engine.open(path, readOnly: true)
      defer { connection.close() }
      let statement = try connection.prepare("PRAGMA \(pragma)")
      defer { statement.finalize() }
      var texts: [String] = []
      do throws(EngineFailure) {
        while try statement.step() {
          if case .text(let text) = statement.value(0) { texts.append(String(decoding: text, as: UTF8.self)) }
        }
      } catch {
        texts.append("error: \(error)")
      }
      return texts
    } catch {
      return ["error: \(error)"]
    }
  }

  @Test("integrity_check finds every corruption, and whatever SQLite finds; quick_check what SQLite's finds")
  func corpusIsFound() throws {
    let sound = try sound()
    let (ours, reference) = (try Engines.named("apus"), try SQLiteLibrary())
    let path = path("damaged")
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data(sound.bytes).write(to: URL(fileURLWithPath: path))
    #expect(findings(ours, path, "integrity_check") == ["ok"])
    #expect(findings(reference, path, "integrity_check") == ["ok"])
    #expect(Corruption.all.count >= 40)
    for corruption in Corruption.all {
      var file = sound
      corruption.make(&file)
      #expect(file.bytes != sound.bytes, "\(corruption.name)")
      try Data(file.bytes).write(to: URL(fileURLWithPath: path))
      let found = findings(ours, path, "integrity_check")
      let expected = findings(reference, path, "integrity_check")
      #expect(found != ["ok"] && !found.isEmpty, "\(corruption.name): SQLite says \(expected)")
      let quick = findings(ours, path, "quick_check")
      let expectedQuick = findings(reference, path, "quick_check")
      if expectedQuick != ["ok"] {
        #expect(quick != ["ok"], "quick_check, \(corruption.name): SQLite says \(expectedQuick)")
      }
      // The place is named where SQLite names one.
      if expected.joined().contains("page") {
        let text = found.joined(separator: "\n")
        #expect(text.contains("page") || text.contains("row ") || text.contains("malformed"), "\(corruption.name): \(text)")
      }
    }
  }
}
