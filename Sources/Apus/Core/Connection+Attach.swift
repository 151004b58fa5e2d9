// What ATTACH and DETACH ask of the connection: opening files, reading catalogs, keeping them by number.

import ApusBase
import ApusCompiler
import ApusStorage
import ApusVM

extension Connection: DatabaseOpener {
  public func openDatabase(_ name: String) throws(EngineError) -> Pager { try openAttached(name) }

  public func readCatalog(of pager: Pager, as number: Int) throws(Fault) {
    try pager.beginRead()
    if loader == nil || loader?.reads(pager, at: state.runMoment) != true {
      schemaGeneration &+= 1
      loader = CatalogLoader(
        database: number, pager: pager, generation: schemaGeneration, hasOpenedRead: true, moment: state.runMoment)
      loader?.isAttachment = true
      loader?.connectionEncoding = state.settings.textEncoding
    }
    do throws(Fault) {
      attachedCatalog = try loadCatalog()
    } catch {
      if case .failure = error {
        loader = nil
        pager.endRead()
      }
      throw error
    }
    loader = nil
    pager.endRead()
  }

  public func databaseAttached(_ number: Int) {
    while schemas.count <= number { schemas.append(nil) }
    schemas[number] = attachedCatalog
    attachedCatalog = nil
  }

  public func shrinkStatements() -> Int { statements.reduce(0) { $0 + $1.releaseIdleMemory() } }

  public func treeName(_ root: UInt32, in number: Int) -> (table: String, index: String?)? {
    guard number < schemas.count, let schema = schemas[number] else { return nil }
    for table in (try? schema.allTables()) ?? [] {
      if table.root.rawValue == root { return (table.name.text, nil) }
      for index in table.indexes where index.root.rawValue == root { return (table.name.text, index.name.text) }
    }
    return nil
  }

  public func databaseDetached(_ number: Int) {
    staleCatalogs |= state.takeStaleCatalogs()
    let below = (UInt64(1) << UInt64(number)) - 1
    staleCatalogs &= below
    if schemas.count > number { schemas.remove(at: number) }
    // Catalogs say which database they are of: those that have moved up are read again.
    for index in schemas.indices where index >= number { schemas[index] = nil }
  }
}
