// One statement of a transaction over keys: its SQL, and what it must answer on a given state.

import ApusBase

/// What a statement has answered.
enum KeyAnswer: Equatable {
  case rows([[ImageField]])
  /// A constraint is violated, and nothing was done.
  case violates
}

enum KeyOperation {
  // Reads.
  case item(id: Int64), itemNamed(String), idRange(ClosedRange<Int64>), itemsFrom(id: Int64, count: Int)
  case namesFrom(String, count: Int), groupSum(Int64), groupLargest(Int64)
  case mark(String, Int64), familySum(String), marksIn(String, ClosedRange<Int64>), lastMark(String, upTo: Int64)
  case markWith(unique: Int64)
  case ticket(Int64), ticketCount, sequence
  // Changes.
  case putItem(id: Int64, KeyModel.Item, Operation.Conflict), rename(id: Int64, to: String, replaces: Bool)
  case addToItems(ClosedRange<Int64>, Int64), regroup(id: Int64, to: Int64)
  case dropItem(id: Int64), dropNamed(String)
  case putMark(number: Int64, KeyModel.Mark, Operation.Conflict), moveMark(String, Int64, to: String)
  case addToMark(String, Int64, Int64), addToFamily(String, Int64), dropMark(String, Int64), dropFamily(String)
  /// Its row id is the engine's: nil until that is known.
  case takeTicket(Int64, id: Int64?)
  case putTicket(id: Int64, Int64, Operation.Conflict), dropTickets(from: Int64)
  case setSequence(Int64), dropSequence

  var isRead: Bool {
    switch self {
    case .item, .itemNamed, .idRange, .itemsFrom, .namesFrom, .groupSum, .groupLargest, .mark, .familySum, .marksIn, .lastMark,
      .markWith, .ticket, .ticketCount, .sequence:
      true
    case .putItem, .rename, .addToItems, .regroup, .dropItem, .dropNamed, .putMark, .moveMark, .addToMark, .addToFamily, .dropMark,
      .dropFamily, .takeTicket, .putTicket, .dropTickets, .setSequence, .dropSequence:
      false
    }
  }

  var sql: String {
    switch self {
    case .item: "SELECT name, g, v FROM item WHERE id=?1"
    case .itemNamed: "SELECT id, name, v FROM item WHERE name=?1"
    case .idRange: "SELECT count(*), coalesce(sum(v),0) FROM item WHERE id BETWEEN ?1 AND ?2"
    case .itemsFrom: "SELECT id, v FROM item WHERE id>=?1 ORDER BY id LIMIT ?2"
    case .namesFrom: "SELECT name, id FROM item WHERE name>=?1 ORDER BY name LIMIT ?2"
    case .groupSum: "SELECT count(*), coalesce(sum(v),0) FROM item WHERE g=?1"
    case .groupLargest: "SELECT max(v) FROM item WHERE g=?1"
    case .mark: "SELECT a, u, v FROM mark WHERE a=?1 AND b=?2"
    case .familySum: "SELECT count(*), coalesce(sum(v),0) FROM mark WHERE a=?1"
    case .marksIn: "SELECT b, v FROM mark WHERE a=?1 AND b BETWEEN ?2 AND ?3 ORDER BY b"
    case .lastMark: "SELECT b, v FROM mark WHERE a=?1 AND b<=?2 ORDER BY b DESC LIMIT 1"
    case .markWith: "SELECT a, b, v FROM mark WHERE u=?1"
    case .ticket: "SELECT v FROM ticket WHERE id=?1"
    case .ticketCount: "SELECT count(*), coalesce(max(id),0) FROM ticket"
    case .sequence: "SELECT seq FROM sqlite_sequence WHERE name='ticket'"
    case .putItem(_, _, let conflict): "INSERT\(conflict.rawValue) INTO item(id,name,g,v,pad) VALUES(?1,?2,?3,?4,zeroblob(?5))"
    case .rename(_, _, let replaces): "UPDATE\(replaces ? " OR REPLACE" : "") item SET name=?2 WHERE id=?1"
    case .addToItems: "UPDATE item SET v=v+?3 WHERE id BETWEEN ?1 AND ?2"
    case .regroup: "UPDATE item SET g=?2 WHERE id=?1"
    case .dropItem: "DELETE FROM item WHERE id=?1"
    case .dropNamed: "DELETE FROM item WHERE name=?1"
    case .putMark(_, _, let conflict): "INSERT\(conflict.rawValue) INTO mark(a,b,u,v,pad) VALUES(?1,?2,?3,?4,zeroblob(?5))"
    case .moveMark: "UPDATE mark SET a=?3 WHERE a=?1 AND b=?2"
    case .addToMark: "UPDATE mark SET v=v+?3 WHERE a=?1 AND b=?2"
    case .addToFamily: "UPDATE mark SET v=v+?2 WHERE a=?1"
    case .dropMark: "DELETE FROM mark WHERE a=?1 AND b=?2"
    case .dropFamily: "DELETE FROM mark WHERE a=?1"
    case .takeTicket: "INSERT INTO ticket(v) VALUES(?1)"
    case .putTicket(_, _, let conflict): "INSERT\(conflict.rawValue) INTO ticket(id,v) VALUES(?1,?2)"
    case .dropTickets: "DELETE FROM ticket WHERE id>=?1"
    case .setSequence: "UPDATE sqlite_sequence SET seq=?1 WHERE name='ticket'"
    case .dropSequence: "DELETE FROM sqlite_sequence WHERE name='ticket'"
    }
  }

