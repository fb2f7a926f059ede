import AlignmentCore

/// The log-ratios of an earlier fit, or of another program.
package struct CachedEstimator: DensityEstimator {
  package static let name = "cached"
  package static let summary = "log-ratios that are stored already"
  package static let options: [OptionDescription] = []
  package let needs: DensityNeeds = .storedLogRatios

  package init(options: OptionValues) {}

  package func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate {
    try evidence.require(
      evidence.storedLogRatios.count, "the stored log-ratios", for: Self.name, hint: "make them anew for these data")
    return DensityEstimate(logRatios: evidence.storedLogRatios)
  }
}
