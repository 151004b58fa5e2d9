// ATTACH and DETACH: the databases of a connection beside main and temp, numbered from 2 on in the order of their attaching.
// Source: https://sqlite.org/lang_attach.html

import ApusBase
import ApusStorage

/// Opens databases for ATTACH: the machine knows neither names of files nor catalogs.
public protocol DatabaseOpener: AnyObject {
  /// Opens what `name` means: a path, ":memory:", "" (a temporary file), a URI where the connection takes URIs.
  func openDatabase(_ name: String) throws(EngineError) -> Pager
  /// Reads the catalog of a database that is to get `number`. May wait.
  func readCatalog(of pager: Pager, as number: Int) throws(Fault)
  /// The database whose catalog was read last has its number now.
  func databaseAttached(_ number: Int)
  /// The database of this number is gone, and those behind it have moved up.
  func databaseDetached(_ number: Int)
  /// What a tree of a database is called: its table, and its index.
  func treeName(_ root: UInt32, in database: Int) -> (table: String, index: String?)?
  /// Statements that do not run give back what they keep.
  /// - Returns: bytes that were freed.
  func shrinkStatements() -> Int
}

/// A database that is being attached.
final class Attachment {
  let pager: Pager
  /// What its file met; it is told when the file is closed again.
  var failure: EngineError?

  init(_ pager: Pager) { self.pager = pager }
}

extension ConnectionState {
  /// The number of the database of this name (ASCII case folded); temp has one from its first use on.
  public func databaseNumber(_ name: String) -> Int? {
    let folded = ExactText.folding(name)
    return databases.indices.last { index in
      guard let database = databases[index] else { return false }
      return ExactText.folding(database.name) == folded
    }
  }

  /// - Throws: SQLITE_ERROR where no more may be attached or the name is taken.
  func checkAttachment(_ name: String) throws(Fault) {
    if databases.count >= limits.attachedCountMax + 2 {
      throw .error(.error, "too many attached databases - max \(limits.attachedCountMax)")
    }
    if databaseNumber(name) != nil || ExactText.folding(name) == "temp" {
      throw .error(.error, "database \(name) is already in use")
    }
  }

  func attach(_ name: String, _ pager: Pager) {
    adoptSettings(pager)
    databases.append(AttachedDatabase(name: name, pager: pager))
    opener?.databaseAttached(databases.count - 1)
    functions.expirePrograms()
  }

  /// The number of the database that DETACH names.
  /// - Throws: SQLITE_ERROR where there is none, or where it is in use.
  func detachable(_ name: String, by machine: MachineReference) throws(Fault) -> Int {
    guard let number = databaseNumber(name) else { throw .error(.error, "no such database: \(name)") }
    if number < 2 { throw .error(.error, "cannot detach database \(name)") }
    // Databases behind it get other numbers, which running programs do not know.
    let moved = ~((UInt64(1) << UInt64(number)) - 1)
    let isMoving = active.contains { $0 != machine && ($0.uses | $0.writes) & moved != 0 }
    guard let pager = databases[number]?.pager else { throw .error(.error, "no such database: \(name)") }
    if isMoving || pager.state != .none || pager.isInBackup || pager.isBackupTarget {
      throw .error(.error, "database \(name) is locked")
    }
    return number
  }

  /// - Precondition: `detachable` has named it, and its pager is closed.
  func detach(_ number: Int) {
    databases.remove(at: number)
    func closed(_ bits: UInt64) -> UInt64 {
      let below = (UInt64(1) << UInt64(number)) - 1
      return bits & below | (bits >> 1) & ~below
    }
    schemaChangedInTransaction = closed(schemaChangedInTransaction)
    markCatalogsStale(closed(takeStaleCatalogs()))
    for position in savepoints.indices {
      var marks: [Int: Int] = [:]
      for (index, mark) in savepoints[position].marks where index != number {
        marks[index > number ? index - 1 : index] = mark
      }
      savepoints[position].marks = marks
    }
    opener?.databaseDetached(number)
    functions.expirePrograms()
  }
}

extension MachineCore {
  private mutating func text(_ register: Int32) -> String {
    let value = registers[register]
    if value.kind == .null { return "" }
    return value.convertedText(in: &scratch).string
  }

  mutating func attachDatabase(_ i: Instruction) throws(Fault) {
    let name = text(i.p2)
    if attachment == nil {
      try state.checkAttachment(name)
      guard let opener = state.opener else { throw .error(.error, "not supported: ATTACH") }
      let file = text(i.p1)
      // A repaired name is another file's.
      if registers[i.p1].hasBytes, !registers[i.p1].bytes.isEqual(to: file) {
        throw .error(.cannotOpen, "unable to open database: \(file)", cause: "the name is not UTF-8")
      }
      do throws(EngineError) { attachment = Attachment(try opener.openDatabase(file)) } catch { throw .failure(error) }
    }
    guard let attachment else { return }
    if attachment.failure == nil {
      do throws(Fault) {
        try state.opener?.readCatalog(of: attachment.pager, as: state.databases.count)
      } catch {
        guard case .failure(let failure) = error else { throw error }
        attachment.failure = failure
      }
    }
    if let failure = attachment.failure {
      try attachment.pager.shutDown()
      self.attachment = nil
      throw .failure(failure)
    }
    self.attachment = nil
    state.attach(name, attachment.pager)
  }

  mutating func detachDatabase(_ i: Instruction) throws(Fault) {
    let number = try state.detachable(text(i.p1), by: reference)
    pagersAtWork |= 1 << UInt64(number)
    try state.databases[number]?.pager.shutDown()
    pagersAtWork = 0
    state.detach(number)
  }
}