  /// - Parameter padding: bytes that a new row has for nothing.
  func bindings(padding: Int) -> [Operation.Binding] {
    func text(_ text: String) -> Operation.Binding { .text(Array(text.utf8)) }
    switch self {
    case .item(let id), .dropItem(let id): return [.integer(id)]
    case .itemNamed(let name), .dropNamed(let name), .familySum(let name), .dropFamily(let name): return [text(name)]
    case .idRange(let ids): return [.integer(ids.lowerBound), .integer(ids.upperBound)]
    case .itemsFrom(let id, let count): return [.integer(id), .integer(Int64(count))]
    case .namesFrom(let name, let count): return [text(name), .integer(Int64(count))]
    case .groupSum(let group), .groupLargest(let group): return [.integer(group)]
    case .mark(let family, let number), .lastMark(let family, let number), .dropMark(let family, let number):
      return [text(family), .integer(number)]
    case .marksIn(let family, let numbers): return [text(family), .integer(numbers.lowerBound), .integer(numbers.upperBound)]
    case .markWith(let unique): return [.integer(unique)]
    case .putItem(let id, let item, _):
      return [.integer(id), text(item.name), .integer(item.group), .integer(item.value), .integer(Int64(padding))]
    case .rename(let id, let name, _): return [.integer(id), text(name)]
    case .addToItems(let ids, let value): return [.integer(ids.lowerBound), .integer(ids.upperBound), .integer(value)]
    case .regroup(let id, let group): return [.integer(id), .integer(group)]
    case .putMark(let number, let mark, _):
      return [
        text(mark.family), .integer(number), mark.unique.map { .integer($0) } ?? .null, .integer(mark.value),
        .integer(Int64(padding)),
      ]
    case .moveMark(let family, let number, let other): return [text(family), .integer(number), text(other)]
    case .addToMark(let family, let number, let value): return [text(family), .integer(number), .integer(value)]
    case .addToFamily(let family, let value): return [text(family), .integer(value)]
    case .ticket(let id), .dropTickets(let id), .takeTicket(let id, _), .setSequence(let id): return [.integer(id)]
    case .putTicket(let id, let value, _): return [.integer(id), .integer(value)]
    case .ticketCount, .sequence, .dropSequence: return []
    }
  }

  /// What the statement answers on `model`, and makes of it.
  func answer(_ model: inout KeyModel) -> KeyAnswer {
    isRead ? .rows(rows(model)) : change(&model) ? .rows([]) : .violates
  }

  // MARK: reads

