import GGUF
import Linux
import QuantBlocks

/// The memory a model takes, in bytes.
public struct MemoryNeed: Sendable, Equatable {
    public let context: Int
    /// Mapped weights: page cache, shared and given back under pressure.
    public let file: Int
    /// Keys and values if every cell of the context is used.
    public let cache: Int
    /// Scratch of a session with the default batch.
    public let scratch: Int
    /// What the machine has left now; nil where it does not tell.
    public let available: Int?

    /// All of it.
    public var total: Int { file + cache + scratch }

    /// Whether all of it fits what is available; the file counts, because weights that are dropped must be read again.
    public var fits: Bool? { available.map { total <= $0 } }
}

extension Model {
    /// What running this model with `context` tokens takes on this machine.
    public func memoryNeed(
        context: Int, batch: Int = 256, threads: Int = 4, kvCache: KVCacheType = .f16, tree: FileTree = .machine
    ) -> MemoryNeed {
        // An encoder computes a text in one pass.
        let batch = config.plan.isCausal ? batch : min(context, Session.largestEncoderContext)
        let queries = config.headCount * config.headLength
        let perToken = 2 * config.embeddingLength + queries + config.mixedWidth + config.hiddenWidth
        let widest = config.widestRow
        let isWide = weights.readsWords
        let perThread = tileRows * widest * 5 + batch * tileRows * 8
        let experts = config.experts.map { ExpertState.byteCount($0, config, batch: batch, isWide: isWide) } ?? 0
        let available = tree.lines("/proc/meminfo").first { $0.hasPrefix("MemAvailable:") }
            .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int($0) }
        return MemoryNeed(
            context: context, file: file.byteCount,
            cache: KVCache.byteCount(config, context: context, type: kvCache),
            scratch: batch * (4 * perToken + (isWide ? 4 : 2) * widest) + threads * perThread + 4 * vocabularyCount
                + experts,
            available: available.map { $0 * 1024 })
    }

    /// The first tensor with a scale that is not finite: a flipped bit that would turn every answer into noise.
    public func firstUnusableTensor() -> String? {
        for tensor in file.tensors {
            guard let format = WeightFormatScan(tensor) else { continue }
            if !format.allFinite() { return tensor.name }
        }
        return nil
    }
}
