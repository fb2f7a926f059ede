import AlignmentCore

/// The responses of both domains, divided by their prompts: all responses to a prompt are in one fold.
struct PromptFolds: Sendable {
  let count: Int
  /// The fold of each row.
  let folds: PerDomain<[Int]>

  /// - Parameter count: folds; a prompt's fold is a hash of its number, so some can be empty where prompts are few.
  init(_ evidence: DensityEvidence, count: Int) {
    self.count = count
    let stream = RandomStream(seed: evidence.seed, purpose: .weighing, RandomUse.folds.rawValue)
    folds = PerDomain { evidence[$0].prompts.map { stream.integer(below: count, at: $0) } }
  }

  /// The rows of a fold, increasing.
  func rows(of domain: Domain, in fold: Int) -> [Int32] { rows(of: domain) { $0 == fold } }

  /// The rows of all other folds, increasing, so that reading them is reading almost all memory in order.
  func rows(of domain: Domain, outside fold: Int) -> [Int32] { rows(of: domain) { $0 != fold } }

  private func rows(of domain: Domain, where isWanted: (Int) -> Bool) -> [Int32] {
    folds[domain].enumerated().compactMap { isWanted($1) ? Int32($0) : nil }
  }
}

extension OptionDescription {
  static let folds = OptionDescription("folds", default: 5, in: 2...100, "parts of the prompts for cross-validation")
}

/// What density estimators draw random numbers for; the first identity of their streams.
enum RandomUse: Int {
  case folds = 1
  case centers = 2
  case medianDistance = 3
  case frequencies = 4
  case likelihoodRows = 5
  case phases = 6
}
