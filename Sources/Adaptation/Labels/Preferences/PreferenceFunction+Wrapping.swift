import AlignmentCore

// Wrappers around functions whose type is only known from a recipe.

extension PairwisePreferenceFunction {
  /// Asked in both orders.
  package func debiased(_ debiasing: PositionDebiasing) -> any PairwisePreferenceFunction {
    DebiasedPreference(self, debiasing)
  }

  /// Asked in one order, drawn for each comparison.
  package func shownInRandomOrder() -> any PairwisePreferenceFunction { RandomOrderPreference(self) }

  /// With logits divided by a temperature.
  package func calibrated(temperature: Double) throws -> any PairwisePreferenceFunction {
    try CalibratedPreference(self, temperature: temperature)
  }

  /// Abstaining where the likelier label has less than the given probability.
  package func abstaining(below threshold: Double) throws -> any PairwisePreferenceFunction {
    try ThresholdedPreference(self, threshold: threshold)
  }

  /// Asked only for what the store does not know.
  package func cached(in store: any JudgementStore, isSymmetric: Bool = false) -> any PairwisePreferenceFunction {
    CachedPreference(self, in: store, isSymmetric: isSymmetric)
  }
}

extension PointwisePreferenceFunction {
  /// Two responses compared by their scores.
  package func compared(_ preference: ScorePreference) -> any PairwisePreferenceFunction {
    ComparedScores(self, preference)
  }

  /// With logits divided by a temperature.
  package func calibrated(temperature: Double) throws -> any PointwisePreferenceFunction {
    try CalibratedPreference(self, temperature: temperature)
  }

  /// Abstaining where the likelier label has less than the given probability.
  package func abstaining(below threshold: Double) throws -> any PointwisePreferenceFunction {
    try ThresholdedPreference(self, threshold: threshold)
  }

  /// Asked only for what the store does not know.
  package func cached(in store: any JudgementStore) -> any PointwisePreferenceFunction {
    CachedPreference(self, in: store)
  }
}
