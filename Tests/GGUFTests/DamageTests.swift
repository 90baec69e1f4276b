import Glibc
import Linux
import TestSupport
import Testing

@testable import GGUF

/// What happens to a small but complete file when it is cut or its bits flip: a clear refusal, or a file that reads.
@Suite struct DamageTests {
    /// A file with every kind of entry, and how many of its bytes are not tensor data.
    private func sample() -> (bytes: [UInt8], headerCount: Int) {
        var writer = GGUFWriter()
        writer.set("general.architecture", .string("llama"))
        writer.set("general.alignment", .uint32(32))
        writer.set("llama.block_count", .uint32(2))
        writer.set("llama.rope.freq_base", .float32(10_000))
        writer.set("tokenizer.ggml.tokens", .strings(["<s>", "Ġthe", "cat", ""]))
        writer.set("tokenizer.ggml.token_type", .int32s([3, 1, 1, 1]))
        writer.set("tokenizer.ggml.add_bos_token", .bool(false))
        writer.set("nested", .array(.array, [.int32s([1, 2]), .strings(["x"])]))
        #expect(throws: Never.self) {
            try writer.add(tensor: "token_embd.weight", [32, 4], .q4_1)
            try writer.add(tensor: "output_norm.weight", [8], .f32)
            try writer.add(tensor: "blk.0.ffn_up.weight", [256, 1, 1, 1], .q6_K)
        }
        let header = writer.header()
        let folder = try? TemporaryFolder()
        let path = "\(folder?.path ?? "/nowhere")/sample.gguf"
        #expect(throws: Never.self) {
            try writer.write(to: path) { tensor, file throws(SystemError) in
                try file.append([UInt8](repeating: 7, count: tensor.byteCount))
            }
        }
        guard let file = try? GGUFFile(path: path) else { return ([], 0) }
        return (withExtendedLifetime(file) { Array(file.mapped.bytes) }, header.count)
    }

    @Test func `A file cut anywhere is refused in one line`() throws {
        let (bytes, headerCount) = sample()
        try #require(bytes.count > headerCount && headerCount > 400)
        // The last tensor's padding is the only part a reader does not need.
        let needed = headerCount + 96 + 32 + 210
        for count in 0..<needed {
            let message = try refusal(Array(bytes[..<count]))
            if message.isEmpty {
                Issue.record("accepted \(count) of \(bytes.count) bytes")
                break
            }
        }
        let folder = try TemporaryFolder()
        #expect(try GGUFFile(path: folder.file(bytes[..<needed])).tensors.count == 3)
    }

    @Test mutating func `Flipped bits in the header never crash a reader`() throws {
        let (bytes, headerCount) = sample()
        try #require(headerCount > 400)
        let folder = try TemporaryFolder()
        var random = SplitMix(state: 0x6D61_7274_6C65_74)
        var accepted = 0
        for _ in 0..<10_000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<headerCount, using: &random)
                damaged[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            let path = try folder.file(damaged)
            guard let file = try? GGUFFile(path: path) else { continue }
            accepted += 1
            readEverything(file)
        }
        // Most flips hit names and values, which stay readable; many hit counts and lengths, which must not.
        #expect(accepted > 1_000)
        #expect(accepted < 9_000)
    }

    /// Keeps the reads below from being optimised away.
    private var touched: UInt64 = 0

    /// Touches all that a reader could touch; a wrong length would fault here.
    private mutating func readEverything(_ file: GGUFFile) {
        var sum: UInt64 = 0
        for key in file.keys {
            _ = (file.string(key), file.integer(key), file.float(key), file.bool(key), file.floats(key))
            _ = file.integers(key)
            for text in file.strings(key) ?? GGUFStringArray(mapped: file.mapped, base: 0, count: 0) {
                for byte in text { sum &+= UInt64(byte) }
            }
            file.forEachString(key) { sum &+= UInt64($0.count) }
        }
        for tensor in file.tensors {
            let count = tensor.rows * tensor.rowByteCount
            if tensor.bytes.count != count { Issue.record("\(tensor.name) has \(tensor.bytes.count) bytes") }
            for byte in tensor.bytes { sum &+= UInt64(byte) }
        }
        withExtendedLifetime(file) { touched = sum }
    }
}
