// swift-tools-version: 6.2
import PackageDescription

// ADALIGN_CPU selects the instruction set: `native` (default: the machine that builds), `x86-64-v3` (AVX2, for mixed
// clusters) or `x86-64` (any 64-bit x86).
let cpu = Context.environment["ADALIGN_CPU"] ?? "native"
let instructionSet: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-march=\(cpu)"])]
// Kernels check their arguments at the boundary; inside, bounds and overflow checks would stop vectorisation.
let unchecked: [SwiftSetting] = [.unsafeFlags(["-Ounchecked"], .when(configuration: .release))]

let package = Package(
  name: "adalign",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // C libraries, made visible to Swift.
    .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "COniguruma", pkgConfig: "oniguruma", providers: [.apt(["libonig-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CSIMD"),
    .systemLibrary(name: "CLinux"),

    // The library, from the bottom up.
    .target(name: "AlignmentCore", dependencies: ["CLinux"]),
    .target(name: "JSON"),
    .target(
      name: "Kernels", dependencies: ["COpenBLAS", "CSIMD", "AlignmentCore"], swiftSettings: instructionSet + unchecked),
    .target(name: "Tokenization", dependencies: ["COniguruma", "JSON", "AlignmentCore"]),
    .target(name: "Checkpoints", dependencies: ["CCrypto", "JSON", "AlignmentCore"]),
    .target(name: "PreferenceData", dependencies: ["CZlib", "CZstd", "JSON", "AlignmentCore", "Checkpoints"]),
    .target(name: "Transformer", dependencies: ["Kernels", "JSON", "AlignmentCore"]),
    .target(name: "Objectives", dependencies: ["AlignmentCore"]),
    .target(name: "Optimization", dependencies: ["Kernels", "AlignmentCore"]),
    .target(name: "Collectives", dependencies: ["CMPI", "Kernels", "AlignmentCore"]),
    .target(name: "SyntheticWorld", dependencies: ["AlignmentCore"]),
    .target(name: "Adaptation", dependencies: ["Kernels", "AlignmentCore"]),
    .target(
      name: "Judges",
      dependencies: ["CCurl", "JSON", "Checkpoints", "AlignmentCore", .product(name: "GRDB", package: "GRDB.swift")]),
    .target(name: "Reports"),
    // Experiments that say which methods work; run by adalign-bench.
    .target(
      name: "ShiftExperiments",
      dependencies: [
        "Training", "Transformer", "Kernels", "PreferenceData", "Optimization", "SyntheticWorld", "Adaptation",
        "Collectives", "JSON", "AlignmentCore",
      ]),
    .target(name: "Rewards", dependencies: ["SyntheticWorld", "AlignmentCore"]),
    .target(
      name: "Training",
      dependencies: [
        "Transformer", "Kernels", "Tokenization", "PreferenceData", "Objectives", "Adaptation", "Judges", "Rewards",
        "Reports", "Optimization", "Collectives", "Checkpoints", "JSON", "AlignmentCore", "Yams",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .executableTarget(
      name: "adalign",
      dependencies: [
        "Training", "Transformer", "SyntheticWorld", "PreferenceData", "Collectives", "Checkpoints", "JSON",
        "AlignmentCore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ]),
    .executableTarget(
      name: "adalign-bench",
      dependencies: [
        "Training", "Transformer", "Kernels", "PreferenceData", "Optimization", "ShiftExperiments", "Adaptation",
        "Reports", "Collectives", "Checkpoints", "JSON", "AlignmentCore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    .testTarget(
      name: "AdaptationTests", dependencies: ["Adaptation", "Kernels", "AlignmentCore", "JSON"], exclude: ["Fixtures"]),
    // Says what a script tells it to; for tests only.
    .target(name: "TestServer", dependencies: ["JSON"], path: "Tests/TestServer"),
    .testTarget(
      name: "JudgesTests", dependencies: ["Judges", "TestServer", "JSON", "Checkpoints", "AlignmentCore"]),
    .testTarget(name: "ReportsTests", dependencies: ["Reports"]),
    .testTarget(
      name: "ShiftExperimentsTests",
      dependencies: ["ShiftExperiments", "Adaptation", "Kernels", "PreferenceData", "JSON", "AlignmentCore"]),
    .testTarget(name: "SyntheticWorldTests", dependencies: ["SyntheticWorld", "AlignmentCore"]),
    .testTarget(name: "CheckpointsTests", dependencies: ["Checkpoints", "AlignmentCore", "JSON"]),
    .testTarget(
      name: "PreferenceDataTests",
      dependencies: ["PreferenceData", "Checkpoints", "AlignmentCore", "JSON", "CZlib", "CZstd"]),
    .testTarget(name: "SystemTests", dependencies: ["TestServer"]),
    .testTarget(name: "JSONTests", dependencies: ["JSON"]),
    .testTarget(name: "AlignmentCoreTests", dependencies: ["AlignmentCore"]),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "JSON", "AlignmentCore"]),
    .testTarget(
      name: "TransformerTests", dependencies: ["Transformer", "Kernels", "Checkpoints", "JSON", "AlignmentCore"]),
    // Counts allocations; linked into the tests only.
    .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "Training", "Adaptation", "Transformer", "Kernels", "Tokenization", "Objectives", "Optimization", "Collectives",
        "PreferenceData", "Checkpoints", "JSON", "AlignmentCore", "CAllocationCounter",
      ]),
    .testTarget(name: "ObjectivesTests", dependencies: ["Objectives", "AlignmentCore"]),
    .testTarget(
      name: "OptimizationTests", dependencies: ["Optimization", "JSON", "AlignmentCore", "CAllocationCounter"]),
    .testTarget(name: "CollectivesTests", dependencies: ["Collectives", "AlignmentCore"]),
    .testTarget(
      name: "TokenizationTests", dependencies: ["Tokenization", "JSON", "AlignmentCore"], exclude: ["Fixtures"]),
  ]
)
