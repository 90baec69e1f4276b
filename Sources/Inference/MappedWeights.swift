import GGUF
import Kernels
import QuantBlocks

/// All weights of a model, as pointers into its file: nothing is copied.
struct MappedWeights: Sendable {
    /// (vocabulary, embedding)
    let tokenEmbd: Matrix
    /// Behind the embedding; nil for most.
    let tokenEmbdNorm: Norm?
    /// (context, embedding), added to embeddings; nil where positions rotate.
    let positionEmbd: Matrix?
    /// (kinds, embedding): the first is added to embeddings; nil for most.
    let tokenTypes: Matrix?
    /// Nil for encoders, whose layers end with a norm.
    let outputNorm: Norm?
    /// (vocabulary, embedding); `tokenEmbd` where the model ties them.
    let output: Matrix
    /// Divide each rotation frequency: always (Llama 3.1), or in contexts up to the original one and beyond (Phi 3).
    let ropeFreqs: Vector?
    let ropeFactorsLong: Vector?
    let ropeFactorsShort: Vector?
    let layers: [LayerWeights]

    /// Bytes one decoded token reads: every layer and the head once, of experts those it goes through.
    let bytesPerToken: Int

    /// Finds every tensor the plan needs and checks its shape against `config`.
    init(_ file: GGUFFile, _ config: ModelConfig, _ table: KernelTable) throws(ModelError) {
        var finder = TensorFinder(file: file, table: table)
        try finder.refuseCutHeads(config)
        let width = config.embeddingLength
        tokenEmbd = try finder.matrix("token_embd", rows: nil, columns: width)
        outputNorm = config.plan.normsSums ? nil : try finder.norm(config.plan.outputNorm, width)
        tokenEmbdNorm =
            config.plan.outputNorm == "token_embd_norm" ? nil : try finder.normIfAny("token_embd_norm", width)
        positionEmbd =
            config.plan.ropeStyle == .none
            ? try finder.matrix("position_embd", rows: config.contextLength, columns: width) : nil
        tokenTypes =
            finder.has("token_types.weight") ? try finder.matrix("token_types", rows: nil, columns: width) : nil
        output =
            finder.has("output.weight")
            ? try finder.matrix("output", rows: tokenEmbd.rows, columns: width) : tokenEmbd
        let pairs = [config.ropeDimensionCount / 2]
        ropeFreqs = try finder.vectorIfAny("rope_freqs.weight", counts: pairs)
        ropeFactorsLong = try finder.vectorIfAny("rope_factors_long.weight", counts: pairs)
        ropeFactorsShort = try finder.vectorIfAny("rope_factors_short.weight", counts: pairs)
        var layers: [LayerWeights] = []
        for index in 0..<config.blockCount { layers.append(try finder.layer(index, config)) }
        self.layers = layers
        bytesPerToken = output.byteCount + layers.reduce(0) { $0 + $1.bytesPerToken(config) }
        try finder.refuseUnused()
    }
}

extension TensorFinder {
    fileprivate mutating func layer(_ index: Int, _ config: ModelConfig) throws(ModelError) -> LayerWeights {
        let name = "blk.\(index)."
        let width = config.embeddingLength
        let layer = config.layers[index]
        let mixer: Mixer
        if layer.isConvolution {
            mixer = .convolution(try convolution(name, config))
        } else if let latent = config.latent {
            mixer = .latent(try self.latent(name, latent, config))
        } else {
            mixer = .attention(try attention(name, config))
        }
        // Frequencies that early converters wrote; they are computed.
        skip(name + "attn_rot_embd")
        // BERT's norms stand behind sums and have names of their own.
        let (afterAttention, afterFfw) =
            config.plan.normsSums ? ("attn_output_norm", "layer_output_norm") : ("post_attention_norm", "post_ffw_norm")
        let hasOwnNorm = !config.plan.isParallel || has(name + "ffn_norm.weight")
        return LayerWeights(
            config: layer, attnNorm: try normIfAny(name + "attn_norm", width), mixer: mixer,
            postAttentionNorm: try normIfAny(name + afterAttention, width),
            ffnNorm: hasOwnNorm ? try normIfAny(name + "ffn_norm", width) : nil,
            feedForward: layer.hasExperts
                ? nil : try feedForward(name, "", config.feedForwardLength, width),
            experts: layer.hasExperts ? try experts(name, config) : nil,
            postFfwNorm: try normIfAny(name + afterFfw, width))
    }

    private mutating func attention(_ name: String, _ config: ModelConfig) throws(ModelError) -> AttentionWeights {
        let width = config.embeddingLength
        let queries = config.headCount * config.headLength
        let keys = config.headCountKV * config.headLength
        let values = config.headCountKV * config.valueLength
        let (q, k, v): (Matrix, Matrix, Matrix)
        if has(name + "attn_qkv.weight") {
            let fused = try matrix(name + "attn_qkv", rows: queries + keys + values, columns: width)
            q = fused.part(0, queries)
            k = fused.part(queries, keys)
            v = fused.part(queries + keys, values)
        } else {
            q = try matrix(name + "attn_q", rows: queries, columns: width)
            k = try matrix(name + "attn_k", rows: keys, columns: width)
            v = try matrix(name + "attn_v", rows: values, columns: width)
        }
        return AttentionWeights(
            attnQ: q, attnK: k, attnV: v,
            attnOutput: try matrix(name + "attn_output", rows: width, columns: config.valueWidth),
            attnQNorm: try vectorIfAny(name + "attn_q_norm.weight", counts: [config.headLength, queries]),
            attnKNorm: try vectorIfAny(name + "attn_k_norm.weight", counts: [config.headLength, keys]))
    }

