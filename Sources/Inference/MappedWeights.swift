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
    /// Matrices that adapters may act on, by name, in the order they are computed; and which input each reads.
    let slots: [String: Int]
    let slotInputs: [Int]

    /// Bytes one decoded token reads: every layer and the head once, of experts those it goes through.
    let bytesPerToken: Int

    /// Whether a batch needs wide panels: not for a router, which reads one token at a time.
    var readsWords: Bool { layers.contains { $0.forms.contains(.words) } }

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
        let pairs = [config.ropeDimensionCount / 2]
        ropeFreqs = try finder.vectorIfAny("rope_freqs.weight", counts: pairs)
        ropeFactorsLong = try finder.vectorIfAny("rope_factors_long.weight", counts: pairs)
        ropeFactorsShort = try finder.vectorIfAny("rope_factors_short.weight", counts: pairs)
        var layers: [LayerWeights] = []
        for index in 0..<config.blockCount { layers.append(try finder.layer(index, config)) }
        self.layers = layers
        let head = config.blockCount * AdaptedInput.perLayer
        output =
            finder.has("output.weight")
            ? try finder.matrix("output", rows: tokenEmbd.rows, columns: width, input: head) : tokenEmbd
        slots = finder.slots
        slotInputs = finder.slotInputs
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
            mixer = .convolution(try convolution(name, config, index))
        } else if let latent = config.latent {
            mixer = .latent(try self.latent(name, latent, config, index))
        } else {
            mixer = .attention(try attention(name, config, index))
        }
        // Frequencies that early converters wrote; they are computed.
        skip(name + "attn_rot_embd")
        // BERT's norms stand behind sums and have names of their own.
        let (afterAttention, afterFfw) =
            config.plan.normsSums ? ("attn_output_norm", "layer_output_norm") : ("post_attention_norm", "post_ffw_norm")
        return LayerWeights(
            config: layer, attnNorm: try normIfAny(name + "attn_norm", width), mixer: mixer,
            postAttentionNorm: try normIfAny(name + afterAttention, width),
            ffnNorm: config.plan.isParallel ? nil : try normIfAny(name + "ffn_norm", width),
            feedForward: layer.hasExperts
                ? nil : try feedForward(name, "", config.feedForwardLength, width, index),
            experts: layer.hasExperts ? try experts(name, config) : nil,
            postFfwNorm: try normIfAny(name + afterFfw, width))
    }

    /// The number of one of a layer's inputs.
    private func input(_ input: AdaptedInput, _ layer: Int) -> Int { layer * AdaptedInput.perLayer + input.rawValue }

    private mutating func attention(
        _ name: String, _ config: ModelConfig, _ layer: Int
    ) throws(ModelError) -> AttentionWeights {
        let mixer = input(.mixer, layer)
        let width = config.embeddingLength
        let queries = config.headCount * config.headLength
        let keys = config.headCountKV * config.headLength
        let values = config.headCountKV * config.valueLength
        let (q, k, v): (Matrix, Matrix, Matrix)
        if has(name + "attn_qkv.weight") {
            let fused = try matrix(name + "attn_qkv", rows: queries + keys + values, columns: width, input: mixer)
            q = fused.part(0, queries)
            k = fused.part(queries, keys)
            v = fused.part(queries + keys, values)
        } else {
            q = try matrix(name + "attn_q", rows: queries, columns: width, input: mixer)
            k = try matrix(name + "attn_k", rows: keys, columns: width, input: mixer)
            v = try matrix(name + "attn_v", rows: values, columns: width, input: mixer)
        }
        let qNorm = try vectorIfAny(name + "attn_q_norm.weight", counts: [config.headLength, queries])
        let kNorm = try vectorIfAny(name + "attn_k_norm.weight", counts: [config.headLength, keys])
        let areWide = (qNorm.map { $0.count == queries }, kNorm.map { $0.count == keys })
        guard config.headLength == queries || config.headLength == keys || areWide.0 == areWide.1 else {
            throw ModelError(
                file, "only one norm of \(name)attn_q and attn_k reaches over all heads", "Fetch the file again.")
        }
        return AttentionWeights(
            attnQ: q, attnK: k, attnV: v,
            attnOutput: try matrix(
                name + "attn_output", rows: width, columns: config.valueWidth, input: input(.mixerOutput, layer)),
            attnQNorm: qNorm, attnKNorm: kNorm)
    }

    private mutating func latent(
        _ name: String, _ latent: LatentConfig, _ config: ModelConfig, _ layer: Int
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
            attnOutput: try matrix(
                name + "attn_output", rows: width, columns: heads * latent.valueLength,
                input: input(.mixerOutput, layer)))
    }

    private mutating func convolution(
        _ name: String, _ config: ModelConfig, _ layer: Int
    ) throws(ModelError) -> ConvolutionWeights {
        let width = config.embeddingLength
        return ConvolutionWeights(
            inProj: try matrix(
                name + "shortconv.in_proj", rows: 3 * width, columns: width, input: input(.mixer, layer)),
            conv: try vector(name + "shortconv.conv.weight", count: config.convolutionLength * width),
            outProj: try matrix(
                name + "shortconv.out_proj", rows: width, columns: width, input: input(.mixerOutput, layer)))
    }

    /// - Parameters:
    ///   - suffix: "_shexp" for experts every token goes through.
    ///   - layer: nil where adapters cannot act.
    private mutating func feedForward(
        _ name: String, _ suffix: String, _ length: Int, _ width: Int, _ layer: Int?
    ) throws(ModelError) -> FeedForwardWeights {
        func find(_ part: String, _ rows: Int?, _ columns: Int, _ reads: AdaptedInput) throws(ModelError) -> Matrix {
            let name = "\(name)ffn_\(part)\(suffix)"
            guard let layer else { return try matrix(name, rows: rows, columns: columns) }
            return try matrix(name, rows: rows, columns: columns, input: input(reads, layer))
        }
        let gate =
            has("\(name)ffn_gate\(suffix).weight") ? try find("gate", length, width, .feedForward) : nil
        let up = try find("up", gate == nil ? nil : length, width, .feedForward)
        let down = try find("down", width, length, .feedForwardDown)
        // Phi 3 has gate and up in one.
        if gate == nil, up.rows == 2 * length {
            return FeedForwardWeights(ffnGate: up.part(0, length), ffnUp: up.part(length, length), ffnDown: down)
        }
        guard up.rows == length else {
            throw ModelError(
                file, "tensor \(name)ffn_up\(suffix).weight has \(up.rows) rows instead of \(length)",
                "Fetch the file again.")
        }
        return FeedForwardWeights(ffnGate: gate, ffnUp: up, ffnDown: down)
    }

    private mutating func experts(
        _ name: String, _ config: ModelConfig
    ) throws(ModelError) -> ExpertWeights? {
        guard let experts = config.experts else { return nil }
        let (width, length, count) = (config.embeddingLength, experts.feedForwardLength, experts.count)
        guard count > 1, !has(name + "post_ffw_norm.weight") else {
            throw ModelError(file, "experts with a norm behind them are not supported", "Choose another model.")
        }
        guard (experts.sharedCount > 0) == has(name + "ffn_up_shexp.weight") else {
            throw ModelError(
                file, "expert_shared_count is \(experts.sharedCount), which is not what \(name)ffn_up_shexp says",
                "Fetch the file again.")
        }
        let router = try matrix(name + "ffn_gate_inp", rows: count, columns: width)
        return ExpertWeights(
            ffnGateInp: router,
            expProbsB: try vectorIfAny(name + "exp_probs_b.bias", counts: [count]),
            ffnGateExps: try matrix(name + "ffn_gate_exps", rows: length, columns: width, stacked: count),
            ffnUpExps: try matrix(name + "ffn_up_exps", rows: length, columns: width, stacked: count),
            ffnDownExps: try matrix(name + "ffn_down_exps", rows: width, columns: length, stacked: count),
            shared: has(name + "ffn_up_shexp.weight")
                ? try feedForward(name, "_shexp", length * max(1, experts.sharedCount), width, nil) : nil)
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
