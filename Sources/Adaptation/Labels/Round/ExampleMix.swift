import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// How labels of the policy's samples join the examples of the source data.
package struct MixPlan: Sendable, Equatable {
  /// What the two factors mean.
  package enum Measure: String, Sendable, CaseIterable {
    /// Each example's weight is multiplied by the factor of its part.
    case multipliers
    /// The parts have these shares of all weight, however many examples they have; the mean weight is 1.
    case shares
    /// The weights of each part add up to its effective number of examples (Σw)²/Σw² times its factor: source examples
    /// that few others resemble do not outvote labels of the policy's own samples.
    case effective
  }

  package var measure = Measure.multipliers
  /// Factor of the source examples; 0 leaves them out.
  package var source = 1.0
  /// λ, the factor of the pseudo-labels; 0 leaves them out.
  package var pseudo = 1.0
  /// γ: a pseudo-label has the weight |2q − 1|^γ beside that of its pairing; 0 weighs all alike.
  package var confidencePower = 0.0

  package init() {}

  /// The weights of all examples.
  ///
  /// - Parameter sourceWeights: w of each source example, such as a density ratio gives.
  /// - Throws: ``Fault`` for factors or weights that are negative or not finite, and where nothing has a weight.
  package func mix(sourceWeights: [Double], labels: [PseudoLabel]) throws -> ExampleMix {
    try mix(sourceWeights: sourceWeights, pseudo: labels.map { (weight: $0.weight, confidence: $0.confidence) })
  }

  /// The same of labels of which only weight and confidence |2q − 1| are known.
  package func mix(sourceWeights: [Double], pseudo labels: [(weight: Double, confidence: Double)]) throws -> ExampleMix
  {
    for (name, value) in [("source", source), ("pseudo", pseudo), ("confidence_power", confidencePower)]
    where !(value >= 0 && value.isFinite) {
      throw Fault(.configuration, "\(value) is no factor", at: "mix.\(name)", hint: "a factor is 0 or more")
    }
    let labelWeights = labels.map { $0.weight * power($0.confidence) }
    for (index, weight) in (sourceWeights + labelWeights).enumerated() where !(weight >= 0 && weight.isFinite) {
      throw Fault(
        .nonFinite, "an example has the weight \(weight)",
        at: index < sourceWeights.count ? "source example \(index)" : "pseudo-label \(index - sourceWeights.count)",
        hint: "weights are finite and not negative")
    }
    let parts = scaled(
      ExampleMix.Part(sourceWeights.map { source == 0 ? 0 : $0 }),
      ExampleMix.Part(labelWeights.map { pseudo == 0 ? 0 : $0 }))
    guard !parts.source.isEmpty || !parts.pseudo.isEmpty else {
      throw Fault(
        .data, "no example has a weight", at: "mix", hint: "look at the filters that dropped labels, and at the factors"
      )
    }
    return parts
  }

  private func power(_ confidence: Double) -> Double {
    confidencePower == 0 ? 1 : confidencePower == 1 ? confidence : pow(confidence, confidencePower)
  }

  private func scaled(_ source: ExampleMix.Part, _ pseudo: ExampleMix.Part) -> ExampleMix {
    var mix = ExampleMix(source: source, pseudo: pseudo)
    switch measure {
    case .multipliers:
      mix.source.scale(by: self.source)
      mix.pseudo.scale(by: self.pseudo)
    case .effective:
      mix.source.scale(by: source.isEmpty ? 0 : self.source * source.effectiveCount / source.total)
      mix.pseudo.scale(by: pseudo.isEmpty ? 0 : self.pseudo * pseudo.effectiveCount / pseudo.total)
    case .shares:
      let count = Double(source.places.count + pseudo.places.count)
      // A part without examples leaves its share to the other one.
      let whole = (source.isEmpty ? 0 : self.source) + (pseudo.isEmpty ? 0 : self.pseudo)
      mix.source.scale(by: self.source / whole * count / source.total)
      mix.pseudo.scale(by: self.pseudo / whole * count / pseudo.total)
    }
    return mix
  }
}

/// Which examples a round trains on, and with which weights. In which order is the trainer's affair.
package struct ExampleMix: Sendable, Equatable {
  /// Examples of one origin.
  package struct Part: Sendable, Equatable {
    /// The places of the examples whose weight is above 0.
    package private(set) var places: [Int]
    /// Their weights.
    package private(set) var weights: [Double]

    init(_ weights: [Double]) {
      places = weights.indices.filter { weights[$0] > 0 }
      self.weights = places.map { weights[$0] }
    }

    var isEmpty: Bool { places.isEmpty }

    mutating func scale(by factor: Double) {
      for index in weights.indices { weights[index] *= factor }
    }

    /// Σw
    package var total: Double { weights.reduce(0, +) }

    /// (Σw)²/Σw², the number of examples of equal weight that would tell as much; 0 for none.
    package var effectiveCount: Double {
      // Divided by the greatest weight, squares can neither overflow nor vanish.
      guard let greatest = weights.max() else { return 0 }
      let relative = weights.map { $0 / greatest }
      let sum = relative.reduce(0, +)
      return sum * sum / relative.reduce(0) { $0 + $1 * $1 }
    }
  }

  package internal(set) var source: Part
  package internal(set) var pseudo: Part

  /// The pseudo-labels' share of all weight.
  package var pseudoShare: Double { pseudo.total / (source.total + pseudo.total) }

  /// The pseudo-labels' share of the effective examples: near 0 or 1, one side is silently alone.
  package var effectivePseudoShare: Double {
    pseudo.effectiveCount / (source.effectiveCount + pseudo.effectiveCount)
  }
}
