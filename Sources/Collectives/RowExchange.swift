import AlignmentCore

/// Shows the rows of every rank to all others, around the ring.
final class RowExchange {
  /// Rows on their way: their number, which they are, and what they hold.
  private struct Message {
    let count: UnsafeMutablePointer<Int>
    let indices: UnsafeMutablePointer<Int32>
    let values: FloatBuffer
  }

  private let tableStart: Int
  private let width: Int
  private let messages: [Message]

  /// - Parameters:
  ///   - capacity: most rows of a rank.
  init(tableStart: Int, width: Int, capacity: Int) throws {
    self.tableStart = tableStart
    self.width = width
    messages = try (0..<2).map { _ in
      let values = try FloatBuffer(count: capacity * width, purpose: "embedding gradients")
      let message = Message(
        count: .allocate(capacity: 1), indices: .allocate(capacity: capacity), values: values)
      message.count.initialize(to: 0)
      return message
    }
  }

  deinit {
    for message in messages {
      message.count.deallocate()
      message.indices.deallocate()
    }
  }

  /// The rows of a rank that has none.
  var none: TableRows {
    TableRows(
      tableStart: tableStart, width: width, indices: messages[0].indices, count: 0, base: messages[0].values.view.base)
  }

  /// Calls `body` with the own rows and those of all others.
  func circulate(_ own: TableRows, over link: some RingLink, _ body: (TableRows) -> Void) throws {
    body(own)
    var outgoing = own
    for hop in 0..<link.size - 1 {
      let message = messages[hop % 2]
      var count = outgoing.count
      try Ring.pass(&count, 1, message.count, 1, over: link)
      let incoming = TableRows(
        tableStart: tableStart, width: width, indices: message.indices, count: message.count.pointee,
        base: message.values.view.base)
      try Ring.pass(outgoing.indices, outgoing.count, incoming.indices, incoming.count, over: link)
      try Ring.pass(outgoing.base, outgoing.count * width, incoming.base, incoming.count * width, over: link)
      body(incoming)
      outgoing = incoming
    }
  }
}
