import GGUF

/// A model's shape: everything the forward pass needs to know but the weights. Names follow GGUF's keys.
public struct ModelConfig: Sendable, Equatable {
    public let architecture: String
    public let plan: LayerPlan
    /// Layers.
    public let blockCount: Int
    /// Width of the residual stream.
    public let embeddingLength: Int
    /// Width inside the feed-forward block; 0 where every layer has experts and no such block.
    public let feedForwardLength: Int
    /// Query heads.
    public let headCount: Int
    /// Key and value heads; `headCount` is a multiple of it (grouped-query attention).
    public let headCountKV: Int
    /// Elements of one query and key head.
    public let headLength: Int
    /// Elements of one value head.
    public let valueLength: Int
    /// Positions the model was trained for, or is stretched to.
    public let contextLength: Int
    /// Positions the model was trained for.
    public let trainedContextLength: Int
    /// Added to a variance.
    public let normEpsilon: Float
    /// Scores are multiplied by it.
    public let attentionScale: Float
    /// Scores are bent to stay below it; 0: not.
    public let attentionSoftCap: Float
    /// Logits are bent to stay below it; 0: not.
    public let finalSoftCap: Float
    public let embeddingScale: Float
    /// What a block yields is multiplied by it.
    public let residualScale: Float
    /// Logits are divided by it.
    public let logitScale: Float
    public let rope: RopeConfig
    /// Experts; nil for a dense model.
    public let experts: ExpertConfig?
    /// Keys and values through a narrow latent (DeepSeek); nil for ordinary attention.
    public let latent: LatentConfig?
    /// Taps of the convolution of layers without attention; 0 where every layer has attention.
    public let convolutionLength: Int
    /// How an encoder's states become one embedding.
    public let pooling: Pooling
    /// What a layer has of its own.
    public let layers: [LayerConfig]

    /// Query heads that share one key and value head.
    public var groupSize: Int { headCount / headCountKV }
    /// Whether positions are rotations, which can be stretched; learned ones cannot.
    public var hasRotation: Bool { plan.ropeStyle != .none }
    /// The first elements of a head that are rotated; an even number.
    public var ropeDimensionCount: Int { rope.dimensionCount }
    /// Elements of all heads' values side by side.
    public var valueWidth: Int { headCount * valueLength }

    /// Reads and checks the shape. Throws `ModelError` naming the key that is missing or out of bounds.
    ///
    /// - Parameter stretch: a context beyond the trained one; nil for none.
    public init(_ file: GGUFFile, stretch: RopeStretch? = nil) throws(ModelError) {
        guard let architecture = file.string("general.architecture") else {
            throw ModelError(
                file, "general.architecture is missing", "It is not a language model; choose another file.")
        }
        guard let plan = LayerPlan.known[architecture] else {
            let known = LayerPlan.known.keys.sorted().joined(separator: ", ")
            throw ModelError(file, "architecture '\(architecture)' is not supported", "Use one of: \(known).")
        }
        self.architecture = architecture
        self.plan = plan
        let keys = MetadataReader(file: file, architecture: architecture)
        // Caps far above any model a board can hold, so that a damaged file cannot make us allocate the machine.
        blockCount = try keys.integer("block_count", in: 1...1024)
        embeddingLength = try keys.integer("embedding_length", in: 1...65536)
        headCount = try keys.integer("attention.head_count", in: 1...1024)
        let trained = try keys.integer("context_length", in: 1...16_777_216)
        trainedContextLength = trained
        contextLength = stretch.map { $0.kind == .none ? trained : max(trained, $0.context) } ?? trained
        experts = try ExpertConfig(keys, plan)
        feedForwardLength = try keys.integer(
            "feed_forward_length", in: 0...1_048_576, default: experts == nil ? nil : 0)
        latent = try LatentConfig(keys)
        convolutionLength = try keys.integer("shortconv.l_cache", in: 0...16, default: 0)

        let heads = try keys.integers(
            "attention.head_count_kv", in: 0...1024, layers: blockCount, default: headCount)
        headCountKV = latent == nil ? max(1, heads.max() ?? 1) : 1
        let derived = embeddingLength / headCount
        let length = try keys.integer("attention.key_length", in: 2...1024, default: derived)
        headLength = latent.map { $0.rank + $0.ropeLength } ?? length
        let values = try keys.integer("attention.value_length", in: 2...1024, default: length)
        valueLength = latent?.rank ?? values

        normEpsilon =
            plan.norm == .rms
            ? try keys.number("attention.layer_norm_rms_epsilon", default: 1e-5)
            : try keys.number("attention.layer_norm_epsilon", default: 1e-5)
        attentionSoftCap = try keys.number("attn_logit_softcapping", default: plan.defaultSoftCaps.attention)
        finalSoftCap = try keys.number("final_logit_softcapping", default: plan.defaultSoftCaps.final)
        embeddingScale = try keys.number(
            "embedding_scale", default: plan.scalesEmbeddings ? Float(embeddingLength).squareRoot() : 1)
        residualScale = try keys.number("residual_scale", default: 1)
        logitScale = try keys.number("logit_scale", default: 1)
        rope = try RopeConfig(
            keys, plan, headLength: latent?.ropeLength ?? length, contextLength: trained, stretch: stretch)
        let scaled = blockCount == plan.blocksScaledByWidth ? derived : latent?.keyLength ?? length
        attentionScale = try keys.number(
            "attention.scale", default: rope.scoreFactor / Float(scaled).squareRoot())
        pooling = try Pooling(keys)
        layers = try Self.layers(keys, plan, heads: heads, dense: experts?.denseBlockCount ?? 0)
        try check(file, heads)
    }

