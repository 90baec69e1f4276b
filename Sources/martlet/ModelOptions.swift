import ArgumentParser
import GGUF
import Inference
import Tokenizers

/// Where the model is and how it runs; shared by every command that computes.
struct ModelOptions: ParsableArguments {
    @Option(help: "The model: a GGUF file, or a name of `martlet model list`.")
    var model: String

    @Option(help: "Threads; 0 takes the performance cores.")
    var threads = 0

    @Option(help: "Context in tokens; default 2048, or what the model was trained for if that is less.")
    var context: Int?

    @Option(help: "How positions are stretched for a context beyond the training: none, which refuses, linear or yarn.")
    var ropeScaling = RopeScaling.none

    @Option(name: .customLong("kv-cache"), help: "What keys and values are kept as: f16, or q8_0 for half the memory.")
    var kvCache = KVCacheType.f16

    @Option(name: .customLong("lora"), help: "A LoRA adapter, FILE or FILE=SCALE; may be given several times.")
    var adapters: [String] = []

    @Option(help: "How conversations are written, by name; default what the model file says.")
    var chatTemplate: String?

    func validate() throws {
        guard (0...64).contains(threads) else { throw ValidationError("--threads takes 0 to 64") }
        guard (context ?? 1) > 0 else { throw ValidationError("--context takes a positive number") }
        if let chatTemplate, ChatTemplate.named(chatTemplate) == nil {
            throw ValidationError(
                "--chat-template \(quoted(chatTemplate)) is unknown. \(ChatTemplate.advice(for: chatTemplate))")
        }
    }

    /// Maps the model and prepares a session on it; warns where its conversations are written as a guess.
    ///
    /// - Parameter chats: whether the session will hold conversations.
    func open(chats: Bool = true) throws -> Session {
        let model = try Model(
            path: namedModel(model), chatTemplate: chatTemplate.flatMap(ChatTemplate.named),
            stretch: RopeStretch(ropeScaling, context: context ?? 0))
        if ropeScaling != .none, model.config.contextLength == model.config.trainedContextLength {
            writeError(
                "martlet: warning: --rope-scaling has no effect: the model was trained for "
                    + "\(model.config.contextLength) tokens. Ask for more with --context")
        }
        if chats, let warning = model.chatTemplate.warning(for: model.file.path) {
            writeError("martlet: warning: \(warning). Name another with --chat-template")
        }
        let context = context ?? min(2048, model.config.contextLength)
        try refuseTooLarge(model, context: context, threads: threads, kvCache: kvCache)
        let session = try Session(
            model: model, context: context, threads: threads, kvCache: kvCache, ownsThread: true)
        session.use(try model.adapters(adapters))
        return session
    }
}

extension KVCacheType: ExpressibleByArgument {}
extension RopeScaling: ExpressibleByArgument {}
