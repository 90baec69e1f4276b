import GGUF
import Inference
import TestModels
import Testing

private let folder =
    #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Fixtures/architectures"

/// Normalised mean squared error of float weights; the cache holds halves.
private let floatTolerance: Float = 1e-5

/// The same with a cache of bytes.
private let byteTolerance: Float = 1e-3

private func error(_ got: [Float], _ expected: [Float]) -> Float {
    guard got.count == expected.count else { return .infinity }
    return zip(got, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / expected.reduce(0) { $0 + $1 * $1 }
}

/// Every architecture against the reference implementation, on models whose shapes are odd.
@Suite struct ArchitectureTests {
    private func fixture(
        _ name: String, type: GGMLType = .f32, changes: [String: GGUFValue?] = [:]
    ) throws -> ArchitectureFixture {
        try ArchitectureFixture(name, folder: folder, type: type, changes: changes)
    }

    @Test(arguments: ArchitectureFixture.names)
    func hasTheTrueLogits(_ name: String) throws {
        let fixture = try fixture(name)
        if fixture.logits.isEmpty {
            let session = try Session(model: fixture.model, context: fixture.model.config.contextLength, threads: 2)
            #expect(error(try session.embedding(of: fixture.tokens), fixture.embedding) < floatTolerance)
            return
        }
        #expect(fixture.logits.count == 2)
        let session = try Session(model: fixture.model, context: 128, threads: 2)
        try session.evaluate(fixture.tokens) { token, logits in
            guard let expected = fixture.logits[token] else { return }
            #expect(error(Array(logits), expected) < floatTolerance, "behind token \(token)")
        }
    }

    /// Batches of all sizes, single tokens among them, come to the same.
    @Test(arguments: ArchitectureFixture.names.filter { !$0.hasPrefix("bert") })
    func computesPieceByPiece(_ name: String) throws {
        let fixture = try fixture(name)
        for (pieces, threads) in [([1], 1), ([1], 2), ([3, 1, 7, 2], 3), ([16, 1], 2)] {
            let session = try Session(model: fixture.model, context: 128, threads: threads)
            var (done, turn) = (0, 0)
            while done < fixture.tokens.count {
                let some = min(pieces[turn % pieces.count], fixture.tokens.count - done)
                try session.evaluate(Array(fixture.tokens[done..<done + some]))
                (done, turn) = (done + some, turn + 1)
                guard let expected = fixture.logits[done - 1] else { continue }
                #expect(error(Array(session.logits()), expected) < floatTolerance, "\(pieces) behind \(done)")
            }
        }
    }

    /// A prefix put back, and a tree behind it: states that are no keys or values come along, windows reach into both.
    @Test(arguments: ArchitectureFixture.names.filter { !$0.hasPrefix("bert") })
    func keepsPrefixesAndBranches(_ name: String) throws {
        let fixture = try fixture(name)
        let (last, expected) = try #require(fixture.logits.max { $0.key < $1.key })
        let session = try Session(model: fixture.model, context: 128, threads: 2)
        let cut = last - 4
        try session.evaluate(Array(fixture.tokens[..<cut]))
        let prefix = session.snapshot()
        try session.evaluate([9, 8, 7])
        #expect(session.restore(prefix))
        // The true tokens as a chain inside a tree, with a stranger beside each.
        var nodes: [TreeNode] = []
        var parent: Int?
        for token in fixture.tokens[cut...last] {
            nodes.append(TreeNode(token: (token + 5) % 48, parent: parent))
            nodes.append(TreeNode(token: token, parent: parent))
            parent = nodes.count - 1
        }
        let rows = (0..<Int32(fixture.model.vocabularyCount)).map { $0 }
        for trees in [[nodes], [Array(nodes.prefix(3)), nodes]] {
            try session.evaluateTrees(trees)
            let got = session.treeLogits(tree: trees.count - 1, node: nodes.count - 1, of: rows)
            #expect(error(got, expected) < floatTolerance, "\(trees.count) trees")
        }
        try session.evaluate(Array(fixture.tokens[cut...last]))
        #expect(error(Array(session.logits()), expected) < floatTolerance)
    }

    /// A cache of bytes costs little accuracy and nothing else: prefixes, trees and batches of all sizes agree.
    @Test(arguments: ArchitectureFixture.names.filter { !$0.hasPrefix("bert") })
    func keepsKeysAndValuesAsBytes(_ name: String) throws {
        let fixture = try fixture(name)
        let (last, expected) = try #require(fixture.logits.max { $0.key < $1.key })
        let tokens = Array(fixture.tokens[...last])
        let session = try Session(model: fixture.model, context: 128, threads: 2, kvCache: .q8_0)
        try session.evaluate(tokens)
        let whole = Array(session.logits())
        #expect(error(whole, expected) < byteTolerance)
        session.truncate(to: 0)
        for token in tokens.dropLast(3) { try session.evaluate(token) }
        let prefix = session.snapshot()
        try session.evaluate([9, 8, 7])
        #expect(session.restore(prefix))
        let nodes = tokens.suffix(3).enumerated().map {
            TreeNode(token: $0.element, parent: $0.offset == 0 ? nil : $0.offset - 1)
        }
        try session.evaluateTrees([nodes, nodes])
        let rows = (0..<Int32(fixture.model.vocabularyCount)).map { $0 }
        // A last bit can flip a rounding to bytes.
        #expect(error(session.treeLogits(tree: 1, node: 2, of: rows), whole) < byteTolerance / 10)
        for token in tokens.suffix(3) { try session.evaluate(token) }
        #expect(error(Array(session.logits()), whole) < byteTolerance / 10)
        let halves = try Session(model: fixture.model, context: 128, threads: 1)
        try halves.evaluate(tokens)
        let share = Double(session.snapshot().byteCount) / Double(halves.snapshot().byteCount)
        #expect(name == "lfm2" ? share < 0.95 : share < 0.6, "\(share) of the memory")
    }

    @Test func encodersPredictNothing() throws {
        let session = try Session(model: try fixture("bert").model, context: 64, threads: 1)
        let thrown = #expect(throws: InferenceError.self) { try session.evaluate([5, 6]) }
        #expect(thrown?.description.contains("martlet embed") == true)
    }

    /// What a window, a cap or a scale is for shows: without its key the answers are others.
    @Test(arguments: [
        ("mistral", "llama.attention.sliding_window"), ("phi3", "phi3.attention.sliding_window"),
        ("granite", "granite.attention.scale"), ("granite", "granite.residual_scale"),
        ("granite", "granite.logit_scale"), ("granite", "granite.embedding_scale"),
        ("gemma2", "gemma2.final_logit_softcapping"), ("gemma2", "gemma2.attn_logit_softcapping"),
        ("deepseek2", "deepseek2.expert_weights_scale"), ("qwen2-yarn", "qwen2.rope.scaling.type"),
        ("llama-linear", "llama.rope.scaling.type"), ("phi2", "phi2.rope.dimension_count"),
    ])
    func aKeyMatters(_ name: String, _ key: String) throws {
        let fixture = try fixture(name, changes: [key: GGUFValue?.none])
        let (last, expected) = try #require(fixture.logits.max { $0.key < $1.key })
        let session = try Session(model: fixture.model, context: 128, threads: 1)
        try session.evaluate(Array(fixture.tokens[...last]))
        #expect(error(Array(session.logits()), expected) > 100 * floatTolerance)
    }

    /// Sizes that no tensor confirms are not allocated.
    @Test func expertsThatAreNotThereAreRefused() throws {
        let keys: [String: GGUFValue?] = [
            "llama.expert_count": .uint32(2), "llama.expert_used_count": .uint32(1),
            "llama.expert_feed_forward_length": .uint32(1_048_576), "llama.expert_shared_count": .uint32(64),
        ]
        let thrown = #expect(throws: ModelError.self) { try fixture("llama", changes: keys) }
        #expect(thrown?.description.contains("no layer has any") == true)
        let convolution: [String: GGUFValue?] = [
            "phi2.attention.head_count_kv": .int32s([4, 0]), "phi2.shortconv.l_cache": .uint32(3),
        ]
        let other = #expect(throws: ModelError.self) { try fixture("phi2", changes: convolution) }
        #expect(other?.description.contains("has no experts, convolutions or latents") == true)
    }

    @Test func anEncodersContextIsBounded() throws {
        let model = try fixture("bert", changes: ["bert.context_length": .uint32(64)]).model
        #expect(throws: InferenceError.self) { try Session(model: model, context: 65, threads: 1) }
        #expect(model.memoryNeed(context: 64).scratch < model.memoryNeed(context: 64, batch: 4096).scratch * 2)
    }

    @Test func aSnapshotOfAnotherCacheIsLeftAlone() throws {
        let model = try fixture("llama").model
        let (halves, bytes) = (
            try Session(model: model, context: 32, threads: 1),
            try Session(model: model, context: 32, threads: 1, kvCache: .q8_0)
        )
        try halves.evaluate([4, 5, 6])
        #expect(!bytes.restore(halves.snapshot()) && bytes.count == 0)
        #expect(model.memoryNeed(context: 32, kvCache: .q8_0).cache < model.memoryNeed(context: 32).cache)
    }

    /// Damaged shapes are refused with the key's name.
    @Test(arguments: [
        ("mixtral", "llama.expert_used_count", GGUFValue.uint32(6), "expert_used_count"),
        ("mixtral", "llama.expert_count", .uint32(4), "ffn_gate_inp"),
        ("lfm2", "lfm2.attention.head_count_kv", .int32s([0, 2]), "head_count_kv has 2 numbers for 4 layers"),
        ("lfm2", "lfm2.attention.head_count_kv", .int32s([0, 2, 1, 0]), "different numbers of key heads"),
        ("lfm2", "lfm2.shortconv.l_cache", .uint32(4), "shortconv.conv"),
        ("deepseek2", "deepseek2.attention.kv_lora_rank", .uint32(0), "attn_q"),
        ("deepseek2", "deepseek2.attention.key_length_mla", .uint32(16), "all elements of a key are rotated"),
        ("qwen3", "qwen3.attention.key_length", .uint32(41), "heads of 41 elements"),
        ("granite", "granite.logit_scale", .float32(0), "logit_scale is not a positive number"),
        ("bert", "bert.pooling_type", .uint32(4), "ranks pairs"),
        ("llama-linear", "llama.rope.scaling.type", .string("ntk"), "rope scaling 'ntk' is not supported"),
        ("phi3-long", "phi3.rope.dimension_count", .uint32(8), "rope_factors_long"),
        ("starcoder2", "starcoder2.context_length", .uint32(0), "context_length is 0"),
        ("llama", "llama.expert_count", .uint32(2), "expert_used_count is missing"),
        ("deepseek2", "deepseek2.expert_shared_count", .uint32(0), "expert_shared_count is 0"),
        ("deepseek2", "deepseek2.attention.kv_lora_rank", .uint32(33), "heads of 49 elements"),
        ("phi2", "phi2.attention.head_count_kv", .int32s([4, 0]), "convolutions"),
    ])
    func refusesWhatDoesNotFit(_ name: String, _ key: String, _ value: GGUFValue, _ why: String) throws {
        let thrown = #expect(throws: ModelError.self) { try fixture(name, changes: [key: value]) }
        #expect(thrown?.description.contains(why) == true, "\(thrown?.description ?? "")")
    }
}
