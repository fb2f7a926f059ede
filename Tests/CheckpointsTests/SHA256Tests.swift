import Checkpoints
import Testing

@Suite struct SHA256Tests {
  // FIPS 180-2, appendix B.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func knownDigests(text: String, hex: String) {
    #expect(SHA256.digest(of: Array(text.utf8)).hex == hex)
  }

  @Test func streamingEqualsWhole() throws {
    let directory = try TemporaryDirectory()
    let bytes = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    let hash = SHA256()
    for start in stride(from: 0, to: bytes.count, by: 70_001) {
      hash.update(Array(bytes[start..<min(start + 70_001, bytes.count)]))
    }
    let whole = SHA256.digest(of: bytes)
    #expect(hash.finish() == whole)
    #expect(try SHA256.digest(ofFile: directory.write("file", bytes)) == whole)
  }

  @Test func missingFileIsMissingInput() {
    fault(.missingInput, containing: "/nonexistent/file", "No such file") {
      _ = try SHA256.digest(ofFile: "/nonexistent/file")
    }
  }
}