    private mutating func latent(
        _ name: String, _ latent: LatentConfig, _ config: ModelConfig
    ) throws(ModelError) -> LatentWeights {
        let width = config.embeddingLength
        let heads = config.headCount
        let isNarrow = latent.queryRank > 0
        return LatentWeights(
            attnQA: isNarrow ? try matrix(name + "attn_q_a", rows: latent.queryRank, columns: width) : nil,
            attnQANorm: isNarrow ? try vector(name + "attn_q_a_norm.weight", count: latent.queryRank) : nil,
            attnQB: try matrix(
                name + (isNarrow ? "attn_q_b" : "attn_q"), rows: heads * latent.keyLength,
                columns: isNarrow ? latent.queryRank : width),
            attnKVA: try matrix(name + "attn_kv_a_mqa", rows: latent.rank + latent.ropeLength, columns: width),
            attnKVANorm: try vector(name + "attn_kv_a_norm.weight", count: latent.rank),
            attnKB: try matrix(name + "attn_k_b", rows: latent.rank, columns: latent.plainLength, stacked: heads),
            attnVB: try matrix(name + "attn_v_b", rows: latent.valueLength, columns: latent.rank, stacked: heads),
            attnOutput: try matrix(name + "attn_output", rows: width, columns: heads * latent.valueLength))
    }

    private mutating func convolution(_ name: String, _ config: ModelConfig) throws(ModelError) -> ConvolutionWeights {
        let width = config.embeddingLength
        return ConvolutionWeights(
            inProj: try matrix(name + "shortconv.in_proj", rows: 3 * width, columns: width),
            conv: try vector(name + "shortconv.conv.weight", count: config.convolutionLength * width),
            outProj: try matrix(name + "shortconv.out_proj", rows: width, columns: width))
    }

    /// - Parameter suffix: "_shexp" for experts every token goes through.
    private mutating func feedForward(
        _ name: String, _ suffix: String, _ length: Int, _ width: Int
    ) throws(ModelError) -> FeedForwardWeights {
        let down = try matrix("\(name)ffn_down\(suffix)", rows: width, columns: length)
        if has("\(name)ffn_gate\(suffix).weight") {
            return FeedForwardWeights(
                ffnGate: try matrix("\(name)ffn_gate\(suffix)", rows: length, columns: width),
                ffnUp: try matrix("\(name)ffn_up\(suffix)", rows: length, columns: width), ffnDown: down)
        }
        let up = try matrix("\(name)ffn_up\(suffix)", rows: nil, columns: width)
        // Phi 3 has gate and up in one.
        if up.rows == 2 * length {
            return FeedForwardWeights(ffnGate: up.part(0, length), ffnUp: up.part(length, length), ffnDown: down)
        }
        guard up.rows == length else {
            throw ModelError(
                file, "tensor \(name)ffn_up\(suffix).weight has \(up.rows) rows instead of \(length)",
                "Fetch the file again.")
        }
        return FeedForwardWeights(ffnGate: nil, ffnUp: up, ffnDown: down)
    }

    private mutating func experts(
        _ name: String, _ config: ModelConfig
    ) throws(ModelError) -> ExpertWeights? {
        guard let experts = config.experts else { return nil }
        let (width, length, count) = (config.embeddingLength, experts.feedForwardLength, experts.count)
        guard count > 1, !has(name + "post_ffw_norm.weight") else {
            throw ModelError(file, "experts with a norm behind them are not supported", "Choose another model.")
        }
        let router = try matrix(name + "ffn_gate_inp", rows: count, columns: width)
        return ExpertWeights(
            ffnGateInp: router,
            expProbsB: try vectorIfAny(name + "exp_probs_b.bias", counts: [count]),
            ffnGateExps: try matrix(name + "ffn_gate_exps", rows: length, columns: width, stacked: count),
            ffnUpExps: try matrix(name + "ffn_up_exps", rows: length, columns: width, stacked: count),
            ffnDownExps: try matrix(name + "ffn_down_exps", rows: width, columns: length, stacked: count),
            shared: has(name + "ffn_up_shexp.weight")
                ? try feedForward(name, "_shexp", length * max(1, experts.sharedCount), width) : nil)
    }
}

extension LayerWeights {
    /// Bytes a decoded token reads of this layer, by kind of step.
    func bytes(_ config: ModelConfig) -> (project: Int, output: Int, gate: Int, down: Int) {
        let (project, output): (Int, Int) =
            switch mixer {
            case .attention(let w): (w.attnQ.byteCount + w.attnK.byteCount + w.attnV.byteCount, w.attnOutput.byteCount)
            case .latent(let w):
                (
                    (w.attnQA?.byteCount ?? 0) + w.attnQB.byteCount + w.attnKVA.byteCount + w.attnKB.byteCount
                        + w.attnVB.byteCount, w.attnOutput.byteCount
                )
            case .convolution(let w): (w.inProj.byteCount, w.outProj.byteCount)
            }
        var gate = (feedForward?.ffnGate?.byteCount ?? 0) + (feedForward?.ffnUp.byteCount ?? 0)
        var down = feedForward?.ffnDown.byteCount ?? 0
        if let experts, let shape = config.experts {
            let shared = experts.shared
            gate += (experts.ffnGateExps.byteCount + experts.ffnUpExps.byteCount) / shape.count * shape.usedCount
            gate += experts.ffnGateInp.byteCount + (shared?.ffnGate?.byteCount ?? 0) + (shared?.ffnUp.byteCount ?? 0)
            down += experts.ffnDownExps.byteCount / shape.count * shape.usedCount + (shared?.ffnDown.byteCount ?? 0)
        }
        return (project, output, gate, down)
    }

    fileprivate func bytesPerToken(_ config: ModelConfig) -> Int {
        let bytes = bytes(config)
        return bytes.project + bytes.output + bytes.gate + bytes.down
    }
}
