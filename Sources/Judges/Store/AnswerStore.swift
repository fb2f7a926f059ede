import AlignmentCore
import Checkpoints
import GRDB

/// An answer that was paid for.
struct StoredAnswer: Sendable, Equatable {
  /// The body of the server's answer, without the key.
  var response: String
  /// What it took, the tries before it included.
  var spent: Spending
}

/// A file of paid answers and of what was spent, in SQLite.
///
/// **Durability.** An answer is committed, with what it took, before anything is made of it; a commit is on the disk
/// when it returns (`synchronous=FULL`). So a crash at any point loses at most the answers of the requests that were
/// under way. Where the budget is limited, each of these was reserved in the file before it was sent, at the most it
/// could take; a reservation that no answer follows stays counted as spent, because the server may have billed it.
///
/// **Sharing.** Processes on one file wait for each other, up to two minutes. The journal is truncated after each
/// transaction: a write-ahead log would need shared memory, which network file systems do not have. On these, SQLite
/// relies on locks (`fcntl`) that work; a run uses the file from one process, its rank 0.
package final class AnswerStore: Sendable {
  private static let application: Int32 = 0x4144_4C53
  private static let version = 1
  private let path: String
  private let database: DatabaseQueue
  private let commits: GroupCommit<Database>

  /// Opens the file or makes it.
  ///
  /// - Throws: ``Fault`` where it cannot be opened, is damaged, or belongs to another program or version.
  package init(path: String) throws {
    self.path = path
    try FileSystem.checkParent(of: path)
    let database = try Self.translatingErrors(at: path) {
      let queue = try DatabaseQueue(path: path, configuration: Self.configuration)
      try queue.write { try Self.setUp($0, path) }
      return queue
    }
    self.database = database
    commits = GroupCommit { body in try database.write(body) }
  }

  private static var configuration: Configuration {
    var configuration = Configuration()
    configuration.busyMode = .timeout(120)
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL")
    }
    return configuration
  }

  private static func setUp(_ database: Database, _ path: String) throws {
    let application = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
    let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    if application == Self.application, version == Self.version { return }
    let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
    guard tables == 0 else {
      throw Fault(
        .data, "the file is not a store of answers that this version can read", at: path,
        hint: "name another file; this one stays as it is")
    }
    try database.execute(sql: schema)
  }

  private static let schema = """
    PRAGMA application_id = \(application);
    PRAGMA user_version = \(version);
    CREATE TABLE answer (
      key TEXT NOT NULL PRIMARY KEY,        -- SHA-256 of server, vote and request
      server TEXT NOT NULL,
      vote INTEGER NOT NULL,
      request TEXT NOT NULL,
      response TEXT NOT NULL,
      requests INTEGER NOT NULL,            -- tries, the last one included
      prompt_tokens INTEGER NOT NULL,
      completion_tokens INTEGER NOT NULL,
      billionths INTEGER NOT NULL,          -- money
      answered_at TEXT NOT NULL             -- UTC
    ) STRICT;
    CREATE TABLE spending (
      budget TEXT NOT NULL PRIMARY KEY,
      requests INTEGER NOT NULL,
      prompt_tokens INTEGER NOT NULL,
      completion_tokens INTEGER NOT NULL,
      billionths INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE reservation (
      id INTEGER NOT NULL PRIMARY KEY,
      budget TEXT NOT NULL,
      requests INTEGER NOT NULL,
      prompt_tokens INTEGER NOT NULL,
      completion_tokens INTEGER NOT NULL,
      billionths INTEGER NOT NULL,
      made_at TEXT NOT NULL
    ) STRICT;
    """

  /// The answer of a key, nil where there is none.
  func answer(for key: SHA256.Digest) throws -> StoredAnswer? {
    try Self.translatingErrors(at: path) { try database.unsafeRead { try Self.answer(key, $0) } }
  }

  private static func answer(_ key: SHA256.Digest, _ database: Database) throws -> StoredAnswer? {
    let sql = "SELECT response, requests, prompt_tokens, completion_tokens, billionths FROM answer WHERE key = ?"
    let row = try Row.fetchOne(database.cachedStatement(sql: sql), arguments: [key.hex])
    return row.map { StoredAnswer(response: $0["response"], spent: Spending($0)) }
  }

  /// What was spent from a budget, and what was reserved by requests that have not ended, or never will.
  package func spending(of budget: String) throws -> (spent: Spending, reserved: Spending) {
    try Self.translatingErrors(at: path) { try database.unsafeRead { try Self.spending(budget, $0) } }
  }

  private static func spending(_ budget: String, _ database: Database) throws -> (spent: Spending, reserved: Spending) {
    let columns = "requests, prompt_tokens, completion_tokens, billionths"
    let spent = try database.cachedStatement(sql: "SELECT \(columns) FROM spending WHERE budget = ?")
    let reserved = try database.cachedStatement(sql: "SELECT \(columns) FROM reservation WHERE budget = ?")
    return (
      try Row.fetchOne(spent, arguments: [budget]).map(Spending.init) ?? Spending(),
      try Row.fetchAll(reserved, arguments: [budget]).map(Spending.init).reduce(Spending(), +)
    )
  }

  /// Sets `bound` aside for a request; nil where the budget does not cover it beside all that was spent and reserved.
  ///
  /// An unlimited budget reserves nothing and costs no commit.
  func reserve(_ bound: Spending, from budget: Budget, at time: String) throws -> Reservation? {
    guard budget.isLimited else { return Reservation(budget: budget.name, row: nil) }
    return try write { database in
      let (spent, reserved) = try Self.spending(budget.name, database)
      guard budget.covers(spent + reserved + bound) else { return nil }
      try database.execute(
        sql: "INSERT INTO reservation VALUES (NULL, ?, ?, ?, ?, ?, ?)",
        arguments: [budget.name] + bound.columns + [time])
      return Reservation(budget: budget.name, row: database.lastInsertedRowID)
    }
  }

  /// Puts what a request without an answer took in the place of its reservation.
  func settle(_ reservation: Reservation, spent: Spending) throws {
    try write { try Self.settle(reservation, spent, $0) }
  }

  /// Keeps an answer and settles its reservation, in one transaction.
  ///
  /// - Parameters:
  ///   - answer: with all that it took, the tries before it included.
  ///   - spent: by the last try.
  /// - Returns: the answer to be used: another process's, if that was faster.
  func keep(
    _ answer: StoredAnswer, to request: ChatRequest, from server: String, settling reservation: Reservation,
    spent: Spending, at time: String
  ) throws -> StoredAnswer {
    try write { database in
      try Self.settle(reservation, spent, database)
      let identity: StatementArguments = [
        request.key.hex, server, request.vote, String(decoding: request.body, as: UTF8.self), answer.response,
      ]
      try database.execute(
        sql: "INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        arguments: identity + answer.spent.columns + [time])
      return try Self.answer(request.key, database) ?? answer
    }
  }

  private static func settle(_ reservation: Reservation, _ spent: Spending, _ database: Database) throws {
    if let row = reservation.row {
      try database.execute(sql: "DELETE FROM reservation WHERE id = ?", arguments: [row])
    }
    let total = try spending(reservation.budget, database).spent + spent
    try database.execute(
      sql: "INSERT OR REPLACE INTO spending VALUES (?, ?, ?, ?, ?)", arguments: [reservation.budget] + total.columns)
  }

  private func write<T>(_ updates: @escaping (Database) throws -> T) throws -> T {
    try Self.translatingErrors(at: path) { try commits.write(updates) }
  }

  private static func translatingErrors<T>(at path: String, _ body: () throws -> T) throws -> T {
    do {
      return try body()
    } catch let error as DatabaseError {
      throw Fault(error, path)
    }
  }
}

/// A part of a budget that is set aside for a request.
struct Reservation: Sendable {
  let budget: String
  /// nil where the budget is unlimited.
  let row: Int64?
}

extension Spending {
  /// Reads the columns of the same names.
  fileprivate init(_ row: Row) {
    requests = row["requests"]
    promptTokens = row["prompt_tokens"]
    completionTokens = row["completion_tokens"]
    billionths = row["billionths"]
  }

  fileprivate var columns: StatementArguments { [requests, promptTokens, completionTokens, billionths] }
}

extension Fault {
  /// SQLite's words for what is wrong with a store.
  fileprivate init(_ error: DatabaseError, _ path: String) {
    let words = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
    switch error.resultCode {
    case .SQLITE_NOTADB, .SQLITE_CORRUPT:
      self.init(
        .data, "the store of answers is damaged or something else: \(words)", at: path, hint: "name another file")
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      self.init(
        .environment, "another process holds the store of answers: \(words)", at: path, hint: "wait until it has ended")
    default:
      self.init(
        .unwritable, "the store of answers cannot be used: \(words)", at: path,
        hint: "check the disk and its permissions; answers that were kept are still there")
    }
  }
}
