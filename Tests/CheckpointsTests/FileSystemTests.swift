import AlignmentCore
import Checkpoints
import Glibc
import Testing

@Suite struct FileSystemTests {
  @Test func makesParentsListsAndRemoves() throws {
    let directory = try TemporaryDirectory()
    try FileSystem.makeDirectory(directory("a/b/c/"))
    try FileSystem.makeDirectory(directory("a/b/c"))
    try directory.write("a/b/é", [1])
    try directory.write("a/b/Z", [2])
    #expect(try FileSystem.list(directory("a/b")) == ["Z", "c", "é"])
    try FileSystem.removeTree(directory("a"))
    try FileSystem.removeTree(directory("a"))
    #expect(!FileSystem.exists(directory("a")))
  }

  @Test func removalDoesNotFollowLinks() throws {
    let directory = try TemporaryDirectory()
    try FileSystem.makeDirectory(directory("tree"))
    try directory.write("kept", [7])
    symlink(directory.path, directory("tree/link"))
    try FileSystem.removeTree(directory("tree"))
    #expect(try FileSystem.readWhole(directory("kept")) == [7])
  }

  @Test func fileInTheWayOfADirectory() throws {
    let directory = try TemporaryDirectory()
    try directory.write("file", [])
    fault(.unwritable, containing: directory("file"), "exists") { try FileSystem.makeDirectory(directory("file/sub")) }
    fault(.unwritable, containing: "exists") { try FileSystem.makeDirectory(directory("file")) }
    fault(.missingInput, containing: "Not a directory") { _ = try FileSystem.list(directory("file")) }
  }

  @Test func readWholeHonoursItsLimit() throws {
    let directory = try TemporaryDirectory()
    try directory.write("file", [1, 2, 3])
    #expect(try FileSystem.readWhole(directory("file"), limit: 3) == [1, 2, 3])
    fault(.data, containing: "limit of 2") { _ = try FileSystem.readWhole(directory("file"), limit: 2) }
  }

  @Test func specialFilesAreNotWaitedFor() throws {
    let directory = try TemporaryDirectory()
    mkfifo(directory("fifo"), 0o600)
    fault(.missingInput, containing: "not a regular file") { _ = try FileSystem.readWhole(directory("fifo")) }
    fault(.missingInput, containing: "not a regular file") { _ = try MappedFile(path: directory("fifo")) }
    fault(.missingInput, containing: "not a regular file") { _ = try MappedFile(path: directory.path) }
  }

  @Test(arguments: [("/a/b", "/a", "b"), ("a", ".", "a"), ("/a", "/", "a"), ("a/b//", "a", "b"), ("/", ".", "/")])
  func pathParts(path: String, parent: String, name: String) {
    if path != "/" { #expect(FileSystem.parent(of: path) == parent) }
    #expect(FileSystem.name(of: path) == name)
  }

  @Test(arguments: ["", ".", "..", "a/b", "/", "a\u{0}b", "a\nb", "..\\x", String(repeating: "x", count: 256)])
  func namesThatAreNotPlain(name: String) { #expect(!FileSystem.isPlainName(name)) }

  @Test(arguments: ["a", "model-00001-of-00002.safetensors", ".hidden", "..a", "é"])
  func plainNames(name: String) { #expect(FileSystem.isPlainName(name)) }

  @Test func mappedFileReadsValues() throws {
    let directory = try TemporaryDirectory()
    let file = try MappedFile(path: directory.write("file", [1, 0, 0, 0, 2, 0, 0, 0, 3]))
    #expect(file.integer(UInt32.self, at: 1) == 0x0200_0000)
    #expect(file.values(UInt32.self, at: 0, count: 2).elementsEqual([1, 2]))
    #expect(file.withBytes { $0.count } == 9)
    #expect(try MappedFile(path: directory.write("empty", [])).bytes.isEmpty)
  }
}

@Suite struct AtomicFileTests {
  @Test func appearsOnlyWithCommit() throws {
    let directory = try TemporaryDirectory()
    do {
      let file = try AtomicFile(path: directory("out"))
      try file.append([1, 2, 3])
      #expect(!FileSystem.exists(directory("out")))
    }
    #expect(try FileSystem.list(directory.path).isEmpty)
    try AtomicFile.write(directory("out")) { file in
      try file.append([1, 2, 3, 4])
      try file.overwrite([9, 8], at: 1)
    }
    #expect(try FileSystem.readWhole(directory("out")) == [1, 9, 8, 4])
    #expect(try FileSystem.list(directory.path) == ["out"])
  }

  @Test func aFailureKeepsTheOldFile() throws {
    let directory = try TemporaryDirectory()
    try directory.write("out", [1])
    #expect(throws: CancellationError.self) {
      try AtomicFile.write(directory("out")) { file in
        try file.append([2])
        throw CancellationError()
      }
    }
    #expect(try FileSystem.readWhole(directory("out")) == [1])
    #expect(try FileSystem.list(directory.path) == ["out"])
  }

  @Test func writesThroughALink() throws {
    let directory = try TemporaryDirectory()
    try directory.write("real", [1])
    symlink("real", directory("link"))
    try directory.write("link", [2])
    #expect(try FileSystem.readWhole(directory("real")) == [2])
  }

  @Test func refusesDevicesAndDirectories() throws {
    fault(.unwritable, containing: "not a regular file", "/dev/null") { try AtomicFile.write("/dev/null", [1]) }
    fault(.unwritable, containing: "not a regular file") { try AtomicFile.write("/tmp", [1]) }
    fault(.unwritable, containing: "/nonexistent", "No such file") { try AtomicFile.write("/nonexistent/x", [1]) }
    fault(.unwritable, containing: "cannot create") { try AtomicFile.write("/proc/self/x", [1]) }
  }
}

@Suite struct RunLockTests {
  @Test func secondOpenerIsRefusedAndToldTheHolder() throws {
    let directory = try TemporaryDirectory()
    let lock = try RunLock(directory: directory.path)
    fault(.unwritable, containing: "in use by another job", directory.path, "pid=\(getpid())", "started=20", "host=") {
      _ = try RunLock(directory: directory.path)
    }
    #expect(lock.path == directory("lock"))
  }

  @Test func endsWithItsHolder() throws {
    let directory = try TemporaryDirectory()
    for _ in 0..<3 { _ = try RunLock(directory: directory.path) }
    fault(.unwritable, containing: "No such file") { _ = try RunLock(directory: directory("none")) }
  }
}
