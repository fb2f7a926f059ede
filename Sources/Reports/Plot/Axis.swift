/// An axis of a chart as its maker asks for it. Where it begins and ends follows from the data.
package struct Axis: Sendable {
  /// How values become lengths.
  package enum Scale: Sendable {
    case linear
    /// Powers of ten; values that are not positive are left out.
    case logarithmic
  }

  package var title: String
  package var scale: Scale
  /// Values that the axis shows whatever the data are.
  package var covered: ClosedRange<Double>?
  /// Ticks stand at whole numbers only, for what is counted: rounds, seeds.
  package var isWhole: Bool

  package init(
    _ title: String, scale: Scale = .linear, covering covered: ClosedRange<Double>? = nil, isWhole: Bool = false
  ) {
    self.title = title
    self.scale = scale
    self.covered = covered
    self.isWhole = isWhole
  }

  /// Whether a value can be drawn: finite, positive on a logarithmic axis, and far enough from the ends of Double for
  /// ticks beyond it.
  func accepts(_ value: Double) -> Bool {
    switch scale {
    case .linear: abs(value) <= 1e300
    case .logarithmic: 1e-200...1e200 ~= value
    }
  }
}
