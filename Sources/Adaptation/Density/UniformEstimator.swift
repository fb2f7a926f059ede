import AlignmentCore

/// w = 1: the data as they are (Shimodaira 2000: best where the model is well specified).
package struct UniformEstimator: DensityEstimator {
  package static let name = "uniform"
  package static let summary = "weight 1 for every example"
  package static let options: [OptionDescription] = []
  package let needs: DensityNeeds = []

  package init(options: OptionValues) {}

  package func estimate(_ evidence: DensityEvidence) -> DensityEstimate {
    DensityEstimate(logRatios: [Double](repeating: 0, count: evidence.source.count))
  }
}
