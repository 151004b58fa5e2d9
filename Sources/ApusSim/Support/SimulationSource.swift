// Where a command's run comes from: a seed, or a repro file.

import ApusHarness
import ApusSimulation
import ArgumentParser

enum SimulationSource {
  case seed(UInt64)
  case file(path: String, ReproFile)

  /// - Parameter text: a number, or the path of a repro file.
  init(_ text: String) throws {
    if let seed = UInt64(text) {
      self = .seed(seed)
    } else {
      self = .file(path: text, try ReproFile.read(text))
    }
  }

  var origin: ChoiceSource.Origin {
    switch self {
    case .seed(let seed): .seed(seed)
    case .file(_, let file): .tape(file.tape)
    }
  }

  /// As a file says, where the command does not.
  func world(_ options: WorldOptions) throws -> WorldOptions {
    guard case .file(_, let file) = self else { return options }
    var world = options
    world.plant = options.plant ?? file.plant
    world.scenario = options.scenario ?? file.scenario
    try world.validate()
    return world
  }

  var argument: String {
    switch self {
    case .seed(let seed): "\(seed)"
    case .file(let path, _): path
    }
  }

  var title: String {
    switch self {
    case .seed(let seed): "seed \(seed)"
    case .file(let path, _): path
    }
  }
}

extension ReproFile {
  static func read(_ path: String) throws -> ReproFile {
    guard let bytes = Console.contents(of: path) else {
      throw ValidationError("'\(path)' is no seed, and cannot be read")
    }
    do throws(TapeTextError) {
      return try ReproFile(text: String(decoding: bytes, as: UTF8.self))
    } catch {
      throw ValidationError("\(path): \(error)")
    }
  }
}
