import AlignmentCore
import Objectives
import Testing

/// What holds for every objective of the registry, present and future.
@Suite struct ObjectiveLawTests {
  static let names = ObjectiveRegistry.all.map { $0.name }

  /// An objective by name with every option at its default, or one of them at the lowest or highest value.
  static func variants(_ name: String) throws -> [any Objective] {
    guard let type = ObjectiveRegistry.all.first(where: { $0.name == name }) else { return [] }
    let extremes = type.options.flatMap { option in option.extremes.map { [option.name: $0] } }
    return try ([[:]] + extremes).map { try ObjectiveRegistry.make(name, settings: $0) }
  }

  /// A group of the objective's kind, completion i having the log-ratio `logRatios[i]`.
  private func group(for objective: any Objective, _ logRatios: [Double], softLabel: Double) -> ObjectiveGroup {
    let count = type(of: objective).groupKind == .pair ? 2 : 1
    let completions = (0..<count).map { index in
      let reference = -20.0 - 3 * Double(index)
      return CompletionLogProbability(policy: reference + logRatios[index], reference: reference, tokens: 5 + index)
    }
    return ObjectiveGroup(completions: completions, softLabel: softLabel, margin: 0.5)
  }

  // Central differences with a step of 10⁻⁵ around losses of order 10³ at most: about 10⁻⁸ of rounding.
  static let step = 1e-5
  static let tolerance = 1e-6

  @Test(arguments: names, [0.0, 0.3, 0.9, 1])
  func derivativesAreThoseOfTheLoss(name: String, softLabel: Double) throws {
    for (variant, objective) in try Self.variants(name).enumerated() {
      for point in [[0.0, 0], [1.5, -0.5], [-4, 7], [12, -9], [-0.01, 0.02]] {
        let center = group(for: objective, point, softLabel: softLabel)
        let (_, derivatives) = evaluate(objective, center)
        // At an extreme option a loss may bend within a step; with the defaults it must not.
        guard isSmooth(objective, center) || variant == 0 else { continue }
        for index in center.completions.indices {
          var (above, below) = (center, center)
          above.completions[index].policy += Self.step
          below.completions[index].policy -= Self.step
          let slope = (evaluate(objective, above).loss - evaluate(objective, below).loss) / (2 * Self.step)
          #expect(abs(slope - derivatives[index]) <= Self.tolerance * (1 + abs(derivatives[index])))
        }
      }
    }
  }

  /// Whether the loss is near its tangent over the step: its derivative must not change much.
  private func isSmooth(_ objective: any Objective, _ center: ObjectiveGroup) -> Bool {
    center.completions.indices.allSatisfy { index in
      let derivatives = [-Self.step, Self.step].map { move in
        var moved = center
        moved.completions[index].policy += move
        return evaluate(objective, moved).derivatives[index]
      }
      return abs(derivatives[0] - derivatives[1]) < 1e-3 * (1 + abs(derivatives[0]))
    }
  }

  @Test(arguments: names, [[500.0, -500], [-500, 500], [500, 500], [-500, -500]])
  func everythingIsFiniteAtExtremes(name: String, point: [Double]) throws {
    for objective in try Self.variants(name) {
      for softLabel in [0, 0.5, 1] {
        let (loss, derivatives) = evaluate(objective, group(for: objective, point, softLabel: softLabel))
        #expect(loss.isFinite)
        #expect(derivatives.allSatisfy { $0.isFinite })
      }
    }
  }

  @Test(arguments: names)
  func everyDerivativeIsWritten(name: String) throws {
    for objective in try Self.variants(name) {
      // `evaluate` hands in NaN.
      let (_, derivatives) = evaluate(objective, group(for: objective, [0.5, -0.5], softLabel: 1))
      #expect(derivatives.allSatisfy { !$0.isNaN })
    }
  }

  @Test func namesAreUniqueAndOptionsDescribeThemselves() {
    #expect(Set(Self.names).count == Self.names.count)
    for type in ObjectiveRegistry.all {
      #expect(Set(type.options.map(\.name)).count == type.options.count && !type.summary.isEmpty)
      for option in type.options {
        #expect(!option.meaning.isEmpty, "\(type.name).\(option.name)")
      }
    }
  }
}

extension OptionDescription {
  /// The lowest and the highest number, or every choice.
  fileprivate var extremes: [String] {
    switch kind {
    case .number(_, let range): ["\(range.lowerBound)", "\(range.upperBound)"]
    case .choice(_, let names): names
    }
  }
}
