import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// The density ratio by a classifier of domains: w(φ) = (n_s/n_t) · P(target | φ)/P(source | φ) (Bickel, Brückner and
/// Scheffer 2009, "Discriminative learning under covariate shift", §4; Qin 1998).
///
/// The classifier is a ridge-penalised logistic regression. Each response is forecast by the model of its fold, trained on
/// the other folds (cross-fitting; Chernozhukov et al. 2018, arXiv 1608.00060, §3), and the forecast is calibrated by what
/// the other folds' forecasts were worth. Folds are sets of prompts, so no response to a prompt takes part in forecasting
/// another one. log w is bounded to ± log `max_ratio` after calibration and the correction for the domains' sizes, so that
/// the bound is one on weights whatever the share of target responses; quality is measured before it.
package struct DiscriminatorEstimator: DensityEstimator {
  /// How forecasts become probabilities.
  package enum CalibrationMethod: String, Sendable, CaseIterable {
    case platt, isotonic, none

    var type: any Calibration.Type {
      switch self {
      case .platt: PlattCalibration.self
      case .isotonic: IsotonicCalibration.self
      case .none: NoCalibration.self
      }
    }
  }

  private enum Choice: String, CaseIterable { case no, yes }

  package static let name = "discriminator"
  package static let summary = "cross-fitted, calibrated logistic regression on features (Bickel et al. 2009)"
  package static let options = [
    OptionDescription("ridge", default: 1, in: 1e-6...1e9, "½·ridge·‖β‖² is added to the negative log-likelihood"),
    OptionDescription("quadratic", default: Choice.no, "squares and products of the first 8 features, too"),
    OptionDescription.folds,
    OptionDescription("calibration", default: CalibrationMethod.platt, "of held-out forecasts"),
    OptionDescription("max_ratio", default: 20, in: 1...1e12, "log-ratios are bounded to ± the logarithm of this"),
  ]
  package let needs: DensityNeeds = [.features, .targetSamples]

  private let ridge: Double
  private let isQuadratic: Bool
  private let folds: Int
  private let calibration: CalibrationMethod
  private let bound: Double

  package init(options: OptionValues) {
    ridge = options["ridge"]
    isQuadratic = (options.choice("quadratic") as Choice) == .yes
    folds = Int(options["folds"])
    calibration = options.choice("calibration")
    bound = log(options["max_ratio"])
  }

  package func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate {
    let table = try FeatureTable(evidence)
    let folds = PromptFolds(evidence, count: folds)
    let raw = try crossFit(ClassifierDesign(table: table, isQuadratic: isQuadratic), folds)
    let logRatios = calibrate(raw.logRatios, folds)
    var estimate = DensityEstimate(logRatios: logRatios.source.map { max(-bound, min(bound, $0)) })
    estimate.classifier = ClassifierQuality(Self.forecasts(logRatios))
    estimate.findings = [
      ("features", Double(table.width)), ("constant_features", Double(table.constantFeatures)),
      ("folds_without_classifier", Double(raw.foldsWithoutClassifier)), ("newton_steps", Double(raw.steps)),
    ]
    return estimate
  }

  /// log-ratios of all responses, each by the classifier that has not seen its fold; 0 where there is none because the
  /// other folds lack a domain.
  private func crossFit(
    _ design: ClassifierDesign, _ folds: PromptFolds
  ) throws -> (logRatios: PerDomain<[Double]>, foldsWithoutClassifier: Int, steps: Int) {
    var result = (
      logRatios: PerDomain { [Double](repeating: 0, count: design.table.counts[$0]) }, foldsWithoutClassifier: 0,
      steps: 0
    )
    for fold in 0..<folds.count where Domain.allCases.contains(where: { !folds.rows(of: $0, in: fold).isEmpty }) {
      let training = PerDomain { folds.rows(of: $0, outside: fold) }
      guard let prior = Self.prior(training) else {
        result.foldsWithoutClassifier += 1
        continue
      }
      let classifier = LogisticRegression(design, training, ridge: ridge)
      guard classifier.hasConverged else {
        throw Fault(.data, "the classifier of domains does not converge", at: "weights", hint: "raise weights.ridge")
      }
      result.steps += classifier.steps
      for domain in Domain.allCases {
        let rows = folds.rows(of: domain, in: fold)
        for (row, logit) in zip(rows, classifier.logits(design, rows, of: domain)) {
          result.logRatios[domain][Int(row)] = logit - prior
        }
      }
    }
    return result
  }

  /// Calibrates each fold's log-ratios by those of the other folds.
  private func calibrate(_ logRatios: PerDomain<[Double]>, _ folds: PromptFolds) -> PerDomain<[Double]> {
    var result = logRatios
    for fold in 0..<folds.count {
      let others = PerDomain { folds.rows(of: $0, outside: fold) }
      guard let prior = Self.prior(others) else { continue }
      let calibration = calibration.type.init(
        Domain.allCases.flatMap { domain in
          others[domain].map {
            ScoredResponse(score: logRatios[domain][Int($0)] + prior, isTarget: domain == .target)
          }
        })
      for domain in Domain.allCases {
        for row in folds.rows(of: domain, in: fold) {
          result[domain][Int(row)] = calibration.logit(logRatios[domain][Int(row)] + prior) - prior
        }
      }
    }
    return result
  }

  /// log(n_t/n_s) of some rows, the logit of P(target) without features; nil where a domain is missing.
  private static func prior(_ rows: PerDomain<[Int32]>) -> Double? {
    let (source, target) = (Double(rows.source.count), Double(rows.target.count))
    return source > 0 && target > 0 ? log(target / source) : nil
  }

  /// P(target) of each response.
  private static func forecasts(_ logRatios: PerDomain<[Double]>) -> [ScoredResponse] {
    let prior = log(Double(logRatios.target.count) / Double(logRatios.source.count))
    return Domain.allCases.flatMap { domain in
      logRatios[domain].map { ScoredResponse(score: sigmoid($0 + prior), isTarget: domain == .target) }
    }
  }
}
