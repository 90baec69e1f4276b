import ArgumentParser
import Inference

/// Where the model is and how it runs; shared by every command that computes.
struct ModelOptions: ParsableArguments {
    @Option(help: "The model: a GGUF file, or a name of `martlet model list`.")
    var model: String

    @Option(help: "Threads; 0 takes the performance cores.")
    var threads = 0

    @Option(help: "Context in tokens; default 2048, or what the model was trained for if that is less.")
    var context: Int?

    func validate() throws {
        guard (0...64).contains(threads) else { throw ValidationError("--threads takes 0 to 64") }
        guard (context ?? 1) > 0 else { throw ValidationError("--context takes a positive number") }
    }

    /// Maps the model and prepares a session on it.
    func open() throws -> Session {
        let model = try Model(path: namedModel(model))
        let context = context ?? min(2048, model.config.contextLength)
        try refuseTooLarge(model, context: context, threads: threads)
        return try Session(model: model, context: context, threads: threads, ownsThread: true)
    }
}
