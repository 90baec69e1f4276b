import GGUF
import Inference
import Linux

/// How the making of a model's packed form ended.
public enum PackingResult: Sendable, Equatable {
    /// There is nothing to do: it is packed already, or would not gain.
    case notNeeded
    case packed(path: String, seconds: Double)
    /// In words that follow "is not packed: ".
    case failed(String)
}

extension ModelRunner {
    /// Makes the packed form of the model at `path` in the cache folder, while `goesOn`.
    @Sendable static func pack(_ path: String, _ goesOn: @Sendable () -> Bool) -> PackingResult {
        let start = monotonicNanoseconds()
        do {
            let file = try GGUFFile(path: path)
            guard let folder = PackedModel.folder else { return .failed("there is no cache folder") }
            guard try PackedModel.obstacle(file) == nil else { return .notNeeded }
            let packed = try PackedModel.add(file, to: folder) { _, _ in goesOn() }
            guard let packed, packed.isNew else { return .notNeeded }
            return .packed(path: packed.path, seconds: Double(monotonicNanoseconds() - start) / 1e9)
        } catch {
            return .failed("\(error)")
        }
    }
}
