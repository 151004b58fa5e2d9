// What the table of the planted bugs says of each: where it sits, what it does, who is to catch it.

#if PlantedBugs
  public struct PlantedBugEntry: Sendable {
    /// The part of the engine that the bug is in.
    public enum Layer: String, CaseIterable, Sendable {
      case btree = "B-tree", freelist = "freelist and pointer map", pager = "pager", journal = "rollback journal"
      case wal = "WAL", io = "I/O", compiler = "compiler", machine = "virtual machine"
      case concurrency = "concurrent transactions"
      /// No bug of the engine's: what the tester must always find.
      case canary
    }

    /// What must happen in a run before the bug can show. A world that has none of it is the bug's negative control: there it
    /// must survive.
    public enum Need: String, Sendable {
      case nothing, powerCut, fault, damage, cancellation
    }

    public var layer: Layer
    /// One line: what the mutated code does instead of what it should.
    public var meaning: String
    /// Another oracle's finding does not count.
    public var oracles: Set<Finding.Oracle>
    public var need: Need

    init(_ layer: Layer, _ meaning: String, _ oracles: Set<Finding.Oracle>, needs need: Need = .nothing) {
      self.layer = layer
      self.meaning = meaning
      self.oracles = oracles
      self.need = need
    }
  }

  extension Set<Finding.Oracle> {
    /// A page or an entry of a tree is wrong: the walk sees it, or a statement that comes upon it.
    static let structure: Self = [.walk, .read, .error]
    /// Transactions are lost, come back or mix; what is left of them may not even be a tree.
    static let transactions: Self = [.durability, .snapshot, .walk, .read, .error]
  }
#endif