    private func check(_ file: GGUFFile, _ heads: [Int]) throws(ModelError) {
        guard headCount % headCountKV == 0 else {
            throw ModelError(
                file, "\(headCount) heads cannot share \(headCountKV) key heads", "Fetch the file again.")
        }
        guard experts == nil || layers.contains(where: \.hasExperts) else {
            throw ModelError(file, "it says it has experts, and no layer has any", "Fetch the file again.")
        }
        let isPlain = latent == nil && layers.allSatisfy { !$0.isConvolution && !$0.hasExperts }
        guard isPlain || !plan.isParallel && !plan.normsSums else {
            throw ModelError(
                file, "\(architecture) has no experts, convolutions or latents", "Choose another model.")
        }
        guard headLength % 2 == 0 else {
            throw ModelError(
                file, "heads of \(headLength) elements cannot be rotated in pairs", "Fetch the file again.")
        }
        let rotated = latent?.ropeLength ?? headLength
        guard rope.dimensionCount % 2 == 0, rope.dimensionCount <= rotated else {
            throw ModelError(
                file, "\(rope.dimensionCount) rotated elements do not fit a head of \(rotated)",
                "Fetch the file again.")
        }
        guard heads.allSatisfy({ $0 == headCountKV || $0 == 0 && convolutionLength > 1 }) || latent != nil else {
            throw ModelError(
                file, "layers with different numbers of key heads are not supported", "Choose another model.")
        }
    }
}

/// What a layer has of its own.
public struct LayerConfig: Sendable, Equatable {
    /// A short convolution stands in the place of attention.
    public var isConvolution: Bool
    /// Positions a token sees, itself included; 0: all before it.
    public var window: Int
    /// Which of `RopeConfig.bases` it rotates by; −1: it does not.
    public var rotation: Int
    /// It has experts.
    public var hasExperts: Bool
}

extension ModelConfig {
    private static func layers(
        _ keys: MetadataReader, _ plan: LayerPlan, heads: [Int], dense: Int
    ) throws(ModelError) -> [LayerConfig] {
        let window = try keys.integer("attention.sliding_window", in: 0...16_777_216, default: plan.defaultWindow)
        let bases = try RopeConfig.bases(keys, plan).count
        func isLast(_ index: Int, of period: Int) -> Bool { period > 0 && (index + 1) % period == 0 }
        return heads.indices.map { index in
            let seesAll = plan.windowPeriod > 1 && isLast(index, of: plan.windowPeriod)
            let isRotated = plan.ropeStyle != .none && !isLast(index, of: plan.ropelessPeriod)
            return LayerConfig(
                isConvolution: heads[index] == 0, window: seesAll ? 0 : window,
                rotation: !isRotated ? -1 : seesAll || plan.windowPeriod == 1 ? 0 : bases - 1,
                hasExperts: index >= dense && keys.file.tensor(named: "blk.\(index).ffn_gate_inp.weight") != nil)
        }
    }
}
