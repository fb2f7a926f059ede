import COpenBLAS

#if canImport(Glibc)
  import Glibc
#endif

/// The BLAS library as it is configured in this process.
package enum BLAS {
  /// Threads that one product may use; set before the first product.
  package static var threads: Int {
    get { Int(openblas_get_num_threads()) }
    set { openblas_set_num_threads(Int32(newValue)) }
  }

  /// Cores that this process may use, as the library found when it was loaded.
  package static var allowedCores: Int { Int(openblas_get_num_procs()) }

  /// Version and build options, as the library tells them.
  package static var description: String { String(cString: openblas_get_config()) }

  /// The kernels that the library chose for this processor.
  package static var core: String { String(cString: openblas_get_corename()) }
}

extension BLAS {
  /// The sustained rate of single-precision products of square matrices, in GFLOP/s: the best of several runs.
  package static func measureRate(size: Int = 768, runs: Int = 12) -> Double {
    let floats = UnsafeMutablePointer<Float>.allocate(capacity: 3 * size * size)
    defer { floats.deallocate() }
    for i in 0..<3 * size * size { floats[i] = Float(i % 7) - 3 }
    let matrices = (0..<3).map { Matrix(floats + $0 * size * size, rows: size, columns: size) }
    var best = 0.0
    for _ in 0..<runs {
      let start = seconds()
      Product.multiply(matrices[0], matrices[1].transposed, into: matrices[2])
      best = max(best, 2e-9 * Double(size * size * size) / (seconds() - start))
    }
    return best
  }

  private static func seconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
  }
}
