// A command's cases dealt out to processes of their own: each runs every Nth case, and says what it does line by line.

import ApusHarness

struct PartPool {
  /// The command and its options, without the part's.
  var arguments: [String]
  var jobCount: Int

  /// - Parameter handle: gets each line.
  /// - Returns: how processes ended that did not end well.
  func run(_ handle: (FieldLine) -> Void) -> [String] {
    var children: [LiveChild] = []
    for part in 0..<jobCount {
      if let child = LiveChild.again(arguments + ["--part", "\(part)", "--parts", "\(jobCount)"]) {
        children.append(child)
      }
    }
    var troubles = children.count < jobCount ? ["a process cannot be started"] : []
    while !children.isEmpty {
      LiveChild.wait(for: children, milliseconds: 1000)
      for child in children { for line in child.lines() { handle(FieldLine(line: line)) } }
      for child in children where child.isAtEnd {
        let status = child.join()
        if status != 0 { troubles.append(SeedPool.reason(status)) }
      }
      children.removeAll(where: \.isAtEnd)
    }
    return troubles
  }
}
