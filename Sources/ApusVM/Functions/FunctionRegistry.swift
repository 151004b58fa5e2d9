// The functions of one connection: the built-in ones, shared, and in front of them those of the application.

import ApusBase
import Synchronization

/// An immutable set of functions by name, made once and shared by connections.
public struct FunctionLibrary: Sendable {
  fileprivate var byName: [ExactText: [FunctionDefinition]] = [:]

  public init(_ definitions: [FunctionDefinition] = []) {
    for definition in definitions { byName[ExactText(definition.name), default: []].append(definition) }
  }

  /// Both sets together.
  public mutating func add(_ definitions: [FunctionDefinition]) {
    for definition in definitions { byName[ExactText(definition.name), default: []].append(definition) }
  }

  /// All definitions, in order of name and argument count.
  public var definitions: [FunctionDefinition] {
    byName.values.flatMap(\.self).sorted { ($0.name, $0.arity.listed) < ($1.name, $1.arity.listed) }
  }
}

public enum FunctionLookup: Sendable {
  case found(FunctionDefinition)
  /// The name is known, but not with so many arguments: "wrong number of arguments to function NAME()".
  case wrongArgumentCount
  /// "no such function: NAME".
  case unknown
}

/// Used by one connection, hence by one thread at a time.
public final class FunctionRegistry {
  private let builtIn: FunctionLibrary
  private var own: [ExactText: [FunctionDefinition]] = [:]
  /// Counts changes: a compiled statement that was made under another number is compiled again.
  public var version: Int { changeCount.load(ordering: .relaxed) }
  // Read at each step: an atomic needs no check for exclusive access.
  private let changeCount = Atomic<Int>(0)

  public init(builtIn: FunctionLibrary) { self.builtIn = builtIn }

  /// Adds `definition`, instead of one of the same name and arity. It hides built-in functions of that name that it
  /// accepts the arguments of.
  public func register(_ definition: FunctionDefinition) {
    unregister(definition.name, definition.arity)
    own[ExactText(definition.name), default: []].append(definition)
    noteChange()
  }

  /// What the programs were compiled against has changed otherwise: the databases have other numbers.
  public func expirePrograms() { noteChange() }

  private func noteChange() { changeCount.wrappingAdd(1, ordering: .relaxed) }

  /// Removes an application's function; built-in ones stay.
  public func unregister(_ name: String, _ arity: FunctionArity) {
    let key = ExactText.folding(name)
    guard var list = own[key], let index = list.firstIndex(where: { $0.arity == arity }) else { return }
    list.remove(at: index)
    own[key] = list.isEmpty ? nil : list
    noteChange()
  }

  /// The function that a call of `name` with `count` arguments means. An exact count beats an open one; any function of
  /// the application that fits beats the built-in ones.
  public func lookUp(_ name: String, argumentCount count: Int) -> FunctionLookup {
    let key = ExactText.folding(name)
    let ownList = own[key] ?? []
    let builtInList = builtIn.byName[key] ?? []
    if let found = best(ownList, count) ?? best(builtInList, count) { return .found(found) }
    return ownList.isEmpty && builtInList.isEmpty ? .unknown : .wrongArgumentCount
  }

  private func best(_ list: [FunctionDefinition], _ count: Int) -> FunctionDefinition? {
    list.first { $0.arity == .exactly(count) } ?? list.first { $0.arity.accepts(count) }
  }

  /// True where some function has this name, with whatever number of arguments.
  public func isKnown(_ name: String) -> Bool {
    let key = ExactText.folding(name)
    return own[key] != nil || builtIn.byName[key] != nil
  }

  /// The application's functions.
  public var ownDefinitions: [FunctionDefinition] {
    own.values.flatMap(\.self).sorted { ($0.name, $0.arity.listed) < ($1.name, $1.arity.listed) }
  }

  public var builtInDefinitions: [FunctionDefinition] { builtIn.definitions }
}
