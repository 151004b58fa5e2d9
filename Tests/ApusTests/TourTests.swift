// The tour of docs/tour.md, compiled and run: every piece of code in the page stands here, word for word.

import ApusIO
import Foundation
import Testing

import Apus

@Suite struct TourTests {
  struct City: RowDecodable {
    var id: Int64
    var name: String
    init(row: borrowing Row) throws(ApusError) {
      id = try row["id"]
      name = try row["name"]
    }
  }

  @Test("the tour does what it says")
  func tour() async throws {
    let environment = SystemEnvironment()
    let path = "/tmp/apus-tour-\(environment.randomUInt64()).db"
    defer { for suffix in ["", "-wal", "-shm"] { try? environment.delete(path + suffix) } }
    var lines: [String] = []

    let db = try await Database.open(path)
    try await db.write { tx in
      try await tx.execute("CREATE TABLE city(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, people INTEGER)")
      for (name, people) in [("Bern", 134_591), ("Lyon", 522_250), ("Ghent", 265_086)] {
        try await tx.execute("INSERT INTO city(name, people) VALUES (\(name), \(people))")
      }
    }
    let atLeast = 200_000
    try await db.read { tx in
      for try await (name, people) in tx.rows(
        "SELECT name, people FROM city WHERE people >= \(atLeast) ORDER BY people DESC", as: (String, Int).self)
      {
        lines.append("\(name): \(people)")
      }
    }
    #expect(lines == ["Lyon: 522250", "Ghent: 265086"])
    let count = try await db.read { tx in try await tx.one("SELECT count(*) FROM city", as: Int.self) }
    #expect(count == 3)
    let cities = try await db.read { tx in try await tx.all("SELECT * FROM city ORDER BY id", as: City.self) }
    #expect(cities.map(\.name) == ["Bern", "Lyon", "Ghent"])
    try await db.write { tx in
      try await tx.execute("UPDATE city SET people = people + 1")
      _ = try? await tx.savepoint { tx in
        try await tx.execute("INSERT INTO city(name) VALUES ('Bern')")
      }
    }
    do {
      try await db.write { tx in _ = try await tx.execute("INSERT INTO city(name) VALUES (\("Bern"))") }
    } catch let error as ApusError where error.code == .constraintUnique {
      lines.append(error.message)
    }
    #expect(lines.last == "UNIQUE constraint failed: city.name")
    let executors = db.executors
    let totals = try await withThrowingTaskGroup(of: Int.self) { group in
      for part in 0..<8 {
        group.addTask(executorPreference: executors[part % executors.count]) {
          try await db.read { tx in
            try await tx.one("SELECT coalesce(sum(people), 0) FROM city WHERE id % 8 = \(part)", as: Int.self) ?? 0
          }
        }
      }
      return try await group.reduce(into: 0) { $0 += $1 }
    }
    #expect(totals == 921_930)
    let total = try db.blocking.read { tx in try tx.one("SELECT sum(people) FROM city", as: Int.self) }
    #expect(total == 921_930)
    try await db.close()
  }

  @Test("every piece of code in docs/tour.md is compiled here")
  func pageIsCompiled() throws {
    func normalized(_ text: String) -> String {
      text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: "\n")
    }
    let here = URL(fileURLWithPath: #filePath)
    let root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(contentsOf: root.appendingPathComponent("docs/tour.md"), encoding: .utf8)
    let source = normalized(try String(contentsOf: here, encoding: .utf8))
    let pieces = page.components(separatedBy: "```swift\n").dropFirst().compactMap {
      $0.components(separatedBy: "```").first
    }
    #expect(pieces.count >= 8)
    for piece in pieces { #expect(source.contains(normalized(piece)), "not in TourTests.swift:\n\(piece)") }
  }
}
