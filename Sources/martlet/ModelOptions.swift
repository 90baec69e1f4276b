import ArgumentParser
import Inference

/// Where the model is and how it runs; shared by every command that computes.
struct ModelOptions: ParsableArguments {
    @Option(help: "The model, a GGUF file.")
    var model: String

    @Option(help: "Threads; 0 takes the performance cores.")
    var threads = 0

    @Option(help: "Context in tokens; default 2048, or what the model was trained for if that is less.")
    var context: Int?

    @Option(name: .customLong("kv-cache"), help: "What keys and values are kept as: f16, or q8_0 for half the memory.")
    var kvCache = KVCacheType.f16

    @Option(name: .customLong("lora"), help: "A LoRA adapter, FILE or FILE=SCALE; may be given several times.")
    var adapters: [String] = []

    func validate() throws {
        guard (0...64).contains(threads) else { throw ValidationError("--threads takes 0 to 64") }
        guard (context ?? 1) > 0 else { throw ValidationError("--context takes a positive number") }
    }

    /// Maps the model and prepares a session on it.
    func open() throws -> Session {
        let model = try Model(path: model)
        let session = try Session(
            model: model, context: context ?? min(2048, model.config.contextLength), threads: threads,
            kvCache: kvCache, ownsThread: true)
        session.use(try model.adapters(adapters))
        return session
    }
}

extension KVCacheType: @retroactive ExpressibleByArgument {}
