import GGUF
import Glibc
import Inference
import Linux

/// What a test cannot go on without.
public struct Missing: Error, CustomStringConvertible {
    public let description: String
}

/// The real model: `MARTLET_TEST_MODEL`, or where `make` puts it. A test without it fails; it is never skipped.
public func realModel() throws -> Model {
    func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    let cache = variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "") + "/.cache"
    let path = variable("MARTLET_TEST_MODEL") ?? "\(cache)/martlet/models/smollm2-135m-instruct-q4_1.gguf"
    guard access(path, R_OK) == 0 else {
        throw Missing(description: "no model at \(path): run `make model`, or set MARTLET_TEST_MODEL")
    }
    return try Model(path: path)
}

/// A llama with random weights and a byte-level vocabulary, written to /tmp for one test.
///
/// Its tokens are single bytes but for a few merges, so that words of shared letters are tries that branch inside.
public final class TinyModel {
    public let model: Model
    private let folder: String

    public static let control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    /// What the merges make, besides single bytes.
    public static let merges = ["Ġ a", "i n", "in g", "e r"]

    public init(seed: UInt64 = 1, context: Int = 512) throws {
        folder = try makeTemporaryFolder(prefix: "martlet-tiny-", in: "/tmp")
        let path = folder + "/tiny.gguf"
        try Self.write(path, seed, context)
        model = try Model(path: path)
    }

    deinit {
        unlink(model.file.path)
        rmdir(folder)
    }

    private static func write(_ path: String, _ seed: UInt64, _ context: Int) throws {
        let (width, hidden, blocks, heads, headsKV) = (64, 96, 2, 4, 2)
        let tokens = control + byteTexts + merges.map { $0.split(separator: " ").joined() }
        var writer = GGUFWriter()
        writer.set("general.architecture", .string("llama"))
        for (key, value) in [
            ("block_count", blocks), ("embedding_length", width), ("feed_forward_length", hidden),
            ("attention.head_count", heads), ("attention.head_count_kv", headsKV), ("context_length", context),
        ] { writer.set("llama.\(key)", .uint32(UInt32(value))) }
        writer.set("llama.attention.layer_norm_rms_epsilon", .float32(1e-5))
        writer.set("tokenizer.ggml.model", .string("gpt2"))
        writer.set("tokenizer.ggml.pre", .string("smollm"))
        writer.set("tokenizer.ggml.tokens", .strings(tokens))
        writer.set("tokenizer.ggml.token_type", .int32s(tokens.indices.map { $0 < control.count ? 3 : 1 }))
        writer.set("tokenizer.ggml.merges", .strings(merges))
        writer.set("tokenizer.ggml.bos_token_id", .uint32(1))
        writer.set("tokenizer.ggml.eos_token_id", .uint32(2))
        let keys = width / heads * headsKV
        try writer.add(tensor: "token_embd.weight", [width, tokens.count], .f32)
        try writer.add(tensor: "output_norm.weight", [width], .f32)
        for block in 0..<blocks {
            for (name, shape) in [
                ("attn_norm", [width]), ("attn_q", [width, width]), ("attn_k", [width, keys]),
                ("attn_v", [width, keys]), ("attn_output", [width, width]), ("ffn_norm", [width]),
                ("ffn_gate", [width, hidden]), ("ffn_up", [width, hidden]), ("ffn_down", [hidden, width]),
            ] { try writer.add(tensor: "blk.\(block).\(name).weight", shape, .f32) }
        }
        var state = seed
        try writer.write(to: path) { tensor, file throws(SystemError) in
            let isNorm = tensor.name.contains("norm")
            // Strong enough that tokens differ clearly, weak enough that nothing saturates.
            let scale = 2 / Float(tensor.dimensions[0]).squareRoot()
            var bytes: [UInt8] = []
            for _ in 0..<tensor.byteCount / 4 {
                let value = isNorm ? 1 : scale * random(&state)
                withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
            }
            try file.append(bytes)
        }
    }

    /// Between -1 and 1. Numerical Recipes' 64-bit congruential generator, its high bits.
    private static func random(_ state: inout UInt64) -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
    }

    /// How GPT-2 writes each byte as a visible character.
    private static let byteTexts: [String] = {
        var next: UInt32 = 256
        return (0..<256).map { byte in
            let isVisible = (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174
            defer { if !isVisible { next += 1 } }
            return Unicode.Scalar(isVisible ? UInt32(byte) : next).map { String(Character($0)) } ?? ""
        }
    }()
}
