import AlignmentCore
import Objectives
import Testing

/// What holds for every objective of the registry, present and future, under every option and modifier.
@Suite struct ObjectiveLawTests {
  /// Log-ratios of a pair; no loss bends there.
  static let points: [SIMD2<Double>] = [[0, 0], [1.5, -0.5], [-4, 7], [12, -9], [-0.01, 0.02]]

  // Differences of fourth order err by (rate·step)⁴ / 30, for rates of up to 2·10⁴ (discopop's β/τ at β = 10³); a small
  // step loses more digits of large losses. One of the two must agree.
  static let steps = [1e-5, 1e-6]
  static let tolerance = 1e-6

  @Test(arguments: Variant.uncoupled)
  func derivativesAreThoseOfTheLoss(_ variant: Variant) {
    for point in Self.points {
      for softLabel in [0, 0.3, 1] {
        let group = variant.group(point, softLabel: softLabel)
        for index in group.completions.indices {
          let agrees = Self.steps.contains { isSlope(variant.objective, of: group, index, step: $0) }
          #expect(agrees, "\(point), q = \(softLabel), \(index)")
        }
      }
    }
  }

  /// Whether a derivative is that of the loss by differences, but for the digits that they lose of the loss and of the
  /// log-probability it is computed from.
  private func isSlope(_ objective: any Objective, of group: ObjectiveGroup, _ index: Int, step: Double) -> Bool {
    let loss = objective.loss(of: group)
    let expected = slope(step: step) { move in
      var moved = group
      moved.completions[index].policy += move
      return objective.loss(of: moved).value
    }
    let lost = 10 * (loss.value.ulp + abs(loss.derivatives[index]) * 23.0.ulp) / step
    return abs(loss.derivatives[index] - expected) <= Self.tolerance * max(1, abs(expected)) + lost
  }

  @Test(arguments: Variant.uncoupled)
  func everythingIsFiniteAtExtremes(_ variant: Variant) {
    for point: SIMD2<Double> in [[500, -500], [-500, 500], [500, 500], [-500, -500]] {
      for softLabel in [0, 0.5, 1] {
        let loss = variant.objective.loss(of: variant.group(point, softLabel: softLabel))
        #expect(loss.value.isFinite && loss.derivatives[0].isFinite && loss.derivatives[1].isFinite, "\(point)")
      }
    }
  }

  @Test(arguments: Variant.uncoupled)
  func whatIsNotANumberShows(_ variant: Variant) {
    #expect(variant.objective.loss(of: variant.group([.nan, 0])).value.isNaN)
  }

  /// The same group with its completions in the other order.
  private func swapped(_ group: ObjectiveGroup) -> ObjectiveGroup {
    var group = group
    group.completions.reverse()
    group.margin = -group.margin
    return group
  }

  @Test(arguments: Variant.uncoupled.filter(\.isPair), [0, 0.25, 0.9])
  func aSoftLabelMixesTheTwoOrders(_ variant: Variant, q: Double) {
    for point in Self.points {
      let group = variant.group(point)
      var uncertain = group
      uncertain.softLabel = q
      let (right, wrong) = (variant.objective.loss(of: group), variant.objective.loss(of: swapped(group)))
      let mixed = variant.objective.loss(of: uncertain)
      #expect(isClose(mixed.value, q * right.value + (1 - q) * wrong.value))
      for index in 0..<2 {
        let expected = q * right.derivatives[index] + (1 - q) * wrong.derivatives[1 - index]
        #expect(isClose(mixed.derivatives[index], expected))
      }
    }
  }

  @Test(arguments: Variant.uncoupled.filter(\.isPair), [0, 0.25, 1])
  func theOrderOfAPairIsAMatterOfItsLabel(_ variant: Variant, q: Double) {
    for point in Self.points {
      let group = variant.group(point, softLabel: q)
      var other = swapped(group)
      other.softLabel = 1 - q
      let (one, two) = (variant.objective.loss(of: group), variant.objective.loss(of: other))
      #expect(isClose(one.value, two.value))
      #expect(isClose(one.derivatives[0], two.derivatives[1]) && isClose(one.derivatives[1], two.derivatives[0]))
    }
  }

  @Test(
    arguments: Variant.uncoupled.filter { [.labelled, .preferred].contains($0.objective.traits.groupKind) },
    [0, 0.25, 0.9])
  func aSoftLabelMixesTheTwoLabels(_ variant: Variant, q: Double) {
    for point in Self.points {
      for isDesirable in [true, false] {
        var group = variant.group(point, softLabel: q)
        group.isDesirable = isDesirable
        let mixed = variant.objective.loss(of: group)
        group.softLabel = 1
        let right = variant.objective.loss(of: group)
        group.isDesirable.toggle()
        let wrong = variant.objective.loss(of: group)
        #expect(isClose(mixed.value, q * right.value + (1 - q) * wrong.value))
        let derivative = q * right.derivatives[0] + (1 - q) * wrong.derivatives[0]
        #expect(isClose(mixed.derivatives[0], derivative))
      }
    }
  }

  // The search that found discopop left a bump near 0, where its loss rises with the chosen (20/4·(1 − log 2) > ¾).
  @Test(arguments: Variant.uncoupled.filter { $0.isPair && $0.settings.isEmpty && $0.name != "discopop" })
  func fromTheReferenceOnTheChosenGains(_ variant: Variant) {
    let loss = variant.objective.loss(of: variant.group([0, 0]))
    #expect(loss.derivatives[0] - loss.derivatives[1] < 0)
  }

  @Test(arguments: Variant.uncoupled)
  func weightsAndPlacesAreTheCallers(_ variant: Variant) {
    var group = variant.group([1.5, -0.5], softLabel: 0.7)
    let loss = variant.objective.loss(of: group)
    (group.weight, group.slot) = (7, 3)
    #expect(variant.objective.loss(of: group) == loss)
  }

  /// What a loss gains if the batch has half the tokens.
  private func likelihood(_ variant: Variant) -> Double {
    var group = variant.group([1.5, -0.5])
    let loss = variant.objective.loss(of: group)
    group.examplesPerToken *= 2
    return variant.objective.loss(of: group).value - loss.value
  }

  // 18.5 nats of the first completion at one example per eight tokens.
  @Test(arguments: Variant.uncoupled)
  func tokenMeansAreOfLikelihoodsOnly(_ variant: Variant) {
    var weight = 0.0
    if ["sft", "csft", "cpo", "orpo"].contains(variant.name), variant.settings["average"] ?? "tokens" == "tokens" {
      weight += Double(variant.settings["alpha"] ?? "1") ?? .nan
    }
    weight += Double(variant.settings["nll"] ?? "0") ?? .nan
    #expect(isClose(likelihood(variant), weight * 18.5 / 8))
  }

  @Test func namesAreUniqueAndOptionsDescribeThemselves() {
    let types = ObjectiveRegistry.all
    #expect(Set(types.map { $0.name }).count == types.count)
    for type in types {
      #expect(Set(type.options.map(\.name)).count == type.options.count && !type.summary.isEmpty)
      for option in type.options { #expect(!option.meaning.isEmpty, "\(type.name).\(option.name)") }
    }
  }
}
