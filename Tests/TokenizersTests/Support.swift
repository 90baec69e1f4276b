import Foundation
import GGUF
import Testing

@testable import Tokenizers

/// The folder with this room's fixtures.
let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/tokenizers")

func fixture<T: Decodable>(_ name: String, as type: T.Type) throws -> T {
    try JSONDecoder().decode(type, from: Data(contentsOf: fixtures.appendingPathComponent(name)))
}

/// A reduced vocabulary, laid out as `make-pre-tokenizers.py` lays it out: 3 control tokens, the bytes but for 0x04 and
/// 0xC0, the merges in order, and one user-defined token.
struct SmallVocabulary {
    static let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

    var merges: [String]
    var writer = GGUFWriter()

    init(_ pre: String = "smollm") throws {
        let text = try String(contentsOf: fixtures.appendingPathComponent("merges.txt"), encoding: .utf8)
        merges = text.split(separator: "\n").map(String.init)
        var seen: Set<String> = []
        let merged = merges.map { merge in
            let parts = merge.split(separator: " ", maxSplits: 1)
            return parts.joined()
        }.filter { seen.insert($0).inserted }
        let tokens = Self.specials + Self.alphabet + merged + ["<tool>"]
        var types = [Int32](repeating: 1, count: tokens.count)
        for index in Self.specials.indices { types[index] = 3 }
        types[types.count - 1] = 4
        writer.set("tokenizer.ggml.model", .string("gpt2"))
        writer.set("tokenizer.ggml.pre", .string(pre))
        writer.set("tokenizer.ggml.tokens", .strings(tokens))
        writer.set("tokenizer.ggml.token_type", .int32s(types))
        writer.set("tokenizer.ggml.merges", .strings(merges))
        writer.set("tokenizer.ggml.bos_token_id", .uint32(1))
        writer.set("tokenizer.ggml.eos_token_id", .uint32(2))
    }

    /// GPT-2's characters for the bytes 0…255, built the way its encoder.py does.
    static let alphabet: [String] = {
        let printed = Set(33...126).union(161...172).union(174...255)
        var next: UInt32 = 256
        var characters: [String] = []
        for byte in 0..<256 {
            let scalar: UInt32
            if printed.contains(byte) {
                scalar = UInt32(byte)
            } else {
                scalar = next
                next += 1
            }
            if byte != 0x04 && byte != 0xC0 {
                characters.append(Unicode.Scalar(scalar).map { String(Character($0)) } ?? "")
            }
        }
        return characters
    }()

    func file() throws -> GGUFFile { try open(writer.header()) }

    func tokenizer() throws -> Tokenizer { try Tokenizer(file()) }
}

/// Opens bytes as a GGUF file; the file itself is gone when this returns, its mapping is not.
func open(_ bytes: [UInt8]) throws -> GGUFFile {
    // In memory where that can be: thousands of damaged files take their time on a disk.
    let folder = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm/" : NSTemporaryDirectory()
    let path = folder + "martlet-tokens-\(UUID().uuidString).gguf"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    defer { unlink(path) }
    return try GGUFFile(path: path)
}

/// Seconds that `body` takes.
func seconds(_ body: () -> Void) -> Double {
    let time = ContinuousClock().measure(body)
    return Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18
}

/// Seconds that this thread computes for `body`: what others do on a busy machine does not count.
func processorSeconds(_ body: () -> Void) -> Double {
    func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
    let start = now()
    body()
    return now() - start
}
