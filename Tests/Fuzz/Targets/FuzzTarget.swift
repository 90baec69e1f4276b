import Glibc
import Linux

/// One way for bytes from outside into the daemon: something that must neither trap nor hang, whatever the bytes.
///
/// Shared by libFuzzer (`scripts/fuzz`) and by the mutations of FuzzTests.
public struct FuzzTarget: Sendable {
    public let name: String
    /// Bytes of an input at most: larger ones cost speed and reach nothing new.
    public let longest: Int
    /// Inputs to begin with, made from the fixtures in a folder.
    public let seeds: @Sendable (_ fixtures: String) throws -> [[UInt8]]
    /// Sets up what inputs share; the result takes one input. Refusing it is right, as long as it is done with an
    /// error; a broken promise ends the process.
    public let make: @Sendable () throws -> ([UInt8]) -> Void

    public static let all = [
        gguf, split, lora, vocabulary, safetensors, tokenizer, template, schema, pattern, payload, toml, properties,
        topics,
    ]
}

/// Why a target cannot be set up.
struct FuzzSetupError: Error, CustomStringConvertible {
    let description: String
}

/// Ends the process when a promise is broken, in a way that libFuzzer and a test run both take for a crash.
func require(_ condition: Bool, _ promise: @autoclosure () -> String) {
    guard !condition else { return }
    print("fuzz: broken: \(promise())")
    fflush(nil)
    abort()
}

/// The parts of an input, which NUL separates: text has none, and mutations find it soon.
func parts(_ input: [UInt8], most: Int) -> [[UInt8]] {
    input.split(separator: 0, maxSplits: most - 1, omittingEmptySubsequences: false).map(Array.init)
}

/// Parts joined as `parts` takes them apart.
func joined(_ parts: [[UInt8]]) -> [UInt8] { Array(parts.joined(separator: [0])) }

func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// A folder in memory where the system has one, gone with the object.
final class ScratchFolder {
    let path: String

    init() throws {
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        path = try makeTemporaryFolder(prefix: "martlet-fuzz-", in: parent)
    }

    /// A file for targets that need only one.
    var file: String { new("file") }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    private var names: Set<String> = []

    /// The path of a file that others will write.
    func new(_ name: String) -> String {
        names.insert(name)
        return "\(path)/\(name)"
    }

    /// Writes a file, or removes it where `bytes` is nil.
    func write(_ name: String, _ bytes: [UInt8]?, zeros: Int = 0) {
        guard let bytes else {
            unlink("\(path)/\(name)")
            return
        }
        names.insert(name)
        let descriptor = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if zeros > 0 { _ = ftruncate(descriptor, bytes.count + zeros) }
    }
}

/// A whole file of the fixtures.
func contents(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "rb") else { throw FuzzSetupError(description: "cannot read \(path)") }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes.prefix(count))
}

/// The files of a folder that end with `suffix`, in order.
func files(_ folder: String, _ suffix: String) throws -> [[UInt8]] {
    guard let list = opendir(folder) else { throw FuzzSetupError(description: "no folder \(folder)") }
    defer { closedir(list) }
    var names: [String] = []
    while let entry = readdir(list) {
        names.append(withUnsafeBytes(of: entry.pointee.d_name) { text($0.prefix { $0 != 0 }) })
    }
    return try names.filter { $0.hasSuffix(suffix) }.sorted().map { try contents("\(folder)/\($0)") }
}
