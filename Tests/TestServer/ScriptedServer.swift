import Glibc
import JSON
import Synchronization

/// A web server on a raw socket that says, byte for byte, what a script tells it to.
package final class ScriptedServer: Sendable {
  package struct Request: Sendable {
    /// Requests before this one.
    package var number: Int
    package var line: String
    /// Values by lower-case name.
    package var headers: [String: String]
    package var body: [UInt8]

    package var json: JSONValue? { try? JSONValue.parse(body) }
    package var messages: [String] { (json?["messages"]?.arrayValue ?? []).map { $0["content"]?.stringValue ?? "" } }
  }

  /// Bytes, and what happens behind them.
  package struct Reply: Sendable {
    package enum Ending: Sendable {
      case keepsOpen
      case closes
      /// Neither writes nor closes until the client does.
      case stalls
    }

    package var bytes: [UInt8]
    package var ending = Ending.keepsOpen
    /// Microseconds before the first byte.
    package var delay: UInt32 = 0

    package init(bytes: [UInt8], ending: Ending = .keepsOpen) {
      self.bytes = bytes
      self.ending = ending
    }
  }

  package typealias Script = @Sendable (Request) -> Reply

  private struct State {
    var requests: [Request] = []
    var underWay = 0
    var mostUnderWay = 0
  }

  package let port: UInt16
  private let listener: Int32
  private let script: Script
  private let state = Mutex(State())

  package init(_ script: @escaping Script) {
    self.script = script
    signal(SIGPIPE, SIG_IGN)
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    port = withUnsafeMutablePointer(to: &address) { [listener] address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        precondition(bind(listener, $0, length) == 0 && listen(listener, 128) == 0, "cannot listen")
        precondition(getsockname(listener, $0, &length) == 0, "the socket has no name")
      }
      return UInt16(bigEndian: address.pointee.sin_port)
    }
    // The thread that uses the listener closes it, or it might hear the clients of another socket of its number.
    inThread { [self] in
      while case let client = accept(listener, nil, nil), client >= 0 { serve(client) }
      close(listener)
    }
  }

  /// Hears nobody any more; a client is refused.
  package func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  package var url: String { "http://127.0.0.1:\(port)/v1" }
  package var requests: [Request] { state.withLock { $0.requests } }
  /// Most requests that were answered at one time.
  package var mostUnderWay: Int { state.withLock { $0.mostUnderWay } }

  private func serve(_ client: Int32) {
    inThread { [self] in
      defer { close(client) }
      var buffer: [UInt8] = []
      while var request = read(client, &buffer) {
        request.number = state.withLock { state in
          state.requests.append(request)
          state.requests[state.requests.count - 1].number = state.requests.count - 1
          state.underWay += 1
          state.mostUnderWay = max(state.mostUnderWay, state.underWay)
          return state.requests.count - 1
        }
        let reply = script(request)
        if reply.delay > 0 { usleep(reply.delay) }
        state.withLock { $0.underWay -= 1 }
        guard send(client, reply.bytes) else { return }
        switch reply.ending {
        case .keepsOpen: continue
        case .closes: return
        case .stalls:
          while case let count = receive(client, &buffer), count > 0 {}
          return
        }
      }
    }
  }

  /// The next request of a connection; nil at its end.
  private func read(_ client: Int32, _ buffer: inout [UInt8]) -> Request? {
    let blank = Array("\r\n\r\n".utf8)
    while true {
      if let end = buffer.firstRange(of: blank) {
        let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let fields = lines.dropFirst().compactMap { line -> (String, String)? in
          guard let colon = line.firstIndex(of: ":") else { return nil }
          return (line[..<colon].lowercased(), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        let headers = Dictionary(fields) { $1 }
        let length = Int(headers["content-length"] ?? "0") ?? 0
        if buffer.count >= end.upperBound + length {
          let body = Array(buffer[end.upperBound..<end.upperBound + length])
          buffer.removeFirst(end.upperBound + length)
          return Request(number: 0, line: String(lines.first ?? ""), headers: headers, body: body)
        }
      }
      guard receive(client, &buffer) > 0 else { return nil }
    }
  }

  private func receive(_ client: Int32, _ buffer: inout [UInt8]) -> Int {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(client, &bytes, bytes.count, 0)
    if count > 0 { buffer += bytes[..<count] }
    return count
  }

  private func send(_ client: Int32, _ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.send(client, $0.baseAddress! + sent, bytes.count - sent, 0) }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }
}

/// Runs a closure on a thread that nobody waits for.
package func inThread(_ body: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  pthread_create(
    &thread, nil,
    { context in
      Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()
      return nil
    }, Unmanaged.passRetained(Box(body)).toOpaque())
  pthread_detach(thread)
}

extension ScriptedServer.Reply {
  /// A whole answer of HTTP.
  package static func http(_ status: Int, _ headers: [String] = [], _ body: String) -> Self {
    let fields = ["HTTP/1.1 \(status) Scripted", "Content-Length: \(body.utf8.count)"] + headers
    return Self(bytes: Array((fields.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8))
  }

  /// An answer of status 200.
  package static func body(_ body: String) -> Self { http(200, ["Content-Type: application/json"], body) }

  /// A completion with a text and, where given, the likeliest tokens at each place, the first being the one written.
  package static func completion(
    _ text: String, tokens: [[(String, Double)]]? = nil, usage: (prompt: Int, completion: Int)? = (10, 1),
    finish: String = "stop"
  ) -> Self {
    body(completionBody(text, tokens: tokens, usage: usage, finish: finish))
  }

  /// Ends without the last `count` bytes.
  package func cut(_ count: Int) -> Self { Self(bytes: bytes.dropLast(count), ending: .closes) }
}

/// The body of a completion as OpenAI writes it.
package func completionBody(
  _ text: String?, tokens: [[(String, Double)]]? = nil, usage: (prompt: Int, completion: Int)? = (10, 1),
  finish: String = "stop"
) -> String {
  func json(_ text: String) -> String {
    String(decoding: JSONValue.string(ByteString(text)).serialized(), as: UTF8.self)
  }
  func entry(_ token: (String, Double)) -> String {
    let bytes = token.0.utf8.map(String.init).joined(separator: ",")
    return #""token":\#(json(token.0)),"bytes":[\#(bytes)],"logprob":\#(token.1)"#
  }
  let places = tokens?.map { place in
    #"{\#(entry(place[0])),"top_logprobs":[\#(place.map { "{\(entry($0))}" }.joined(separator: ","))]}"#
  }
  let logprobs = places.map { #"{"content":[\#($0.joined(separator: ","))],"refusal":null}"# } ?? "null"
  let billed = usage.map {
    #","usage":{"prompt_tokens":\#($0.prompt),"completion_tokens":\#($0.completion),"total_tokens":0}"#
  }
  return #"{"id":"x","object":"chat.completion","created":1,"model":"judge-1","choices":[{"index":0,"#
    + #""finish_reason":"\#(finish)","message":{"role":"assistant","content":\#(text.map(json) ?? "null"),"refusal":null},"#
    + #""logprobs":\#(logprobs)}]\#(billed ?? "")}"#
}
