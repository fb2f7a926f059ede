import AlignmentCore
import JSON

/// The keys of a PEFT adapter's `adapter_config.json` that matter for reading it.
///
/// Which modules have an adapter, and which tensors are stored whole, the tensors themselves say.
struct AdapterConfiguration {
  /// Whether the adapter makes a sequence classifier, which is what PEFT takes a reward model for.
  let isClassifier: Bool
  private let path: String
  private let rank: Double
  private let alpha: Double
  private let isRankStabilized: Bool
  private let rankPattern: ModulePattern
  private let alphaPattern: ModulePattern

  /// - Parameters:
  ///   - path: for messages.
  /// - Throws: ``Fault`` for anything but plain LoRA on an unchanged base model.
  init(_ json: JSONValue, path: String) throws {
    self.path = path
    guard json["peft_type"]?.stringValue == "LORA" else {
      throw Fault(.data, "is no LoRA adapter", at: path, hint: "peft_type must be LORA")
    }
    let task = json["task_type"]?.stringValue
    guard task == nil || task == "CAUSAL_LM" || task == "SEQ_CLS" else {
      throw Fault(
        .data, "task_type \(task ?? "") is not supported", at: path,
        hint: "use an adapter of a language model (CAUSAL_LM) or of a reward model (SEQ_CLS)")
    }
    isClassifier = task == "SEQ_CLS"
    try Self.refuseVariants(json, path)
    rank = try Self.number(json, "r", path)
    alpha = try Self.number(json, "lora_alpha", path)
    isRankStabilized = json["use_rslora"]?.boolValue ?? false
    rankPattern = try ModulePattern(json, "rank_pattern", path)
    alphaPattern = try ModulePattern(json, "alpha_pattern", path)
  }

  /// s of W + s·B·A for a module: α/r, or α/√r (Kalajdzievski 2023, arXiv 2312.03732, theorem 3.2).
  ///
  /// - Parameters:
  ///   - rank: rows of the module's A.
  /// - Throws: ``Fault`` if the configuration gives the module another rank.
  func scale(module: String, rank: Int) throws -> Double {
    let expected = rankPattern.value(for: module) ?? self.rank
    guard Double(rank) == expected else {
      throw Fault(
        .data, "\(module) has rank \(rank) in adapter_model.safetensors, and \(Int(exactly: expected) ?? 0) here",
        at: path,
        hint: "the two files belong to different adapters")
    }
    let own = alphaPattern.value(for: module) ?? alpha
    return own / (isRankStabilized ? expected.squareRoot() : expected)
  }

  // MARK: Variants of LoRA

  private static let variants: [ByteString] = [
    "use_dora", "use_qalora", "use_bdlora", "lora_bias", "fan_in_fan_out", "target_parameters",
    "trainable_token_indices", "layer_replication", "alora_invocation_tokens", "megatron_config", "arrow_config",
    "kasa_config", "velora_config", "monteclora_config", "corda_config", "lora_ga_config",
  ]

  /// Ways to begin that leave the base model as it is; the others change it when PEFT loads the adapter.
  private static let plainBeginnings = ["gaussian", "eva", "orthogonal"]

  private static func refuseVariants(_ json: JSONValue, _ path: String) throws {
    if let key = variants.first(where: { isSet(json[$0]) }) {
      throw Fault(.data, "\(key) is not supported", at: path, hint: "use a plain LoRA adapter")
    }
    guard json["bias"].map({ $0 == .null || $0.stringValue == "none" }) ?? true else {
      throw Fault(.data, "trained biases are not supported", at: path, hint: "use an adapter with bias \"none\"")
    }
    if let beginning = json["init_lora_weights"]?.stringValue, !plainBeginnings.contains(beginning) {
      throw Fault(
        .data, "init_lora_weights \"\(beginning)\" changes the base model, which is not supported", at: path,
        hint: "save the adapter with PEFT's path_initial_model_for_weight_conversion")
    }
  }

  private static func isSet(_ value: JSONValue?) -> Bool {
    guard let value, value != .null, value != .bool(false) else { return false }
    if let list = value.arrayValue { return !list.isEmpty }
    if let object = value.objectValue { return !object.members.isEmpty }
    return true
  }

  /// A number above 0; PEFT's default of both r and α is 8.
  private static func number(_ json: JSONValue, _ key: ByteString, _ path: String) throws -> Double {
    guard let value = json[key], value != .null else { return 8 }
    guard let number = value.doubleValue, number > 0 else {
      throw Fault(.data, "\(key) must be a number above 0", at: path, hint: "copy the adapter again")
    }
    return number
  }
}

/// `rank_pattern` or `alpha_pattern`: numbers for modules by regular expressions, of which the first that matches counts.
///
/// A module matches a key if `^(.*\.)?(key)$` matches its path, which is PEFT's rule.
private struct ModulePattern {
  private let entries: [(pattern: Regex<AnyRegexOutput>, value: Double)]

  init(_ json: JSONValue, _ key: ByteString, _ path: String) throws {
    guard let value = json[key], value != .null else {
      entries = []
      return
    }
    guard let members = value.objectValue?.members else {
      throw Fault(.data, "\(key) must be an object", at: path, hint: "copy the adapter again")
    }
    entries = try members.map { member in
      guard let number = member.value.doubleValue, number > 0 else {
        throw Fault(.data, "\(key): '\(member.key)' must have a number above 0", at: path)
      }
      guard let pattern = try? Regex("(.*\\.)?(\(member.key))") else {
        throw Fault(
          .data, "\(key): '\(member.key)' is no regular expression", at: path, hint: "write the module's name")
      }
      return (pattern, number)
    }
  }

  func value(for module: String) -> Double? {
    entries.first { (try? $0.pattern.wholeMatch(in: module)) != nil }?.value
  }
}
