import Catalogue
import Daemon
import Inference

/// The path that a `--model` or a file argument means: a file, or a model of the catalogue that was pulled.
func namedModel(_ argument: String) throws -> String {
    guard let cache = PackedModel.folder else { return argument }
    return try ModelStore(cache: cache).resolve(argument) { Suggestion.nearest(to: $0, in: $1) }
}

/// Refuses a context that this board could never hold, before anything is allocated for it.
func refuseTooLarge(_ model: Model, context: Int, threads: Int, kvCache: KVCacheType = .f16) throws {
    // Of more than the model was made for, the session speaks in better words.
    guard context <= model.config.contextLength else { return }
    let need = model.memoryNeed(context: context, threads: max(1, threads), kvCache: kvCache)
    let subject = "the model \(model.file.path) with a context of \(context) tokens"
    if let obstacle = BoardMemory().obstacle(need.total, subject) { throw CommandError(.data, obstacle) }
}
