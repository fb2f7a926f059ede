import AlignmentCore
import CCurl

#if canImport(Glibc)
  import Glibc
#endif

/// A complete answer of a server, whatever its status.
struct HTTPResponse: Sendable, Equatable {
  var status: Int
  /// Values by lower-case name; of equal names the last.
  var headers: [String: String] = [:]
  var body: [UInt8] = []
}

/// Why there is no complete answer.
struct HTTPFailure: Error, Equatable {
  /// In the words of libcurl.
  let reason: String
  /// What a person must do first; nil where another try may succeed.
  let remedy: String?
  /// Whether the request may have arrived, so that the server may have worked, and billed, for it.
  let mayHaveArrived: Bool
}

/// A keep-alive connection to one address, through libcurl; for one thread at a time.
///
/// Proxies come from the environment (`https_proxy`, `no_proxy`, …) and certificates of authorities from the system or
/// `SSL_CERT_FILE`. Redirects are answers like any other: a key is never sent to where a server points.
final class HTTPConnection {
  /// How long a request may take.
  struct Limits: Sendable, Equatable {
    var connectSeconds = 5.0
    /// For the whole request.
    var totalSeconds = 600.0
    /// Without a byte in either direction.
    var stallSeconds = 120
    var bodyBytes = 16 << 20
  }

  private static let isReady = adalign_curl_global_init() == CURLE_OK
  private let handle: UnsafeMutableRawPointer
  private var headers: UnsafeMutablePointer<curl_slist>?
  private let limits: Limits

  /// - Parameters:
  ///   - url: with scheme http or https; libcurl refuses every other one.
  ///   - headers: lines that each request carries.
  init(url: String, headers lines: [String], limits: Limits) throws {
    guard Self.isReady, let handle = curl_easy_init() else {
      throw Fault(.resource, "libcurl cannot start", at: url)
    }
    self.handle = handle
    self.limits = limits
    for line in lines { headers = curl_slist_append(headers, line) }
    configure(url)
  }

  deinit {
    curl_easy_cleanup(handle)
    curl_slist_free_all(headers)
  }

  private func configure(_ url: String) {
    set(CURLOPT_URL, url)
    set(CURLOPT_PROTOCOLS_STR, "http,https")
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    let authorities = getenv("SSL_CERT_FILE").map { String(cString: $0) } ?? ""
    if !authorities.isEmpty { set(CURLOPT_CAINFO, authorities) }
    set(CURLOPT_USERAGENT, "adalign")
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_TCP_KEEPALIVE, 1)
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    set(CURLOPT_CONNECTTIMEOUT_MS, Int(limits.connectSeconds * 1000))
    set(CURLOPT_TIMEOUT_MS, Int(limits.totalSeconds * 1000))
    set(CURLOPT_LOW_SPEED_LIMIT, 1)
    set(CURLOPT_LOW_SPEED_TIME, limits.stallSeconds)
    adalign_curl_set_list(handle, CURLOPT_HTTPHEADER, headers)
    adalign_curl_set_callback(handle, CURLOPT_WRITEFUNCTION, takeBody)
    adalign_curl_set_callback(handle, CURLOPT_HEADERFUNCTION, takeHeader)
    set(CURLOPT_POST, 1)
  }

  /// Posts a body and waits for the whole answer.
  func post(_ body: [UInt8]) throws(HTTPFailure) -> HTTPResponse {
    let sink = ResponseSink(limit: limits.bodyBytes)
    let code = withExtendedLifetime(sink) {
      let context = Unmanaged.passUnretained(sink).toOpaque()
      adalign_curl_set_pointer(handle, CURLOPT_WRITEDATA, context)
      adalign_curl_set_pointer(handle, CURLOPT_HEADERDATA, context)
      return body.withUnsafeBytes { bytes in
        set(CURLOPT_POSTFIELDSIZE, bytes.count)
        // libcurl reads the body only while the transfer runs.
        adalign_curl_set_pointer(handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        return curl_easy_perform(handle)
      }
    }
    guard code == CURLE_OK else { throw HTTPFailure(code, isTooLong: sink.isFull) }
    var status = 0
    adalign_curl_get_number(handle, CURLINFO_RESPONSE_CODE, &status)
    return HTTPResponse(status: status, headers: sink.headers, body: sink.body)
  }

  private func set(_ option: CURLoption, _ value: Int) {
    let code = adalign_curl_set_number(handle, option, value)
    precondition(code == CURLE_OK, "libcurl refuses \(value) for option \(option.rawValue)")
  }

  private func set(_ option: CURLoption, _ value: String) {
    let code = adalign_curl_set_text(handle, option, value)
    precondition(code == CURLE_OK, "libcurl refuses a text for option \(option.rawValue)")
  }
}

extension HTTPFailure {
  /// What a code of libcurl means for the request.
  fileprivate init(_ code: CURLcode, isTooLong: Bool) {
    reason = isTooLong ? "the answer is too long" : String(cString: curl_easy_strerror(code))
    remedy = Self.remedy(for: code)
    let beforeSending = [
      CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT, CURLE_SSL_CONNECT_ERROR,
    ]
    mayHaveArrived = remedy == nil && !beforeSending.contains(code)
  }

  private static func remedy(for code: CURLcode) -> String? {
    switch code {
    case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT: "check api.base_url"
    case CURLE_PEER_FAILED_VERIFICATION:
      "nobody vouches for the server's certificate; SSL_CERT_FILE may name the certificates of its authority"
    case CURLE_SSL_CACERT_BADFILE: "check the file that SSL_CERT_FILE names"
    default: nil
    }
  }
}

/// Where libcurl's callbacks put an answer.
private final class ResponseSink {
  let limit: Int
  var headers: [String: String] = [:]
  var body: [UInt8] = []
  var isFull = false

  init(limit: Int) { self.limit = limit }

  func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
    isFull = body.count + bytes.count > limit
    if !isFull { body += bytes }
    return !isFull
  }

  /// A status line begins anew: what came before it was interim.
  func take(headerLine line: String) {
    if line.hasPrefix("HTTP/") { headers = [:] }
    guard let colon = line.firstIndex(of: ":") else { return }
    headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...]).trimmed
  }
}

private func takeBody(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  let sink = Unmanaged<ResponseSink>.fromOpaque(context!).takeUnretainedValue()
  return sink.take(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}

private func takeHeader(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  let sink = Unmanaged<ResponseSink>.fromOpaque(context!).takeUnretainedValue()
  sink.take(
    headerLine: String(decoding: UnsafeRawBufferPointer(start: bytes, count: size * count), as: UTF8.self))
  return size * count
}
