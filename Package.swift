// swift-tools-version: 6.2
// The house: each target is a room, and `dependencies` are its only doors. See README.md, "Rooms".
import PackageDescription

/// Instruction-set flags for one kernel tier.
///
/// A Swift function has no per-function target feature, so a tier is a target. `-target-feature`
/// reaches clang's importer and LLVM alike; on the other architecture it is only a warning, so one
/// manifest serves both (`-march=` is a hard error there, and `#if arch` here sees the host).
/// `-Ounchecked` keeps kernels fast in debug builds and tests too.
func tier(_ features: String...) -> [SwiftSetting] {
    let features = features.flatMap { ["-Xcc", "-Xclang", "-Xcc", "-target-feature", "-Xcc", "-Xclang", "-Xcc", $0] }
    return [.unsafeFlags(["-Ounchecked"] + features)]
}

/// The commit, for `martlet --version`.
let commit = Context.gitInformation.map { $0.currentCommit + ($0.hasUncommittedChanges ? "-dirty" : "") } ?? "unknown"

let package = Package(
    name: "martlet",
    products: [.executable(name: "martlet", targets: ["martlet"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .target(name: "CIntrinsics"),
        .target(name: "CLinux"),
        .target(name: "CBuildInfo", cSettings: [.define("MARTLET_COMMIT", to: "\"\(commit)\"")]),
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(name: "CTOML"),

        .target(name: "Linux", dependencies: ["CLinux"]),
        .target(name: "QuantBlocks"),
        .target(name: "KernelsGeneric", dependencies: ["QuantBlocks"], swiftSettings: tier()),
        // Floats, shared by the tiers of both architectures; the flags mean nothing on ARM.
        .target(
            name: "KernelsVector", dependencies: ["QuantBlocks", "CIntrinsics"],
            swiftSettings: tier("+avx2", "+fma", "+f16c")),
        // What the ARM tiers share, compiled into each with its own instructions.
        .target(name: "KernelsARM", dependencies: ["QuantBlocks", "CIntrinsics"], swiftSettings: tier()),
        .target(
            name: "KernelsNEON", dependencies: ["KernelsARM", "QuantBlocks", "CIntrinsics"], swiftSettings: tier()),
        .target(
            name: "KernelsDotProd", dependencies: ["KernelsARM", "QuantBlocks", "CIntrinsics"],
            swiftSettings: tier("+dotprod", "+fullfp16")),
        .target(
            name: "KernelsI8MM", dependencies: ["KernelsARM", "QuantBlocks", "CIntrinsics"],
            swiftSettings: tier("+dotprod", "+fullfp16", "+i8mm")),
        .target(
            name: "KernelsAVX2", dependencies: ["QuantBlocks", "CIntrinsics"],
            swiftSettings: tier("+avx2", "+fma", "+f16c")),
        .target(
            name: "KernelsAVX512", dependencies: ["QuantBlocks", "CIntrinsics"],
            swiftSettings: tier(
                "+avx2", "+fma", "+f16c", "+avx512f", "+avx512bw", "+avx512dq", "+avx512vl", "+avx512vnni")),
        .target(
            name: "Kernels",
            dependencies: [
                "KernelsGeneric", "KernelsVector", "KernelsNEON", "KernelsDotProd", "KernelsI8MM", "KernelsAVX2",
                "KernelsAVX512", "QuantBlocks", "Linux", "CLinux",
            ]),
        // Optimised in debug builds too: tests open thousands of damaged files and tokenize megabytes.
        .target(name: "GGUF", dependencies: ["Linux"], swiftSettings: [.unsafeFlags(["-O"])]),
        .target(name: "Tokenizers", dependencies: ["GGUF", "Linux"], swiftSettings: [.unsafeFlags(["-O"])]),
        // Optimised in debug builds too: a mask is a walk over the whole vocabulary.
        .target(name: "Constraints", dependencies: ["JSON", "Linux"], swiftSettings: [.unsafeFlags(["-O"])]),
        .target(name: "Safetensors", dependencies: ["JSON", "Linux"], swiftSettings: [.unsafeFlags(["-O"])]),
        // As kernels: pointers only, and fast in debug builds too.
        .target(name: "Quantizers", dependencies: ["QuantBlocks"], swiftSettings: tier()),
        .target(
            name: "Import", dependencies: ["GGUF", "JSON", "Kernels", "Linux", "Quantizers", "Safetensors"],
            swiftSettings: [.unsafeFlags(["-O"])]),
        .target(name: "Catalogue", dependencies: ["GGUF", "Import", "Linux"]),
        .target(
            name: "Inference", dependencies: ["Constraints", "GGUF", "Kernels", "QuantBlocks", "Tokenizers", "Linux"],
            swiftSettings: [.unsafeFlags(["-O"])]),
        .target(name: "Tasks", dependencies: ["Constraints", "Inference", "JSON", "Tokenizers", "Linux"]),
        .target(name: "Transport", dependencies: ["CMosquitto", "CLinux", "Linux"]),
        .target(name: "Spool", dependencies: ["CSQLite", "Linux"]),
        .target(name: "Health", dependencies: ["Linux"]),
        .target(name: "JSON"),
        .target(
            name: "Daemon",
            dependencies: [
                "CLinux", "CTOML", "Catalogue", "Constraints", "JSON", "GGUF", "Inference", "Tasks", "Transport",
                "Spool",
                "Health",
                "Linux",
                "Kernels", "Tokenizers",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ]),
        .executableTarget(
            name: "martlet",
            dependencies: [
                "CBuildInfo", "CLinux", "Catalogue", "Constraints", "Daemon", "GGUF", "Import", "Inference", "JSON",
                "Safetensors", "Tasks", "Transport", "Health", "Linux",
                "Kernels", "Tokenizers",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [
                // Embedded as bytes: the binary works alone, and Foundation's Bundle stays out.
                .embedInCode("DemoData/CREDITS.md"), .embedInCode("DemoData/hwu64.csv"),
                .embedInCode("DemoData/occupancy.csv"), .embedInCode("DemoData/ambient_temperature.csv"),
            ]),

        .testTarget(name: "JSONTests", dependencies: ["JSON"]),
        .testTarget(
            name: "ConstraintsTests", dependencies: ["Constraints", "JSON"], swiftSettings: [.unsafeFlags(["-O"])]),
        .testTarget(
            name: "DaemonTests",
            dependencies: [
                "Catalogue", "Daemon", "GGUF", "Health", "Inference", "JSON", "Linux", "Spool", "Tasks", "TestModels",
                "TestSupport", "Transport",
            ]),
        // Optimised: as ARM boards under qemu they make and compare millions of numbers.
        .testTarget(
            name: "KernelsTests", dependencies: ["Kernels", "QuantBlocks", "Linux"],
            swiftSettings: [.unsafeFlags(["-O"])]),
        .target(name: "TestModels", dependencies: ["GGUF", "Inference", "JSON", "Linux"], path: "Tests/Models"),
        .testTarget(
            name: "InferenceTests", dependencies: ["Constraints", "Inference", "JSON", "Tokenizers", "TestModels"]),
        .testTarget(
            name: "TasksTests", dependencies: ["Tasks", "Inference", "Tokenizers", "TestModels", "TestSupport"]),
        .testTarget(name: "GGUFTests", dependencies: ["GGUF", "Linux", "TestSupport"]),
        .testTarget(name: "SafetensorsTests", dependencies: ["Safetensors", "TestSupport"]),
        .testTarget(
            name: "ImportTests",
            dependencies: ["Import", "GGUF", "Kernels", "Linux", "Quantizers", "Safetensors", "TestSupport"],
            swiftSettings: [.unsafeFlags(["-O"])]),
        .testTarget(name: "CatalogueTests", dependencies: ["Catalogue", "GGUF", "Linux", "TestSupport"]),
        .testTarget(name: "TokenizersTests", dependencies: ["Tokenizers", "GGUF", "Linux", "TestSupport"]),
        .target(name: "TestSupport", dependencies: ["Transport", "Linux"], path: "Tests/Support"),
        .executableTarget(
            name: "CrashHelper", dependencies: ["Transport", "Spool", "Linux", "CLinux"], path: "Tests/CrashHelper"),
        .testTarget(name: "TransportTests", dependencies: ["Transport", "Spool", "TestSupport", "CrashHelper"]),
        .testTarget(name: "LinuxTests", dependencies: ["Linux", "TestSupport", "CrashHelper"]),
        .testTarget(name: "HealthTests", dependencies: ["Health", "Linux", "TestSupport"]),
        .target(name: "FaultVFS", dependencies: ["CSQLite"], path: "Tests/FaultVFS"),
        .testTarget(name: "SpoolTests", dependencies: ["Spool", "TestSupport", "FaultVFS", "CrashHelper"]),
        .testTarget(name: "CommandTests", dependencies: ["martlet", "JSON", "TestModels", "TestSupport"]),
        .testTarget(name: "DemoTests", dependencies: ["martlet", "Daemon", "JSON", "Linux", "TestSupport"]),
    ],
    cxxLanguageStandard: .cxx20
)

// What reads bytes from outside, one entry each: for the mutations of FuzzTests, and for libFuzzer (scripts/fuzz), whose
// runtime is there only in a build for it. Never a target of an ordinary release build: it looks inside the rooms, which
// are compiled for that in debug builds and for libFuzzer.
let fuzzed: [Target.Dependency] = [
    "Constraints", "Daemon", "GGUF", "Import", "Inference", "JSON", "Linux", "Safetensors", "Spool", "Tasks",
    "TestModels",
    "Tokenizers", "Transport", "CMosquitto", .product(name: "Logging", package: "swift-log"),
]
package.targets.append(
    Context.environment["MARTLET_FUZZ_BUILD"] == nil
        ? .testTarget(
            name: "FuzzTests", dependencies: fuzzed, path: "Tests/Fuzz", exclude: ["Driver", "README.md"],
            swiftSettings: [.unsafeFlags(["-O"])])
        : .executableTarget(
            name: "Fuzz", dependencies: fuzzed, path: "Tests/Fuzz", exclude: ["Mutations", "README.md"],
            swiftSettings: [.unsafeFlags(["-O", "-parse-as-library"])]))
