// Who must come before whom, and the cycles in it.

struct Dependency: Equatable {
  enum Kind: Equatable {
    /// The second appended behind the first.
    case write
    /// The second read what the first had appended.
    case read
    /// The second appended behind what the first had read.
    case antiDependency
    /// The first was answered before the second began.
    case realTime
  }

  var kind: Kind
  var key: Int
  /// The number in the list that tells.
  var value: Int
  var target: Int
  /// An anti-dependency of a transaction that holds to its snapshot, and need not have read the same at its commit.
  var isOfSnapshot = false
}

struct DependencyGraph {
  private(set) var edges: [[Dependency]]

  init(count: Int) { edges = Array(repeating: [], count: count) }

  mutating func add(_ source: Int, _ edge: Dependency) {
    if source == edge.target || edges[source].contains(edge) { return }
    edges[source].append(edge)
  }

  mutating func addNode() -> Int {
    edges.append([])
    return edges.count - 1
  }

  /// A shortest cycle of edges that `accepts` lets through; nil where there is none.
  ///
  /// - Parameter separated: no two anti-dependencies may follow each other in it, the last one and the first included.
  func cycle(separated: Bool = false, _ accepts: (Dependency) -> Bool) -> [(source: Int, edge: Dependency)]? {
    // With `separated` a state is a node and whether an anti-dependency led there.
    let width = separated ? 2 : 1
    func successors(_ state: Int) -> [(state: Int, edge: Dependency)] {
      let node = state / width, cameByAnti = separated && state % width == 1
      var found: [(state: Int, edge: Dependency)] = []
      for edge in edges[node] where accepts(edge) {
        let isAnti = edge.kind == .antiDependency
        if isAnti && cameByAnti { continue }
        found.append((edge.target * width + (separated && isAnti ? 1 : 0), edge))
      }
      return found
    }
    let components = Self.components(count: edges.count * width) { state in successors(state).map(\.state) }
    var best: [(source: Int, edge: Dependency)]?
    for component in components where component.count > 1 {
      let members = Set(component)
      // One start in each component: the shortest way from it back to it.
      guard let start = component.min() else { continue }
      var cameFrom: [Int: (state: Int, edge: Dependency)] = [:]
      var queue = [start]
      var place = 0
      search: while place < queue.count {
        let state = queue[place]
        place += 1
        for next in successors(state) where members.contains(next.state) {
          if next.state == start {
            var path = [(source: state / width, edge: next.edge)]
            var back = state
            while back != start, let step = cameFrom[back] {
              path.append((source: step.state / width, edge: step.edge))
              back = step.state
            }
            path.reverse()
            if path.count < best?.count ?? .max { best = path }
            break search
          }
          if cameFrom[next.state] == nil {
            cameFrom[next.state] = (state, next.edge)
            queue.append(next.state)
          }
        }
      }
    }
    return best
  }

  /// Strongly connected components, by Tarjan's algorithm without recursion.
  private static func components(count: Int, _ successors: (Int) -> [Int]) -> [[Int]] {
    var index = Array(repeating: -1, count: count), low = index
    var isOnStack = Array(repeating: false, count: count)
    var stack: [Int] = [], found: [[Int]] = []
    var next = 0
    for root in 0..<count where index[root] < 0 {
      var work: [(node: Int, successors: [Int], place: Int)] = []
      func enter(_ node: Int) {
        index[node] = next
        low[node] = next
        next += 1
        stack.append(node)
        isOnStack[node] = true
        work.append((node, successors(node), 0))
      }
      enter(root)
      while let top = work.last {
        if top.place < top.successors.count {
          work[work.count - 1].place += 1
          let target = top.successors[top.place]
          if index[target] < 0 {
            enter(target)
          } else if isOnStack[target] {
            low[top.node] = min(low[top.node], index[target])
          }
          continue
        }
        work.removeLast()
        if let parent = work.last?.node { low[parent] = min(low[parent], low[top.node]) }
        if low[top.node] != index[top.node] { continue }
        var component: [Int] = []
        while let member = stack.popLast() {
          isOnStack[member] = false
          component.append(member)
          if member == top.node { break }
        }
        found.append(component)
      }
    }
    return found
  }
}
