import GGUF
import Inference
import TestModels
import Testing

private let folder =
    #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Fixtures/architectures"

/// Normalised mean squared error against the model with merged weights; products are added in another order.
private let tolerance: Float = 1e-6

private func error(_ got: [Float], _ expected: [Float]) -> Float {
    guard got.count == expected.count else { return .infinity }
    return zip(got, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / expected.reduce(0) { $0 + $1 * $1 }
}

@Suite struct LoRATests {
    private func logits(_ session: Session, _ tokens: [Int32], pass: Int) throws -> [Float] {
        session.truncate(to: 0)
        for start in stride(from: 0, to: tokens.count, by: pass) {
            try session.evaluate(Array(tokens[start..<min(start + pass, tokens.count)]))
        }
        return Array(session.logits())
    }

    /// The matrices of a model that an adapter may act on.
    private func matrices(_ model: Model) -> [String] {
        model.file.tensors.map(\.name).filter { name in
            [
                "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "in_proj",
                "out_proj",
            ]
            .contains { name.hasSuffix("\($0).weight") } || name == "output.weight"
        }
    }

    /// Split and fused matrices, parallel blocks, norms behind blocks, biases, convolutions, a head of its own.
    @Test(arguments: ["llama", "llama-linear", "phi2", "phi3", "gemma2", "olmo2", "qwen2", "lfm2"])
    func isAsIfMerged(_ name: String) throws {
        let base = try ArchitectureFixture(name, folder: folder)
        let names = matrices(base.model)
        #expect(names.count >= 9)
        let one = try AdapterFixture(base.model, seed: "1", rank: 5, alpha: 8, matrices: names)
        let two = try AdapterFixture(
            base.model, seed: "2", rank: 16, alpha: 16, matrices: names.filter { $0.contains("attn") }, type: .f32)
        var sums = one.products.mapValues { $0.map { $0 * 0.5 } }
        for (name, product) in two.products {
            sums[name] = zip(sums[name] ?? product.map { _ in 0 }, product).map { $0 - 1.5 * $1 }
        }
        let merged = try ArchitectureFixture(name, folder: folder, additions: sums)
        let tokens = Array(base.tokens.prefix(21))
        for threads in [1, 2] {
            let session = try Session(model: base.model, context: 64, threads: threads)
            let reference = try Session(model: merged.model, context: 64, threads: threads)
            for pass in [1, 3, 21] {
                let expected = try logits(reference, tokens, pass: pass)
                session.use([])
                let without = try logits(session, tokens, pass: pass)
                session.use([ScaledAdapter(one.adapter, scale: 0.5), ScaledAdapter(two.adapter, scale: -1.5)])
                let got = try logits(session, tokens, pass: pass)
                #expect(error(got, expected) < tolerance, "pass of \(pass)")
                #expect(error(without, expected) > 1000 * tolerance, "the adapter changes the answer")
            }
        }
    }

    @Test func changingAdaptersForgetsCells() throws {
        let base = try ArchitectureFixture("llama", folder: folder)
        let one = try AdapterFixture(
            base.model, seed: "1", rank: 2, alpha: 2, matrices: ["blk.0.attn_q.weight"])
        let session = try Session(model: base.model, context: 64, threads: 1)
        try session.evaluate([4, 5, 6])
        session.use([ScaledAdapter(one.adapter)])
        #expect(session.count == 0)
        try session.evaluate([4, 5, 6])
        session.use([ScaledAdapter(one.adapter)])
        #expect(session.count == 3, "the same again changes nothing")
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let llama = try ArchitectureFixture("llama", folder: folder).model
        let granite = try ArchitectureFixture("granite", folder: folder).model
        let other = try ArchitectureFixture("llama-linear", folder: folder).model
        let thrown = #expect(throws: ModelError.self) {
            // Made for a model of the same architecture with other heads.
            try AdapterFixture(
                other, seed: "1", rank: 2, alpha: 2, matrices: ["blk.0.attn_k.weight"], openFor: llama)
        }
        #expect(thrown?.description.contains("attn_k") == true)
        let mixtral = try ArchitectureFixture("mixtral", folder: folder).model
        let experts = #expect(throws: ModelError.self) {
            try AdapterFixture(mixtral, seed: "1", rank: 2, alpha: 2, matrices: ["blk.0.ffn_up_exps.weight"])
        }
        #expect(experts?.description.contains("cannot adapt") == true)
        let quantised = #expect(throws: ModelError.self) { try LoRAAdapter(path: realModel().file.path, for: granite) }
        #expect(quantised?.description.contains("not a LoRA adapter") == true)
    }
}
