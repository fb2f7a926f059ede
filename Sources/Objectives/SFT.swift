import AlignmentCore

/// Supervised fine-tuning: the negative log-likelihood of the completion, averaged over the batch's completion tokens.
package struct SFT: Objective {
  package static let name = "sft"
  package static let summary = "negative log-likelihood of the chosen completion, mean over tokens"
  package static let options: [OptionDescription] = []
  package static let groupKind = GroupKind.preferred
  package static let needsReference = false
  package static let normalizationUnit = NormalizationUnit.tokens

  package init(options: OptionValues) {}

  package func evaluate(_ group: ObjectiveGroup, derivatives: inout [Double]) -> Double {
    derivatives[0] = -1
    return -group.completions[0].policy
  }
}
