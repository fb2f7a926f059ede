import AlignmentCore
import PreferenceData
import Transformer

/// What a trainer works on: numbered prompt groups, and the loss of each as a function of what the model says of it.
package protocol TrainingTask: AnyObject {
  var groups: any PromptGroups { get }
  /// Numbers that a group leaves in the table; the first is its loss.
  var columns: Int { get }
  /// Whether the reference's log-probabilities of each unit must be computed with the live reference.
  var needsLiveReference: Bool { get }

  /// About how large the derivatives of a loss become.
  var magnitude: Double { get }

  /// What the losses and gradients of a batch are divided by, as far as it is known before anything is computed.
  func normalizer(of examples: [Int]) -> Double

  /// What they are divided by when the results of the batch are known.
  ///
  /// - Parameters:
  ///   - expected: what ``normalizer(of:)`` said; sums are scaled by it.
  func normalizer(_ expected: Double, for table: StepTable) -> Double

  /// The groups that must be scored before the losses of a batch, or nil.
  func survey(of examples: [Int]) -> BatchSurvey?

  /// Begins a batch.
  func begin(_ examples: [Int], normalizer: Double)

  /// Records what the model says of a group of the survey.
  func recordSurvey(_ group: UnitGroup, into table: inout StepTable)

  /// Takes in the shared table of the survey.
  ///
  /// - Parameters:
  ///   - examples: what each row is of.
  func finishSurvey(_ table: StepTable, of examples: [Int])

  /// Records the loss of a group and, if asked, writes its derivatives into the model.
  ///
  /// - Throws: ``Fault`` of kind `nonFinite` that names the row of the data.
  func evaluate(_ group: UnitGroup, writesDerivatives: Bool, into table: inout StepTable) throws

  /// Takes in the shared table when a step is done.
  func observe(_ table: StepTable)
}

extension TrainingTask {
  package func normalizer(_ expected: Double, for table: StepTable) -> Double { expected }
}

/// Groups to be scored before a batch.
package struct BatchSurvey {
  package let groups: any PromptGroups
  package let indices: [Int]
  /// The example that each of them belongs to.
  package let examples: [Int]
  /// Whether they must be scored by the live reference, too.
  package let needsReference: Bool
}

/// A group of the unit that a model has just computed.
package struct UnitGroup {
  let span: GroupSpan
  let unit: WorkUnit
  let model: LanguageModel
  /// (R) log-probabilities of the unit under the live reference; empty where there is none.
  let reference: UnsafeBufferPointer<Double>
}