  private func rows(_ model: KeyModel) -> [[ImageField]] {
    func text(_ text: String) -> ImageField { .text(Array(text.utf8)) }
    func sum(_ values: [Int64]) -> [[ImageField]] { [[.integer(Int64(values.count)), .integer(values.reduce(0, +))]] }
    func marks(_ family: String) -> [(key: KeyModel.MarkKey, mark: KeyModel.Mark)] {
      let folded = family.lowercased()
      return model.sortedMarks.filter { $0.key.family == folded }
    }
    switch self {
    case .item(let id): return model.items[id].map { [[text($0.name), .integer($0.group), .integer($0.value)]] } ?? []
    case .itemNamed(let name):
      guard let id = model.holder(ofName: name), let item = model.items[id] else { return [] }
      return [[.integer(id), text(item.name), .integer(item.value)]]
    case .idRange(let ids): return sum(model.items.filter { ids.contains($0.key) }.map(\.value.value))
    case .itemsFrom(let id, let count):
      return model.sortedItems.filter { $0.id >= id }.prefix(count).map { [.integer($0.id), .integer($0.item.value)] }
    case .namesFrom(let name, let count):
      let folded = name.lowercased()
      let found = model.sortedItems.filter { $0.item.name.lowercased() >= folded }
      return found.sorted { $0.item.name.lowercased() < $1.item.name.lowercased() }.prefix(count)
        .map { [text($0.item.name), .integer($0.id)] }
    case .groupSum(let group): return sum(model.items.values.filter { $0.group == group }.map(\.value))
    case .groupLargest(let group):
      return [[model.items.values.filter { $0.group == group }.map(\.value).max().map { .integer($0) } ?? .null]]
    case .mark(let family, let number):
      let mark = model.marks[KeyModel.MarkKey(family: family.lowercased(), number: number)]
      return mark.map { [[text($0.family), $0.unique.map { .integer($0) } ?? .null, .integer($0.value)]] } ?? []
    case .familySum(let family): return sum(marks(family).map(\.mark.value))
    case .marksIn(let family, let numbers):
      return marks(family).filter { numbers.contains($0.key.number) }.map { [.integer($0.key.number), .integer($0.mark.value)] }
    case .lastMark(let family, let number):
      return marks(family).filter { $0.key.number <= number }.suffix(1).map { [.integer($0.key.number), .integer($0.mark.value)] }
    case .markWith(let unique):
      guard let key = model.holder(ofUnique: unique), let mark = model.marks[key] else { return [] }
      return [[text(mark.family), .integer(key.number), .integer(mark.value)]]
    case .ticket(let id): return model.tickets[id].map { [[.integer($0)]] } ?? []
    case .ticketCount: return [[.integer(Int64(model.tickets.count)), .integer(model.tickets.keys.max() ?? 0)]]
    case .sequence: return model.sequence.map { [[.integer($0)]] } ?? []
    case .putItem, .rename, .addToItems, .regroup, .dropItem, .dropNamed, .putMark, .moveMark, .addToMark, .addToFamily, .dropMark,
      .dropFamily, .takeTicket, .putTicket, .dropTickets, .setSequence, .dropSequence:
      return []
    }
  }

  // MARK: changes

