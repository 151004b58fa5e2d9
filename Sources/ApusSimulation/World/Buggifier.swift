// Which of the engine's buggify points fire in a run, and how often they did. A seed switches about half of them on.

#if PlantedBugs
  import ApusBase

  final class Buggifier {
    private let choices: ChoiceStream
    /// One pass in so many; 0 never.
    private var oneIn: [Int] = []
    private(set) var hits: [Int]

    private static let rates = [0, 0, 0, 3, 10, 40]

    init(_ choices: ChoiceSource) {
      self.choices = choices.stream("buggify")
      hits = Array(repeating: 0, count: BuggifyPoint.allCases.count)
      for _ in hits { oneIn.append(self.choices.pick(Self.rates, .buggifyRate)) }
    }

    func fires(_ point: BuggifyPoint) -> Bool {
      let rate = oneIn[point.rawValue]
      guard rate > 0, choices.oneIn(rate, .buggify) else { return false }
      hits[point.rawValue] += 1
      return true
    }
  }
#endif
