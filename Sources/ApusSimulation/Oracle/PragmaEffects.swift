// What pragmas said when the file was made, and what the file's bytes say (O15): a pragma is not done when it answers.

import ApusBase

struct PragmaEffects {
  private let world: World

  init(_ world: World) { self.world = world }

  /// Offsets in the header: https://sqlite.org/fileformat2.html#the_database_header
  func checkFile() throws(Finding) {
    guard let bytes = world.disk.content(of: World.path), bytes.count >= 100 else {
      throw Finding(oracle: .pragma, text: "the file has no header")
    }
    let profile = world.profile
    let raw = Int(bytes[16]) << 8 | Int(bytes[17])
    try check("page_size", profile.pageSize, raw == 1 ? 65_536 : raw)
    try check("journal_mode, write version", profile.journal == .wal ? 2 : 1, Int(bytes[18]))
    try check("journal_mode, read version", profile.journal == .wal ? 2 : 1, Int(bytes[19]))
    try check("page_checksums, reserved bytes", profile.hasChecksums ? 8 : 0, Int(bytes[20]))
    try check("auto_vacuum, a largest root", profile.autoVacuum > 0 ? 1 : 0, bytes[52..<56].contains { $0 != 0 } ? 1 : 0)
    try check("auto_vacuum, incremental", profile.autoVacuum == 2 ? 1 : 0, Int(bytes[67]))
  }

  private func check(_ pragma: String, _ asked: Int, _ found: Int) throws(Finding) {
    if asked != found { throw Finding(oracle: .pragma, text: "\(pragma): \(asked) was asked for, the file says \(found)") }
  }
}