  /// - Returns: false where a constraint is violated; the model is as before then.
  private func change(_ model: inout KeyModel) -> Bool {
    switch self {
    case .putItem(let id, let item, let conflict):
      let others = [model.items[id] == nil ? nil : id, model.holder(ofName: item.name)].compactMap { $0 }
      if !others.isEmpty, conflict != .replace { return conflict == .ignore }
      for other in others { model.items[other] = nil }
      model.items[id] = item
    case .rename(let id, let name, let replaces):
      guard model.items[id] != nil else { return true }
      if let holder = model.holder(ofName: name), holder != id {
        if !replaces { return false }
        model.items[holder] = nil
      }
      model.items[id]?.name = name
    case .addToItems(let ids, let value): for id in model.items.keys where ids.contains(id) { model.items[id]?.value += value }
    case .regroup(let id, let group): model.items[id]?.group = group
    case .dropItem(let id): model.items[id] = nil
    case .dropNamed(let name): if let id = model.holder(ofName: name) { model.items[id] = nil }
    case .putMark(let number, let mark, let conflict):
      let key = KeyModel.MarkKey(family: mark.family.lowercased(), number: number)
      let others = [model.marks[key] == nil ? nil : key, model.holder(ofUnique: mark.unique)].compactMap { $0 }
      if !others.isEmpty, conflict != .replace { return conflict == .ignore }
      for other in others { model.marks[other] = nil }
      model.marks[key] = mark
    case .moveMark(let family, let number, let other):
      let key = KeyModel.MarkKey(family: family.lowercased(), number: number)
      let new = KeyModel.MarkKey(family: other.lowercased(), number: number)
      guard var mark = model.marks[key] else { return true }
      if new != key, model.marks[new] != nil { return false }
      mark.family = other
      model.marks[key] = nil
      model.marks[new] = mark
    case .addToMark(let family, let number, let value):
      model.marks[KeyModel.MarkKey(family: family.lowercased(), number: number)]?.value += value
    case .addToFamily(let family, let value):
      let folded = family.lowercased()
      for key in model.marks.keys where key.family == folded { model.marks[key]?.value += value }
    case .dropMark(let family, let number): model.marks[KeyModel.MarkKey(family: family.lowercased(), number: number)] = nil
    case .dropFamily(let family):
      let folded = family.lowercased()
      model.marks = model.marks.filter { $0.key.family != folded }
    case .takeTicket(let value, let id):
      // Whatever the order: an id that was used once is not given again.
      guard let id, model.tickets[id] == nil, !model.usedTickets.contains(id) else { return false }
      model.putTicket(id, value)
    case .putTicket(let id, let value, let conflict):
      if model.tickets[id] != nil, conflict != .replace {
        if conflict == .ignore { model.raise(to: id) }
        return conflict == .ignore
      }
      model.putTicket(id, value)
    case .dropTickets(let first): model.tickets = model.tickets.filter { $0.key < first }
    case .setSequence(let value): if model.sequence != nil { model.setSequence(value) }
    case .dropSequence: if model.sequence != nil { model.setSequence(nil) }
    case .item, .itemNamed, .idRange, .itemsFrom, .namesFrom, .groupSum, .groupLargest, .mark, .familySum, .marksIn, .lastMark,
      .markWith, .ticket, .ticketCount, .sequence:
      break
    }
    return true
  }

  // MARK: drawing

  private static let idCount = 24, groupCount = 4, familyCount = 3, numberCount = 10, uniqueCount = 16, spanMax = 6
  private static let ticketIdCount = 40, ticketsAboveCount = 8

  static func drawnId(_ choices: ChoiceStream) -> Int64 { Int64(choices.below(idCount, .keyId)) }

  /// Few names, in letters of both sizes.
  static func drawnName(_ choices: ChoiceStream) -> String {
    let letters = ["ka", "kb", "kc", "kd", "ke", "kf", "kg", "kh", "ki", "kj", "kk", "kl"]
    return sized(choices.pick(letters, .keyName), choices)
  }

  static func drawnFamily(_ choices: ChoiceStream) -> String {
    sized(["fa", "fb", "fc"][choices.below(familyCount, .keyFamily)], choices)
  }

  private static func sized(_ word: String, _ choices: ChoiceStream) -> String {
    switch choices.below(3, .keyCase) {
    case 0: word
    case 1: word.uppercased()
    default: String(word.prefix(1)) + word.dropFirst().uppercased()
    }
  }

  static func drawnItem(_ choices: ChoiceStream, _ name: String? = nil) -> KeyModel.Item {
    KeyModel.Item(
      name: name ?? drawnName(choices), group: Int64(choices.below(groupCount, .keyGroup)),
      value: Int64(choices.below(50, .keyValue)))
  }

  private static func drawnSpan(_ choices: ChoiceStream, _ first: Int64) -> ClosedRange<Int64> {
    first...first + Int64(choices.below(spanMax, .span))
  }

  /// Rows that are more in demand than others.
  private static let usualCount = 4

  private static func usualId(_ choices: ChoiceStream) -> Int64 {
    Int64(choices.below(choices.oneIn(2, .isUsual) ? idCount : usualCount, .keyId))
  }

  private static func usualNumber(_ choices: ChoiceStream) -> Int64 {
    Int64(choices.below(choices.oneIn(2, .isUsual) ? numberCount : usualCount, .keyNumber))
  }

  /// One row, by its key.
  static func drawnLook(_ choices: ChoiceStream) -> KeyOperation {
    choices.oneIn(2, .kind) ? .item(id: usualId(choices)) : .mark(drawnFamily(choices), usualNumber(choices))
  }

