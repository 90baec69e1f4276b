import Glibc

// libFuzzer brings the main function and calls these two. What it is to do comes from the environment, as its own
// options fill the command line.

/// Called on one thread, one input at a time.
nonisolated(unsafe) private var run: ([UInt8]) -> Void = { _ in }

/// `MARTLET_FUZZ` names the target; without one they are listed. `MARTLET_FUZZ_SEEDS` is a folder: its first inputs are
/// written there, and nothing is run.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<CInt>?,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?
) -> CInt {
    let name = getenv("MARTLET_FUZZ").map { String(cString: $0) }
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        for target in FuzzTarget.all { print(target.name, target.longest) }
        exit(name == nil ? 0 : 64)
    }
    do {
        if let folder = getenv("MARTLET_FUZZ_SEEDS") {
            try write(try target.seeds("Tests/Fixtures"), to: String(cString: folder))
            exit(0)
        }
        run = try target.make()
    } catch {
        print("fuzz: error: \(name ?? ""): \(error)")
        exit(70)
    }
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    run(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}

private func write(_ seeds: [[UInt8]], to folder: String) throws {
    for (index, seed) in seeds.enumerated() {
        guard let file = fopen("\(folder)/seed-\(index)", "wb") else { exit(73) }
        fwrite(seed, 1, seed.count, file)
        fclose(file)
    }
}
