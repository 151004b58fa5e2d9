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
  case groupFrom(Int64, value: Int64, count: Int), groupDown(Int64, value: Int64, count: Int), itemsDown(id: Int64, count: Int)
  case namesDown(String, count: Int), lastItems(Int), largestItem, largestName, largestUnique
  case ownRows(Int), couponSequence, slipCount
  /// Of all rows, and nothing else.
  case count(ofMarks: Bool), total(ofMarks: Bool)
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
  case dropItems, dropMarks
  /// Rows whose new names and numbers meet each other's.
  case renameItems(ClosedRange<Int64>, to: String), shiftMarks(String, Int64)
  /// Of a table of a client's own.
  case putOwn(Int, id: Int64, Int64), dropOwn(Int), addToOwn(Int, Int64)
  case takeCoupon(Int64, id: Int64?), putCoupon(id: Int64, Int64)
  case takeSlip(Int64, id: Int64?), putSlip(id: Int64, Int64), dropSlips(from: Int64)

  var isRead: Bool {
    switch self {
    case .item, .itemNamed, .idRange, .itemsFrom, .namesFrom, .groupSum, .groupLargest, .mark, .familySum, .marksIn, .lastMark,
      .markWith, .ticket, .ticketCount, .sequence, .groupFrom, .groupDown, .itemsDown, .namesDown, .lastItems, .largestItem,
      .largestName, .largestUnique, .ownRows, .couponSequence, .slipCount, .count, .total:
      true
    case .putItem, .rename, .addToItems, .regroup, .dropItem, .dropNamed, .putMark, .moveMark, .addToMark, .addToFamily, .dropMark,
      .dropFamily, .takeTicket, .putTicket, .dropTickets, .setSequence, .dropSequence, .dropItems, .dropMarks, .renameItems,
      .shiftMarks, .putOwn, .dropOwn, .addToOwn, .takeCoupon, .putCoupon, .takeSlip, .putSlip, .dropSlips:
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
    case .groupFrom: "SELECT v, id FROM item WHERE g=?1 AND v>=?2 ORDER BY v, id LIMIT ?3"
    case .groupDown: "SELECT v, id FROM item WHERE g=?1 AND v<=?2 ORDER BY v DESC, id DESC LIMIT ?3"
    case .itemsDown: "SELECT id, v FROM item WHERE id<=?1 ORDER BY id DESC LIMIT ?2"
    case .namesDown: "SELECT name, id FROM item WHERE name<=?1 ORDER BY name DESC LIMIT ?2"
    case .lastItems: "SELECT id, v FROM item ORDER BY id DESC LIMIT ?1"
    case .largestItem: "SELECT max(id) FROM item"
    case .largestName: "SELECT max(name) FROM item"
    case .largestUnique: "SELECT max(u) FROM mark"
    case .ownRows(let client): "SELECT id, v FROM own\(client) ORDER BY id"
    case .couponSequence: "SELECT seq FROM sqlite_sequence WHERE name='coupon'"
    case .slipCount: "SELECT count(*), coalesce(sum(v),0) FROM slip"
    case .count(let ofMarks): "SELECT count(*) FROM \(ofMarks ? "mark" : "item")"
    case .total(let ofMarks): "SELECT sum(v) FROM \(ofMarks ? "mark" : "item")"
    case .dropItems: "DELETE FROM item"
    case .dropMarks: "DELETE FROM mark"
    case .renameItems: "UPDATE OR REPLACE item SET name=?3 WHERE id BETWEEN ?1 AND ?2"
    case .shiftMarks: "UPDATE OR REPLACE mark SET u=u+?2 WHERE a=?1"
    case .putOwn(let client, _, _): "INSERT OR REPLACE INTO own\(client)(id,name,v,pad) VALUES(?1,?2,?3,zeroblob(?4))"
    case .dropOwn(let client): "DELETE FROM own\(client)"
    case .addToOwn(let client, _): "UPDATE own\(client) SET v=v+?1"
    case .takeCoupon: "INSERT INTO coupon(v) VALUES(?1)"
    case .putCoupon: "INSERT INTO coupon(id,v) VALUES(?1,?2)"
    case .takeSlip: "INSERT INTO slip(v) VALUES(?1)"
    case .putSlip: "INSERT INTO slip(id,v) VALUES(?1,?2)"
    case .dropSlips: "DELETE FROM slip WHERE id>=?1"
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
    case .groupFrom(let group, let value, let count), .groupDown(let group, let value, let count):
      return [.integer(group), .integer(value), .integer(Int64(count))]
    case .itemsDown(let id, let count): return [.integer(id), .integer(Int64(count))]
    case .namesDown(let name, let count): return [text(name), .integer(Int64(count))]
    case .lastItems(let count): return [.integer(Int64(count))]
    case .renameItems(let ids, let name): return [.integer(ids.lowerBound), .integer(ids.upperBound), text(name)]
    case .shiftMarks(let family, let value): return [text(family), .integer(value)]
    case .putOwn(_, let id, let value):
      return [.integer(id), text("own \(id)"), .integer(value), .integer(Int64(padding))]
    case .addToOwn(_, let value), .takeCoupon(let value, _), .takeSlip(let value, _), .dropSlips(let value):
      return [.integer(value)]
    case .putCoupon(let id, let value), .putSlip(let id, let value): return [.integer(id), .integer(value)]
    case .ticketCount, .sequence, .dropSequence, .largestItem, .largestName, .largestUnique, .ownRows, .couponSequence, .slipCount,
      .count, .total, .dropItems, .dropMarks, .dropOwn:
      return []
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
      return model.itemsByName.filter { $0.folded >= folded }.prefix(count).map { [text($0.name), .integer($0.id)] }
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
    case .groupFrom(let group, let value, let count):
      return model.sortedGroup(group).filter { $0.value >= value }.prefix(count).map { [.integer($0.value), .integer($0.id)] }
    case .groupDown(let group, let value, let count):
      return model.sortedGroup(group).reversed().filter { $0.value <= value }.prefix(count)
        .map { [.integer($0.value), .integer($0.id)] }
    case .itemsDown(let id, let count):
      return model.sortedItems.reversed().filter { $0.id <= id }.prefix(count).map { [.integer($0.id), .integer($0.item.value)] }
    case .namesDown(let name, let count):
      let folded = name.lowercased()
      return model.itemsByName.reversed().filter { $0.folded <= folded }.prefix(count).map { [text($0.name), .integer($0.id)] }
    case .lastItems(let count):
      return model.sortedItems.suffix(count).reversed().map { [.integer($0.id), .integer($0.item.value)] }
    case .largestItem: return [[model.items.keys.max().map { .integer($0) } ?? .null]]
    case .largestName: return [[model.itemsByName.last.map { text($0.name) } ?? .null]]
    case .largestUnique: return [[model.marks.values.compactMap(\.unique).max().map { .integer($0) } ?? .null]]
    case .ownRows(let client):
      return (model.owns[client] ?? [:]).sorted { $0.key < $1.key }.map { [.integer($0.key), .integer($0.value)] }
    case .couponSequence: return model.couponSequence.map { [[.integer($0)]] } ?? []
    case .slipCount: return sum(Array(model.slips.values))
    case .count(let ofMarks): return [[.integer(Int64(ofMarks ? model.marks.count : model.items.count))]]
    case .total(let ofMarks):
      let values = ofMarks ? model.marks.values.map(\.value) : model.items.values.map(\.value)
      return [[values.isEmpty ? .null : .integer(values.reduce(0, +))]]
    case .putItem, .rename, .addToItems, .regroup, .dropItem, .dropNamed, .putMark, .moveMark, .addToMark, .addToFamily, .dropMark,
      .dropFamily, .takeTicket, .putTicket, .dropTickets, .setSequence, .dropSequence, .dropItems, .dropMarks, .renameItems,
      .shiftMarks, .putOwn, .dropOwn, .addToOwn, .takeCoupon, .putCoupon, .takeSlip, .putSlip, .dropSlips:
      return []
    }
  }

  // MARK: obstacles

  enum Obstacle: Hashable { case item(Int64), mark(KeyModel.MarkKey), ticket(Int64) }

  /// The rows that keep a row out which is said with all its values.
  func obstacles(_ model: KeyModel) -> Set<Obstacle> {
    switch self {
    case .putItem(let id, let item, .abort), .putItem(let id, let item, .ignore):
      return Set([model.items[id] == nil ? nil : id, model.holder(ofName: item.name)].compactMap { $0 }.map { .item($0) })
    case .putMark(let number, let mark, .abort), .putMark(let number, let mark, .ignore):
      let key = KeyModel.MarkKey(family: mark.family.lowercased(), number: number)
      return Set([model.marks[key] == nil ? nil : key, model.holder(ofUnique: mark.unique)].compactMap { $0 }.map { .mark($0) })
    case .putTicket(let id, _, .abort), .putTicket(let id, _, .ignore): return model.tickets[id] == nil ? [] : [.ticket(id)]
    default: return []
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
    case .dropItems: model.items = [:]
    case .dropMarks: model.marks = [:]
    case .renameItems(let ids, let name):
      // Each takes the name from the one before; what had it is gone, and is not found any more.
      for id in model.items.keys.sorted() where ids.contains(id) && model.items[id] != nil {
        if let holder = model.holder(ofName: name), holder != id { model.items[holder] = nil }
        model.items[id]?.name = name
      }
    case .shiftMarks(let family, let value):
      let folded = family.lowercased()
      for key in model.marks.keys.sorted() where key.family == folded {
        guard let unique = model.marks[key]?.unique else { continue }
        if let holder = model.holder(ofUnique: unique + value), holder != key { model.marks[holder] = nil }
        model.marks[key]?.unique = unique + value
      }
    case .putOwn(let client, let id, let value): model.owns[client, default: [:]][id] = value
    case .dropOwn(let client): model.owns[client] = [:]
    case .addToOwn(let client, let value): model.owns[client] = model.owns[client]?.mapValues { $0 + value }
    case .takeCoupon(let value, let id):
      guard let id, model.coupons[id] == nil else { return false }
      model.putCoupon(id, value)
    case .putCoupon(let id, let value):
      if model.coupons[id] != nil { return false }
      model.putCoupon(id, value)
    case .takeSlip(let value, let id):
      // The row id is one that nobody has.
      guard let id, model.slips[id] == nil else { return false }
      model.slips[id] = value
    case .putSlip(let id, let value):
      if model.slips[id] != nil { return false }
      model.slips[id] = value
    case .dropSlips(let first): model.slips = model.slips.filter { $0.key < first }
    case .item, .itemNamed, .idRange, .itemsFrom, .namesFrom, .groupSum, .groupLargest, .mark, .familySum, .marksIn, .lastMark,
      .markWith, .ticket, .ticketCount, .sequence, .groupFrom, .groupDown, .itemsDown, .namesDown, .lastItems, .largestItem,
      .largestName, .largestUnique, .ownRows, .couponSequence, .slipCount, .count, .total:
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

  private static func drawnGroup(_ choices: ChoiceStream) -> Int64 { Int64(choices.below(groupCount, .keyGroup)) }
  private static func drawnValue(_ choices: ChoiceStream) -> Int64 { Int64(choices.below(50, .keyValue)) }

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

  /// One row, by its key; or much, of which a later look may see a part once more.
  static func drawnLook(_ choices: ChoiceStream) -> KeyOperation {
    switch choices.below(8, .kind) {
    case 0, 1: .item(id: usualId(choices))
    case 2, 3: .mark(drawnFamily(choices), usualNumber(choices))
    case 4: .idRange(0...Int64(idCount))
    case 5: .marksIn(drawnFamily(choices), 0...Int64(numberCount))
    case 6: .groupSum(drawnGroup(choices))
    default: drawnRead(choices)
    }
  }

  /// Rows of a lane, one of which lies beside the next one's.
  private static let laneRowCount = 3, laneWidth: Int64 = 16, laneStart: Int64 = 100, laneUniques: Int64 = 1_000

  /// What meets no other lane's rows, and lies on the same pages as those.
  /// - Parameters:
  ///   - largestSlip: the largest row id of a slip that the client, or else any, was told.
  ///   - largestCoupon: the same of coupons.
  static func drawnOfLane(_ choices: ChoiceStream, _ client: Int, largestSlip: Int64, largestCoupon: Int64) -> KeyOperation {
    let id = laneStart + Int64(client) + laneWidth * Int64(choices.below(laneRowCount, .laneRow))
    let value = drawnValue(choices)
    let group = drawnGroup(choices), family = drawnFamily(choices)
    let above = Int64(1 + choices.below(3, .keyTicketAbove))
    switch choices.below(24, .laneKind) {
    case 0: return .putItem(id: id, KeyModel.Item(name: "lane \(id)", group: group, value: value), .replace)
    case 1, 2: return .addToItems(id...id, 1 + value)
    case 3: return .regroup(id: id, to: group)
    case 4: return .dropItem(id: id)
    case 5, 6:
      return .putMark(number: id, KeyModel.Mark(family: family, unique: laneUniques + id, value: value), .replace)
    case 7: return .addToMark(family, id, 1 + value)
    case 8: return .dropMark(family, id)
    case 9: return .moveMark(family, id, to: drawnFamily(choices))
    case 10, 11: return .takeSlip(value, id: nil)
    case 12: return .putSlip(id: largestSlip + above, value)
    case 13: return choices.oneIn(2, .keyDropsAll) ? .dropSlips(from: largestSlip - above) : .slipCount
    case 14, 15: return .takeCoupon(value, id: nil)
    case 16: return .putCoupon(id: largestCoupon + above, value)
    case 17: return .takeTicket(value, id: nil)
    case 18: return .couponSequence
    case 19, 20: return .dropOwn(client)
    case 21: return choices.oneIn(2, .kind) ? .ownRows(client) : .addToOwn(client, 1)
    default: return .putOwn(client, id: Int64(choices.below(laneRowCount * 4, .laneRow)), value)
    }
  }

  // MARK: races

  /// What everybody wants at the moment: a name, a number or a key that nobody has had lately, or is about to lose.
  /// - Parameter moment: the number of the moment.
  static func drawnOfRace(_ choices: ChoiceStream, _ moment: Int64) -> KeyOperation {
    let conflict = choices.pick([Operation.Conflict.abort, .ignore, .replace], .conflict)
    let hot = "hot \(moment % raceCount)", hotId = raceStart + moment % raceCount
    switch choices.below(10, .raceKind) {
    case 0, 1: return .putItem(id: drawnId(choices), drawnItem(choices, sized(hot, choices)), conflict)
    case 2: return .rename(id: usualId(choices), to: sized(hot, choices), replaces: conflict == .replace)
    case 3: return .putItem(id: hotId, drawnItem(choices), conflict)
    case 4:
      let mark = KeyModel.Mark(family: drawnFamily(choices), unique: hotId, value: drawnValue(choices))
      return .putMark(number: Int64(choices.below(numberCount, .keyNumber)), mark, conflict)
    case 5:
      let mark = KeyModel.Mark(family: sized("fa", choices), unique: nil, value: drawnValue(choices))
      return .putMark(number: hotId, mark, conflict)
    case 6, 7: return choices.oneIn(2, .keyOther) ? .dropItem(id: hotId) : .dropMark("fa", hotId)
    default: return .dropNamed(hot)
    }
  }

  private static let raceStart: Int64 = 40, raceCount: Int64 = 24

  // MARK: ends

  /// The end of a table or of an index.
  static func drawnTop(_ choices: ChoiceStream) -> KeyOperation {
    choices.pick([.largestItem, .largestUnique, .lastItems(1), .largestName], .keyTop)
  }

  /// What makes another end of it: `top` is what was answered.
  static func drawnBehind(_ look: KeyOperation, _ top: ImageField?, _ choices: ChoiceStream) -> KeyOperation? {
    let above = Int64(1 + choices.below(3, .keyTicketAbove))
    var largest: Int64 = 0
    if case .integer(let number)? = top { largest = number }
    let drops = choices.below(8, .keyTopDrops) > (largest < 2 * laneStart ? 5 : 2)
    switch look {
    case .largestUnique:
      let mark = KeyModel.Mark(family: drawnFamily(choices), unique: largest + above, value: drawnValue(choices))
      if drops { return .shiftMarks(drawnFamily(choices), -1) }
      return .putMark(number: Int64(choices.below(numberCount, .keyNumber)), mark, .replace)
    case .largestName: return .rename(id: drawnId(choices), to: "z\(above)", replaces: true)
    default:
      return drops
        ? .dropItem(id: largest)
        : .putItem(id: largest + above, drawnItem(choices, "top \(largest + above)"), .abort)
    }
  }

  /// The same with names that begin with `prefix`.
  func named(behind prefix: String) -> KeyOperation {
    switch self {
    case _ where prefix.isEmpty: return self
    case .itemNamed(let name): return .itemNamed(prefix + name)
    case .namesFrom(let name, let count): return .namesFrom(prefix + name, count: count)
    case .namesDown(let name, let count): return .namesDown(prefix + name, count: count)
    case .rename(let id, let name, let replaces): return .rename(id: id, to: prefix + name, replaces: replaces)
    case .renameItems(let ids, let name): return .renameItems(ids, to: prefix + name)
    case .dropNamed(let name): return .dropNamed(prefix + name)
    case .putItem(let id, var item, let conflict):
      item.name = prefix + item.name
      return .putItem(id: id, item, conflict)
    default: return self
    }
  }

  /// The engine gives the row id: no constraint is in its way.
  var takesRowid: Bool {
    switch self {
    case .takeTicket, .takeCoupon, .takeSlip: true
    default: false
    }
  }

  func with(rowid: Int64?) -> KeyOperation {
    switch self {
    case .takeTicket(let value, _): .takeTicket(value, id: rowid)
    case .takeCoupon(let value, _): .takeCoupon(value, id: rowid)
    case .takeSlip(let value, _): .takeSlip(value, id: rowid)
    default: self
    }
  }

  static func drawnRead(_ choices: ChoiceStream) -> KeyOperation {
    let number = Int64(choices.below(numberCount, .keyNumber))
    switch choices.below(27, .kind) {
    case 24, 25: return .count(ofMarks: choices.oneIn(2, .ofMarks))
    case 26: return .total(ofMarks: choices.oneIn(2, .ofMarks))
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
    // A prefix of the index's key and a place behind it, upwards and downwards, and the ends of a table and of indexes.
    case 14: return .groupFrom(drawnGroup(choices), value: drawnValue(choices), count: 1 + choices.below(4, .keyLimit))
    case 15: return .groupDown(drawnGroup(choices), value: drawnValue(choices), count: 1 + choices.below(4, .keyLimit))
    case 16: return .itemsDown(id: drawnId(choices), count: 1 + choices.below(3, .keyLimit))
    case 17: return .namesDown(drawnName(choices), count: 1 + choices.below(3, .keyLimit))
    case 18: return .lastItems(1 + choices.below(3, .keyLimit))
    case 19: return .largestItem
    case 20: return .largestName
    case 21: return .largestUnique
    case 22: return .groupSum(drawnGroup(choices))
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
    switch choices.below(19, .kind) {
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
    case 16: return .renameItems(drawnSpan(choices, drawnId(choices)), to: drawnName(choices))
    case 17: return .shiftMarks(drawnFamily(choices), Int64(1 + choices.below(3, .shift)))
    case 18 where choices.oneIn(4, .keyDropsAll): return choices.oneIn(2, .keyTicketEnd) ? .dropItems : .dropMarks
    default: return choices.oneIn(3, .keyDropsAll) ? .dropFamily(drawnFamily(choices)) : .dropMark(drawnFamily(choices), number)
    }
  }
}
