// The statements of a connection that are not finalized. `unsafe` lives here: a statement takes itself out before it goes, so
// the list need not hold it, and a weak reference (a side table for each statement) would only say again what is known.

@safe
struct StatementList {
  @safe
  private struct Place {
    var statement: Unmanaged<PreparedStatement>
    var serial: UInt64
  }

  private var places: [Place?] = []
  private var free: [Int] = []
  private var nextSerial: UInt64 = 1

  var isEmpty: Bool { free.count == places.count }

  /// - Returns: its place, for `remove`.
  mutating func add(_ statement: PreparedStatement) -> Int {
    let entry = unsafe Place(statement: Unmanaged.passUnretained(statement), serial: nextSerial)
    nextSerial += 1
    if let place = free.popLast() {
      places[place] = entry
      return place
    }
    places.append(entry)
    return places.count - 1
  }

  mutating func remove(_ place: Int) {
    places[place] = nil
    free.append(place)
  }

  /// In the order of their making.
  var statements: [PreparedStatement] {
    places.compactMap(\.self).sorted { $0.serial < $1.serial }.map { unsafe $0.statement.takeUnretainedValue() }
  }
}
