import AlignmentCore
import Kernels

/// A function's value at a point, its gradient and the lower triangle of its Hessian.
struct Curvature {
  var value = 0.0
  var gradient: [Double]
  var hessian: DoubleMatrix

  init(variables: Int) {
    gradient = [Double](repeating: 0, count: variables)
    hessian = DoubleMatrix(rows: variables, columns: variables)
  }

  /// Multiplies the derivatives.
  mutating func scale(by factor: Double) {
    for i in gradient.indices { gradient[i] *= factor }
    for i in hessian.elements.indices { hessian.elements[i] *= factor }
  }

  /// Adds ½·`strength`·Σ x² over the first variables.
  mutating func addRidge(_ strength: Double, at point: [Double], variables: Int) {
    for i in 0..<variables {
      value += 0.5 * strength * point[i] * point[i]
      gradient[i] += strength * point[i]
      hessian[i, i] += strength
    }
  }
}

/// Newton's method with step halving for convex functions of up to some hundred variables (Boyd and Vandenberghe 2004,
/// "Convex optimization", algorithm 9.5).
struct NewtonMethod {
  struct Result {
    var point: [Double]
    var steps: Int
    /// Whether the last step was expected to lower the value by next to nothing.
    var hasConverged: Bool
  }

  /// A step that is expected to lower the value by a smaller share of 1 + |value| is the last one. It is still taken, and
  /// by the method's quadratic convergence leaves an error of about this share's size in the point.
  var tolerance = 1e-12
  var maximumSteps = 100

  /// - Parameters:
  ///   - floor: a value below it ends the search without convergence.
  ///   - function: adds the function's value and derivatives at a point to a curvature of zeros.
  func minimize(
    from start: [Double], floor: Double = -.infinity,
    _ function: ([Double], inout Curvature) -> Void
  ) -> Result {
    var result = Result(point: start, steps: 0, hasConverged: false)
    var here = Curvature(variables: start.count)
    function(start, &here)
    while result.steps < maximumSteps, here.value >= floor, let step = Self.step(here) {
      result.steps += 1
      let decrease = -zip(step, here.gradient).reduce(0) { $0 + $1.0 * $1.1 }
      if 0.5 * decrease <= tolerance * (1 + abs(here.value)) {
        result.point = Self.moved(result.point, along: step, by: 1)
        result.hasConverged = true
        break
      }
      guard let (point, next) = search(from: result.point, here, along: step, decrease, function) else { break }
      (result.point, here) = (point, next)
    }
    return result
  }

  /// −H⁻¹g; where H is singular, its diagonal is raised until it is not.
  private static func step(_ curvature: Curvature) -> [Double]? {
    let n = curvature.gradient.count
    let scale = (0..<n).reduce(0) { max($0, curvature.hessian[$1, $1]) }
    for shift in [0, 1e-12, 1e-9, 1e-6, 1e-3, 1] {
      if let factor = Cholesky(curvature.hessian, shift: shift * scale) {
        return factor.solve(curvature.gradient).map { -$0 }
      }
    }
    return nil
  }

  /// Halves a step until it lowers the value by a part of what the gradient promises.
  private func search(
    from point: [Double], _ here: Curvature, along step: [Double], _ decrease: Double,
    _ function: ([Double], inout Curvature) -> Void
  ) -> ([Double], Curvature)? {
    var length = 1.0
    // Near the minimum rounding of the value hides a decrease.
    let rounding = 1e-13 * (1 + abs(here.value))
    while length > 0x1p-40 {
      let candidate = Self.moved(point, along: step, by: length)
      var next = Curvature(variables: point.count)
      function(candidate, &next)
      if next.value <= here.value - 1e-4 * length * decrease + rounding { return (candidate, next) }
      length /= 2
    }
    return nil
  }

  private static func moved(_ point: [Double], along step: [Double], by length: Double) -> [Double] {
    zip(point, step).map { $0 + length * $1 }
  }
}
