import Adaptation
import JSON

extension WeightReport {
  /// All numbers; what is not finite is null.
  var json: JSONObject {
    JSONObject([
      ("verdict", .string(ByteString(verdict.rawValue))), ("fallback", fallback.map { .object($0.json) } ?? .null),
      ("examples", .integer(Int64(examples))), ("dropped", .integer(Int64(dropped))),
      ("ess", .double(effectiveShare * Double(examples))), ("ess_share", .double(effectiveShare)),
      ("max_share", .double(maxShare)), ("tau", .double(exponent)),
      ("gates", .array(gates.map { .object($0.json) })),
      ("raw", .object(raw.json)), ("flattened", .object(flattened.json)),
      ("ess_curve", .array(effectiveCurve.map { .array([.double($0.exponent), .double($0.share)]) })),
      ("pareto_tail", tail.map { .object($0.json) } ?? .null),
      ("classifier", classifier.map { .object($0.json) } ?? .null),
      ("length_correlation", lengthCorrelation.map(JSONValue.double) ?? .null),
      ("mean_ratio", meanRatio.map(JSONValue.double) ?? .null),
      ("balance", .array(balance.map { .object($0.json) })),
      ("findings", .object(JSONObject(findings.map { (ByteString($0.name), .double($0.value)) }))),
    ])
  }
}

extension [Double] {
  fileprivate var json: JSONValue { .array(map(JSONValue.double)) }
}

extension GateBounds {
  fileprivate var json: JSONValue {
    .object(
      JSONObject([
        ("below", below.map(JSONValue.double) ?? .null), ("above", above.map(JSONValue.double) ?? .null),
      ]))
  }
}

extension WeightGate {
  fileprivate var json: JSONObject {
    JSONObject([
      ("name", .string(ByteString(name.rawValue))), ("value", value.map(JSONValue.double) ?? .null),
      ("verdict", .string(ByteString(verdict.rawValue))), ("warn", warn.json), ("refuse", refuse.json),
    ])
  }
}

extension FallbackTaken {
  fileprivate var json: JSONObject {
    JSONObject([
      ("kind", .string(ByteString(kind.rawValue))), ("factor", .double(factor)),
      ("reason", .string(ByteString(reason))),
    ])
  }
}

extension WeightSpread {
  fileprivate var json: JSONObject {
    let histogram = JSONObject([
      ("low", .double(histogram.low)), ("high", .double(histogram.high)),
      ("counts", .array(histogram.counts.map { .integer(Int64($0)) })),
    ])
    return JSONObject([
      ("ess_share", .double(effectiveShare)), ("max_share", .double(maxShare)),
      (
        "log_weight_quantiles",
        .array(zip(Self.probabilities, quantiles).map { .array([.double($0), .double($1)]) })
      ),
      ("log_weight_histogram", .object(histogram)),
    ])
  }
}

extension ParetoTail {
  fileprivate var json: JSONObject {
    JSONObject([
      ("khat", .double(shape)), ("reliable_khat", .double(reliableShape)), ("observed", observed.json),
      ("fitted", fitted.json),
    ])
  }
}

extension ClassifierQuality {
  fileprivate var json: JSONObject {
    let bins = reliability.map { bin in
      JSONObject([
        ("forecast", .double(bin.forecast)), ("share", .double(bin.share)), ("count", .integer(Int64(bin.count))),
      ])
    }
    return JSONObject([
      ("auc", .double(auc)), ("ece", .double(ece)), ("brier", .double(brier)),
      ("reliability", .array(bins.map(JSONValue.object))),
    ])
  }
}

extension FeatureBalance {
  fileprivate var json: JSONObject {
    JSONObject([
      ("feature", .string(ByteString(feature))), ("before", .double(before)), ("after", .double(after)),
    ])
  }
}
