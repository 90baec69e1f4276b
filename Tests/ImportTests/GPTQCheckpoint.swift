import Glibc
import Linux
import TestSupport
import Testing

@testable import Import

/// The quantised checkpoints whose digests `scripts/make-gptq-fixtures` writes; their tensors are made from the names,
/// as there.
struct GPTQCheckpoint {
    enum Format: String {
        /// AutoGPTQ's, a matrix for each layout of groups.
        case first = "gptq"
        /// GPTQModel's, one matrix.
        case second = "gptq-v2"
    }

    private(set) var checkpoint: TestCheckpoint
    private static let width = 128
    private static let layer = "model.layers.0."
    private static let fixtures =
        #filePath.split(separator: "/").dropLast(2).map { "/\($0)" }.joined() + "/Fixtures/import"

    init(_ format: Format) throws {
        checkpoint = try TestCheckpoint()
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            let text = try #require(FileTree(root: "\(Self.fixtures)/\(format.rawValue)").text("/\(name)"))
            try checkpoint.folder.write(text, to: name)
        }
        let embedding = "model.embed_tokens.weight"
        checkpoint.add(embedding, "F16", [32, Self.width], Self.halves(embedding, 32 * Self.width))
        switch format {
        case .first:
            let one: UInt16 = 0x3C00
            checkpoint.add("model.norm.weight", "F16", [Self.width], [UInt16](repeating: one, count: Self.width))
            let bias = Self.layer + "self_attn.o_proj.bias"
            checkpoint.add(bias, "F16", [Self.width], [UInt16](repeating: 0, count: Self.width))
            addMatrix("self_attn.q_proj", group: 32, zeros: [8])
            addMatrix("self_attn.k_proj", group: 128, zeros: [8])
            addMatrix("self_attn.v_proj", group: 64, zeros: Array(1...16))
            addMatrix("self_attn.o_proj", group: 32, zeros: [1, 2, 4, 8, 16])
            addMatrix("mlp.gate_proj", group: 64, zeros: [8])
            addMatrix("mlp.up_proj", group: 32, zeros: [8], isActOrdered: true)
            addMatrix("mlp.down_proj", group: 32, zeros: [8], isActOrdered: true)
        case .second:
            addMatrix("self_attn.v_proj", group: 64, zeros: Array(0...15), offset: 0, hasIndex: false)
        }
        try checkpoint.save()
    }

    /// The digest that the script calculated under `name`.
    static func digest(_ name: String) throws -> String {
        let text = try #require(FileTree(root: fixtures).text("/expected.json"))
        let line = try #require(text.split(separator: "\n").first { $0.contains("\"\(name)\"") })
        return try #require(line.split(separator: "\"").last { $0.utf8.count == 64 }.map(String.init))
    }

    /// `zeros`: the choices, stored less `offset`.
    private mutating func addMatrix(
        _ module: String, group: Int, zeros: [UInt32], isActOrdered: Bool = false, offset: UInt32 = 1,
        hasIndex: Bool = true
    ) {
        let (width, groups) = (Self.width, Self.width / group)
        let name = Self.layer + module
        // (inputs, outputs), eight inputs to a word.
        var levels = Generator("\(name).qweight")
        var weights = [UInt32](repeating: 0, count: width / 8 * width)
        for input in 0..<width {
            for output in 0..<width {
                let (word, shift): (Int, UInt32) = (input / 8 * width + output, UInt32(input % 8 * 4))
                weights[word] |= UInt32(levels.next(below: 16)) << shift
            }
        }
        // (groups, outputs), eight outputs to a word.
        var choice = Generator("\(name).qzeros")
        var packed = [UInt32](repeating: 0, count: groups * width / 8)
        for index in 0..<groups * width {
            let zero = zeros[choice.next(below: zeros.count)] - offset
            packed[index / 8] |= zero << UInt32(index % 8 * 4)
        }
        var order = (0..<width).map { UInt32($0 / group) }
        if isActOrdered {
            var generator = Generator("\(name).g_idx")
            for i in stride(from: width - 1, to: 0, by: -1) { order.swapAt(i, generator.next(below: i + 1)) }
        }
        checkpoint.add("\(name).qweight", "I32", [width / 8, width], weights)
        checkpoint.add("\(name).qzeros", "I32", [groups, width / 8], packed)
        checkpoint.add("\(name).scales", "F16", [groups, width], Self.halves("\(name).scales", groups * width))
        if hasIndex { checkpoint.add("\(name).g_idx", "I32", [width], order) }
    }

    /// Bits of halves from 0.01 to 0.055, all bits of the fraction in use: no multiple of most is a half too.
    private static func halves(_ name: String, _ count: Int) -> [UInt16] {
        var generator = Generator(name)
        return (0..<count).map { _ in 0x2100 + UInt16(generator.next(below: 0x0A00)) }
    }

    /// The script's `integers`.
    private struct Generator {
        private var state: UInt64 = 0xCBF2_9CE4_8422_2325

        init(_ name: String) {
            for byte in name.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }

        mutating func next(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }
}
