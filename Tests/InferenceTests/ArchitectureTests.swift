import GGUF
import Inference
import TestModels
import Testing

private let folder =
    #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Fixtures/architectures"

/// Normalised mean squared error of float weights; the cache holds halves.
private let floatTolerance: Float = 1e-5

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
        session.restore(prefix)
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

    /// Damaged shapes are refused with the key's name.
    @Test(arguments: [
        ("mixtral", "llama.expert_used_count", GGUFValue.uint32(6), "expert_used_count"),
        ("mixtral", "llama.expert_count", .uint32(4), "ffn_gate_inp"),
        ("lfm2", "lfm2.attention.head_count_kv", .int32s([0, 2]), "head_count_kv has 2 numbers for 4 layers"),
        ("lfm2", "lfm2.attention.head_count_kv", .int32s([0, 2, 1, 0]), "different numbers of key heads"),
        ("lfm2", "lfm2.shortconv.l_cache", .uint32(4), "shortconv.conv"),
        ("deepseek2", "deepseek2.attention.kv_lora_rank", .uint32(0), "attn_q"),
        ("deepseek2", "deepseek2.attention.key_length_mla", .uint32(16), "all elements of a key are rotated"),
        ("qwen3", "qwen3.attention.key_length", .uint32(41), "do not fit a head"),
        ("granite", "granite.logit_scale", .float32(0), "logit_scale is not a positive number"),
        ("bert", "bert.pooling_type", .uint32(4), "ranks pairs"),
        ("llama-linear", "llama.rope.scaling.type", .string("ntk"), "rope scaling 'ntk' is not supported"),
        ("phi3-long", "phi3.rope.dimension_count", .uint32(8), "rope_factors_long"),
        ("starcoder2", "starcoder2.context_length", .uint32(0), "context_length is 0"),
    ])
    func refusesWhatDoesNotFit(_ name: String, _ key: String, _ value: GGUFValue, _ why: String) throws {
        let thrown = #expect(throws: ModelError.self) { try fixture(name, changes: [key: value]) }
        #expect(thrown?.description.contains(why) == true, "\(thrown?.description ?? "")")
    }
}
