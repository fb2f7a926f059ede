/// A set of byte strings with values that finds the longest one starting at a position.
struct ByteTrie {
  private struct Node {
    var children: [(byte: UInt8, node: Int)] = []
    var value: Int?
  }

  private var nodes = [Node()]
  private var startsWith: [Bool] = Array(repeating: false, count: 256)

  /// Whether there are no strings.
  var isEmpty: Bool { nodes.count == 1 }

  /// Adds a string and returns true, or returns false if it is empty or there already.
  mutating func insert(_ key: [UInt8], _ value: Int) -> Bool {
    guard let first = key.first else { return false }
    startsWith[Int(first)] = true
    var node = 0
    for byte in key { node = child(of: node, byte) ?? addChild(of: node, byte) }
    guard nodes[node].value == nil else { return false }
    nodes[node].value = value
    return true
  }

  /// End and value of the longest string that starts at a position of a text.
  func longestMatch(in text: [UInt8], at start: Int) -> (end: Int, value: Int)? {
    guard startsWith[Int(text[start])] else { return nil }
    var result: (end: Int, value: Int)?
    var node = 0
    var position = start
    while position < text.count, let next = child(of: node, text[position]) {
      node = next
      position += 1
      if let value = nodes[node].value { result = (position, value) }
    }
    return result
  }

  private func child(of node: Int, _ byte: UInt8) -> Int? {
    nodes[node].children.first { $0.byte == byte }?.node
  }

  private mutating func addChild(of node: Int, _ byte: UInt8) -> Int {
    nodes.append(Node())
    nodes[node].children.append((byte, nodes.count - 1))
    return nodes.count - 1
  }
}
