#if canImport(Glibc)
  import Glibc
#endif

/// Where tokenised data and reference log-probabilities are kept between runs.
package enum CacheDirectory {
  /// `$ADALIGN_CACHE`, else `adalign` in `$XDG_CACHE_HOME`, else in `~/.cache`.
  package static var byDefault: String {
    if let path = environment("ADALIGN_CACHE") { return path }
    if let path = environment("XDG_CACHE_HOME") { return "\(path)/adalign" }
    return "\(environment("HOME") ?? "/tmp")/.cache/adalign"
  }

  private static func environment(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }
}
