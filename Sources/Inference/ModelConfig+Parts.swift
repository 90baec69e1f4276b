import GGUF

/// Experts of a layer and how a token chooses among them.
public struct ExpertConfig: Sendable, Equatable {
    /// Experts of a layer.
    public let count: Int
    /// Experts a token goes through.
    public let usedCount: Int
    /// Width inside an expert.
    public let feedForwardLength: Int
    /// Experts every token goes through, laid side by side as one.
    public let sharedCount: Int
    /// The first layers, which have none.
    public let denseBlockCount: Int
    /// Shares come from a sigmoid of each score, not from the softmax of all.
    public let usesSigmoid: Bool
    /// The shares of those chosen are made to add up to one.
    public let normalizes: Bool
    /// Shares are multiplied by it.
    public let scale: Float

    init?(_ keys: MetadataReader, _ plan: LayerPlan) throws(ModelError) {
        count = try keys.integer("expert_count", in: 0...1024, default: 0)
        guard count > 0 else { return nil }
        usedCount = try keys.integer("expert_used_count", in: 1...min(count, 64))
        let width = try keys.integer("feed_forward_length", in: 0...1_048_576, default: 0)
        feedForwardLength = try keys.integer("expert_feed_forward_length", in: 1...1_048_576, default: width)
        sharedCount = try keys.integer("expert_shared_count", in: 0...64, default: 0)
        denseBlockCount = try keys.integer("leading_dense_block_count", in: 0...1024, default: 0)
        let gating = try keys.integer("expert_gating_func", in: 0...2, default: 1)
        usesSigmoid = gating == 2
        normalizes = keys.bool("expert_weights_norm") ?? plan.normalizesExperts
        // Converters write 0 for "none".
        let scale = keys.file.float("\(keys.architecture).expert_weights_scale") ?? 1
        self.scale = scale == 0 || !scale.isFinite ? 1 : Float(scale)
        let groups = try keys.integer("expert_group_count", in: 0...1024, default: 1)
        guard groups <= 1 else {
            throw ModelError(keys.file, "experts chosen by \(groups) groups are not supported", "Choose another model.")
        }
    }
}

/// Attention whose keys and values are kept as one narrow latent a token, with the rotated part beside it.
public struct LatentConfig: Sendable, Equatable {
    /// Elements of the latent.
    public let rank: Int
    /// Elements of a query's latent; 0: queries are made of the residual stream.
    public let queryRank: Int
    /// Elements of a query head, the rotated ones included.
    public let keyLength: Int
    /// Elements of a value head once it is widened.
    public let valueLength: Int
    /// Rotated elements of a head.
    public let ropeLength: Int

    init?(_ keys: MetadataReader) throws(ModelError) {
        rank = try keys.integer("attention.kv_lora_rank", in: 0...8192, default: 0)
        guard rank > 0 else { return nil }
        guard keys.file.integer("\(keys.architecture).attention.key_length_mla") != nil else {
            throw ModelError(
                keys.file, "it was converted before attention.key_length_mla was written",
                "Convert the model again, with a converter of 2025 or later.")
        }
        queryRank = try keys.integer("attention.q_lora_rank", in: 0...8192, default: 0)
        keyLength = try keys.integer("attention.key_length_mla", in: 2...1024)
        valueLength = try keys.integer("attention.value_length_mla", in: 2...1024)
        ropeLength = try keys.integer("rope.dimension_count", in: 2...keyLength)
        guard keyLength > ropeLength else {
            throw ModelError(keys.file, "all elements of a key are rotated", "Fetch the file again.")
        }
    }

    /// Elements of a query head that are not rotated.
    var plainLength: Int { keyLength - ropeLength }
}

/// How an encoder's states become one embedding. Raw values are GGUF's `pooling_type`.
public enum Pooling: Int, Sendable {
    case mean = 1
    /// The state of the first token.
    case cls = 2
    /// The state of the last token.
    case last = 3

    init(_ keys: MetadataReader) throws(ModelError) {
        let value = try keys.integer("pooling_type", in: 0...4, default: 1)
        guard value != 4 else {
            throw ModelError(keys.file, "it ranks pairs of texts (pooling_type 4)", "Choose an encoder for embeddings.")
        }
        self = Pooling(rawValue: value) ?? .mean
    }
}
