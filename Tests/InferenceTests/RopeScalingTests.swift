import Constraints
import GGUF
import TestModels
import Testing

@testable import Inference

private let folder =
    #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Fixtures/architectures"

/// Contexts beyond the training: scaled as asked for, refused otherwise.
@Suite struct RopeScalingTests {
    private static let trained = 256

    /// Logits behind every seventh of more tokens than the fixtures were trained for.
    private func logits(_ fixture: ArchitectureFixture, count: Int = 300) throws -> [[Float]] {
        let session = try Session(model: fixture.model, context: count, threads: 2)
        let tokens = (0..<count).map { fixture.tokens[$0 % fixture.tokens.count] }
        var rows: [[Float]] = []
        try session.evaluate(tokens) { token, logits in
            if token % 7 == 0 { rows.append(Array(logits)) }
        }
        return rows
    }

    private func stretched(
        _ name: String, _ kind: RopeScaling, to context: Int = 512, changes: [String: GGUFValue?] = [:]
    ) throws -> ArchitectureFixture {
        try ArchitectureFixture(
            name, folder: folder, changes: changes, stretch: RopeStretch(kind, context: context))
    }

    /// What a file looks like that was trained so: twice the context, and the scaling among its keys.
    private func written(_ name: String, _ architecture: String, _ kind: RopeScaling) throws -> ArchitectureFixture {
        var changes: [String: GGUFValue?] = [
            "context_length": .uint32(512), "rope.scaling.type": .string(kind.rawValue),
            "rope.scaling.factor": .float32(2),
        ]
        if kind == .yarn { changes["rope.scaling.original_context_length"] = .uint32(256) }
        let keys = changes.map { ("\(architecture).\($0.key)", $0.value) }
        return try ArchitectureFixture(name, folder: folder, changes: Dictionary(uniqueKeysWithValues: keys))
    }

    /// Both ways of rotating, two bases, and a rotation of a part with a latent.
    @Test(arguments: ["llama", "qwen2", "gemma3", "deepseek2"], [RopeScaling.linear, .yarn])
    func isWhatAFileWithTheSameKeysComesTo(_ name: String, _ kind: RopeScaling) throws {
        let asked = try stretched(name, kind)
        let config = asked.model.config
        #expect(config.contextLength == 512 && config.trainedContextLength == Self.trained)
        let file = try written(name, name, kind)
        let other = file.model.config
        #expect(config.rope.scaling == other.rope.scaling && config.rope.magnitude == other.rope.magnitude)
        #expect(config.attentionScale == other.attentionScale)
        let got = try logits(asked)
        #expect(got == (try logits(file)), "bit by bit")
        // And not what it was without.
        let plain = try ArchitectureFixture(
            name, folder: folder, changes: ["\(name).context_length": .uint32(512)])
        #expect(try logits(plain).last != got.last)
    }

    @Test func scalingOfAFileIsTakenFurther() throws {
        // Trained to 256 with positions divided by four: 512 divides by eight.
        #expect(try stretched("llama-linear", .linear).model.config.rope.scaling == .linear(8))
        // Trained to 64, reaching 256 with a factor of four.
        let yarn = try stretched("qwen2-yarn", .yarn).model.config.rope
        #expect(yarn.scaling == .yarn(factor: 8, fast: 32, slow: 1) && yarn.originalContextLength == 64)
        // A file may reach further than the length it gives.
        let far = try stretched("qwen2-yarn", .yarn, changes: ["qwen2.rope.scaling.factor": .float32(16)])
        #expect(far.model.config.rope.scaling == .yarn(factor: 16, fast: 32, slow: 1))
    }

    @Test(arguments: ["llama", "llama-linear", "qwen2-yarn", "phi3-long", "bert"])
    func withinTheTrainingNothingChanges(_ name: String) throws {
        let plain = try ArchitectureFixture(name, folder: folder).model.config
        for kind in RopeScaling.allCases {
            #expect(try stretched(name, kind, to: 64).model.config == plain)
        }
        #expect(try stretched(name, .none).model.config == plain)
    }

    @Test(arguments: [
        (
            "phi3-long", RopeScaling.yarn,
            "scaled by 'longrope' and cannot be scaled by 'yarn' too. Use a context of at most"
        ),
        ("llama-linear", .yarn, "Name 'linear' to take that further, or use a context of at most 256."),
        ("qwen2-yarn", .linear, "Name 'yarn' to take that further"),
        ("bert", .linear, "its positions are learned and cannot be scaled. Use a context of at most 64."),
    ])
    func refusesTwoWaysAtOnce(_ name: String, _ kind: RopeScaling, _ expected: String) {
        let error = #expect(throws: ModelError.self) { try stretched(name, kind) }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("\n") == false)
    }

    @Test func aLongerContextIsRefusedByNameWithoutScaling() throws {
        let model = try ArchitectureFixture("llama", folder: folder).model
        let error = #expect(throws: InferenceError.self) { try Session(model: model, context: 512, threads: 1) }
        #expect(
            error?.description
                == "a context of 512 tokens is more than the 256 that the model was trained for. Choose at most 256, or "
                + "stretch its positions with --rope-scaling yarn or linear (rope_scaling in a [[model]]).")
        let bert = try ArchitectureFixture("bert", folder: folder).model
        let other = #expect(throws: InferenceError.self) { try Session(model: bert, context: 512, threads: 1) }
        #expect(
            other?.description
                == "a context of 512 tokens is more than the 64 that the model was trained for. Choose at most 64.")
        let none = #expect(throws: InferenceError.self) { try Session(model: model, context: 0, threads: 1) }
        #expect(none?.description.contains("outside 1…256") == true)
    }

    @Test func textGoesOnBeyondTheTraining() throws {
        let tiny = try TinyModel(seed: 3, context: 64)
        let model = try Model(
            path: tiny.model.file.path, packedFolder: nil, stretch: RopeStretch(.yarn, context: 192))
        let session = try Session(model: model, context: 192, threads: 1)
        let constraint = try model.constraint(Grammar(pattern: "[a-z]{120}"))
        var generator = try Generator(
            session, prompt: [1, 40, 41, 42], mostTokens: 180, constraint: constraint)
        let text = try generator.text()
        #expect(text.utf8.count == 120 && session.count > 64)
        let isFinite = session.logits().allSatisfy { $0.isFinite }
        #expect(isFinite)
    }
}