  static func drawnRead(_ choices: ChoiceStream) -> KeyOperation {
    let number = Int64(choices.below(numberCount, .keyNumber))
    switch choices.below(14, .kind) {
    case 0: return .item(id: drawnId(choices))
    case 1: return .itemNamed(drawnName(choices))
    case 2: return .idRange(drawnSpan(choices, drawnId(choices)))
    case 3: return .itemsFrom(id: drawnId(choices), count: 1 + choices.below(3, .keyLimit))
    case 4: return .namesFrom(drawnName(choices), count: 1 + choices.below(3, .keyLimit))
    case 5: return .groupSum(Int64(choices.below(groupCount, .keyGroup)))
    case 6: return .groupLargest(Int64(choices.below(groupCount, .keyGroup)))
    case 7: return .mark(drawnFamily(choices), number)
    case 8: return .familySum(drawnFamily(choices))
    case 9: return .marksIn(drawnFamily(choices), drawnSpan(choices, number))
    case 10: return .lastMark(drawnFamily(choices), upTo: number)
    // Scans that stop at an entry which others like to change.
    case 12: return .itemsFrom(id: usualId(choices), count: 1 + choices.below(3, .keyLimit))
    case 13: return .lastMark(drawnFamily(choices), upTo: usualNumber(choices))
    default: return .markWith(unique: Int64(choices.below(uniqueCount, .rowU)))
    }
  }

  /// - Parameter largest: the largest row id of a ticket that was told.
  static func drawnOfTickets(_ choices: ChoiceStream, largest: Int64) -> KeyOperation {
    let id = Int64(1 + choices.below(ticketIdCount, .keyTicket))
    let value = Int64(choices.below(50, .keyValue))
    switch choices.below(14, .kind) {
    // Rows behind the last one: who puts one raises the sequence, by more or less than those beside him.
    case 11, 12, 13: return .putTicket(id: largest + Int64(1 + choices.below(ticketsAboveCount, .keyTicketAbove)), value, .abort)
    case 0, 1, 2, 3: return .takeTicket(value, id: nil)
    case 4: return .putTicket(id: id, value, choices.pick([.abort, .replace, .ignore], .conflict))
    case 5: return .dropTickets(from: id)
    case 6: return choices.oneIn(2, .keyTicketEnd) ? .dropSequence : .setSequence(id)
    case 7: return .ticket(id)
    case 8: return .ticketCount
    default: return .sequence
    }
  }

  static func drawnChange(_ choices: ChoiceStream) -> KeyOperation {
    let number = Int64(choices.below(numberCount, .keyNumber))
    let conflict = choices.pick([Operation.Conflict.abort, .replace, .replace, .ignore], .conflict)
    switch choices.below(16, .kind) {
    case 0, 1: return .putItem(id: drawnId(choices), drawnItem(choices), conflict)
    case 2: return .rename(id: drawnId(choices), to: drawnName(choices), replaces: conflict == .replace)
    case 3: return .addToItems(drawnSpan(choices, drawnId(choices)), Int64(1 + choices.below(9, .keyValue)))
    case 4: return .regroup(id: drawnId(choices), to: Int64(choices.below(groupCount, .keyGroup)))
    case 5: return .dropItem(id: drawnId(choices))
    case 6: return .dropNamed(drawnName(choices))
    case 7, 8, 9:
      let unique = choices.oneIn(3, .hasUnique) ? nil : Int64(choices.below(uniqueCount, .rowU))
      let mark = KeyModel.Mark(family: drawnFamily(choices), unique: unique, value: Int64(choices.below(50, .keyValue)))
      return .putMark(number: number, mark, conflict)
    case 10: return .moveMark(drawnFamily(choices), number, to: drawnFamily(choices))
    case 11: return .addToFamily(drawnFamily(choices), Int64(1 + choices.below(9, .keyValue)))
    case 12: return .dropMark(drawnFamily(choices), number)
    // A change of one row, where it lies.
    case 14:
      let id = usualId(choices)
      return .addToItems(id...id, Int64(1 + choices.below(9, .keyValue)))
    case 15: return .addToMark(drawnFamily(choices), usualNumber(choices), Int64(1 + choices.below(9, .keyValue)))
    default: return choices.oneIn(3, .keyDropsAll) ? .dropFamily(drawnFamily(choices)) : .dropMark(drawnFamily(choices), number)
    }
  }
}
