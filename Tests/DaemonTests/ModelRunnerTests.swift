import GGUF
import Health
import Inference
import Linux
import TestModels
import TestSupport
import Testing

@testable import Daemon

/// The real runner on a small model: what the engine gets for events that were computed together.
@Suite struct ModelRunners {
    private let tiny: TinyModel
    private let runner: ModelRunner
    private let spec = ClassifierSpec(model: "tiny", labels: ["routine", "unusual"], prompt: nil)
    private let texts = ["door opened", "", "water leak in the cellar", "21.5", "door opened", "x", "y", "z"]

    init() throws {
        tiny = try TinyModel()
        let section = Configuration.ModelSection(
            name: "tiny", path: tiny.model.file.path, context: 512, threads: 2, kvCache: "f16", lora: [])
        runner = try ModelRunner([section], cache: nil, isCancelled: { false })
    }

    private func scores(_ answers: [Result<ClassifyAnswer, EventFailure>]) throws -> [[Double]] {
        try answers.map { try $0.get().scores.map(\.score) }
    }

    @Test func togetherTheyGetTheAnswersThatEachGetsAlone() throws {
        let alone = try texts.map { try runner.classify($0, spec) }
        let together = runner.classify(texts, spec)
        #expect(try scores(together) == alone.map { $0.scores.map(\.score) })
        let efforts = try together.map { try $0.get().effort }
        // All but the very first event of the classifier found its prefix computed.
        #expect(efforts.dropFirst().map(\.tokens) == alone.dropFirst().map(\.effort.tokens))
        #expect(efforts.allSatisfy { $0.prefillSeconds > 0 && $0.tokens.cached > 0 && $0.tokens.generated == 0 })
        // Each has its share of the time: the same speed.
        let speeds = efforts.map { Double($0.tokens.prompt - $0.tokens.cached) / $0.prefillSeconds }
        for speed in speeds { #expect(abs(speed / speeds[0] - 1) < 1e-6) }
    }

    @Test func aBadEventAmongGoodOnesFailsAlone() throws {
        let good = try scores(runner.classify(texts, spec))
        let long = String(repeating: "too long ", count: 40)
        let own = try runner.classify("z", spec).effort.tokens.prompt
        runner.apply(Budget(level: .minimal, threads: 1, context: own + 40, batch: 8, dutyCycle: 1))
        let answers = runner.classify(texts + [long] + texts, spec)
        #expect(throws: EventFailure.self) { try answers[texts.count].get() }
        #expect(try scores(Array(answers.prefix(texts.count))) == good)
        #expect(try scores(answers.suffix(texts.count)) == good)
    }

    @Test func aClassifierThatCannotBeMadeFailsAllOfThem() {
        let answers = runner.classify(texts, ClassifierSpec(model: "other", labels: ["a", "b"], prompt: nil))
        #expect(answers.count == texts.count)
        for answer in answers { #expect(throws: EventFailure.self) { try answer.get() } }
    }

    @Test func aFileThatIsNotTheOneMeantIsRefused() throws {
        var section = Configuration.ModelSection(
            name: "tiny", path: tiny.model.file.path, context: 512, threads: 1, kvCache: "f16", lora: [])
        section.sha256 = String(repeating: "0", count: 64)
        let error = #expect(throws: DaemonError.self) { try ModelRunner([section], cache: nil, isCancelled: { false }) }
        #expect(error?.exitStatus == 65 && error?.description.contains("sha256") == true)
        section.sha256 = try SHA256.hexadecimal(ofFile: section.path)
        #expect(throws: Never.self) { try ModelRunner([section], cache: nil, isCancelled: { false }) }
    }

    /// Only tasks' states outlive the runner, and only in the cache it was given.
    @Test func statesOfTasksAreKeptInTheCache() throws {
        let cache = try TemporaryFolder()
        let section = Configuration.ModelSection(
            name: "tiny", path: tiny.model.file.path, context: 512, threads: 1, kvCache: "f16", lora: [])
        func states() -> [String] {
            FileTree.machine.names(in: cache.path("prefixes")).filter { $0.hasSuffix(".kv") }
        }
        func started(_ program: String, with tasks: [TaskSection]) throws -> ModelRunner {
            let runner = try ModelRunner([section], cache: cache.root, program: program, isCancelled: { false })
            runner.prepare(tasks)
            return runner
        }
        var task = TaskSection(name: "door", kind: .classify, model: "tiny", subscribe: [])
        // Long enough to be worth a file.
        task.labels = spec.labels
        task.prompt = "Is this routine or unusual in a house at night? {{text}}"
        let own = task.classifierSpec
        let first = try started("1", with: [task])
        let kept = states()
        #expect(kept.count == 1)
        // Requests: other labels, a schema.
        _ = try first.classify("x", ClassifierSpec(model: "tiny", labels: ["yes", "no"], prompt: task.prompt))
        var request = ExtractSpec(model: "tiny", schema: #"{"const": 1}"#, prompt: nil, maxTokens: 8)
        request.isRequest = true
        _ = try first.extract("x", request)
        #expect(states() == kept)
        let answer = try first.classify("door opened", own).scores.map(\.score)
        #expect(try started("1", with: [task]).classify("door opened", own).scores.map(\.score) == answer)
        #expect(states() == kept)
        _ = try started("2", with: [task])
        #expect(states().count == 2)
        #expect(try runner.classify("door opened", own).scores.map(\.score) == answer, "without a cache")
    }

    /// The digest of a split model is of all its parts: another second part is another model.
    @Test func ofASplitModelEveryPartIsChecked() throws {
        let folder = try TemporaryFolder()
        let (first, second) = ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
        let file = tiny.model.file
        for (number, name) in [first, second].enumerated() {
            var writer = number == 0 ? GGUFWriter(metadataOf: file) : GGUFWriter()
            writer.set("split.no", .uint16(UInt16(number)))
            writer.set("split.count", .uint16(2))
            for (index, tensor) in file.tensors.enumerated() where index % 2 == number {
                try writer.add(tensor: tensor.name, tensor.dimensions, tensor.type)
            }
            try writer.write(to: folder.path(name)) { tensor, output throws(SystemError) in
                if let bytes = file.tensor(named: tensor.name)?.bytes { try output.append(bytes) }
            }
        }
        var section = Configuration.ModelSection(
            name: "tiny", path: folder.path(first), context: 512, threads: 1, kvCache: "f16", lora: [])
        section.sha256 = try SHA256.hexadecimal(ofFiles: [folder.path(first), folder.path(second)])
        #expect(throws: Never.self) { try ModelRunner([section], cache: nil, isCancelled: { false }) }
        var bytes = folder.bytes(second)
        bytes[bytes.count - 1] ^= 1
        try folder.write(bytes, to: second)
        let error = #expect(throws: DaemonError.self) { try ModelRunner([section], cache: nil, isCancelled: { false }) }
        #expect(error?.exitStatus == 65 && error?.description.contains("sha256") == true)
    }

    /// Tasks of one model with other adapters, in turn: each has its own answers, and the model's own come back.
    @Test func eachTaskHasItsOwnAdapters() throws {
        let folder = try TemporaryFolder()
        let path = folder.root + "/adapter.gguf"
        _ = try AdapterFixture(
            tiny.model, seed: "1", rank: 4, alpha: 32,
            matrices: ["blk.0.attn_q.weight", "blk.0.ffn_down.weight", "blk.1.attn_v.weight"], keptAt: path)
        var (own, idle, lost) = (spec, spec, spec)
        (own.lora, idle.lora, lost.lora) = ([path], [path + "=0"], [folder.root + "/none.gguf"])
        let plain = try runner.classify("door opened", spec).scores.map(\.score)
        let adapted = try runner.classify("door opened", own).scores.map(\.score)
        #expect(zip(plain, adapted).contains { abs($0 - $1) > 1e-3 })
        for _ in 0..<2 {
            #expect(try runner.classify("door opened", spec).scores.map(\.score) == plain)
            #expect(try runner.classify("door opened", idle).scores.map(\.score) == plain)
            #expect(try runner.classify("door opened", own).scores.map(\.score) == adapted)
        }
        #expect(throws: EventFailure.self) { try runner.classify("door opened", lost) }
    }
}
