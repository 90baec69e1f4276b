import GGUF

/// What an architecture of GGUF takes from a Hugging Face checkpoint: data, a few lines for each.
///
/// Tensors are named without `.weight` and `.bias`; `#` stands for the layer, `*` for the expert.
struct Architecture: Sendable {
    /// GGUF's name, which also begins the keys.
    let name: String
    /// What config.json calls it in `architectures`.
    let models: [String]
    let tensors: [TensorRule]
    /// Keys besides the common ones, or in their place.
    var keys: [KeyRule] = []
    /// Values config.json may leave out, because the model's code has them.
    var defaults: [String: Double] = [:]
    /// Norms are stored less 1.
    var addsOneToNorms = false
    /// Tensors that are left out: the model does not need them to run.
    var ignored: [String] = []
    /// Matrices that stay at 8 bits in the 4-bit types, because 4 bits there cost more than anywhere else.
    var eightBits: Set<String> = []
    /// Which encoder a byte-level vocabulary has where its expressions do not tell.
    var preTokenizer: String?
    /// Whether token lists are SentencePiece's and begin without a space.
    var addsSpacePrefix: Bool?
}

/// A key below the architecture's name and where its value comes from; nil leaves the key out.
struct KeyRule: Sendable {
    let key: String
    let value: @Sendable (HFConfig) -> GGUFValue?

    init(_ key: String, _ value: @escaping @Sendable (HFConfig) -> GGUFValue?) {
        (self.key, self.value) = (key, value)
    }

    static func integer(_ key: String, _ value: @escaping @Sendable (HFConfig) -> Int?) -> KeyRule {
        KeyRule(key) { value($0).flatMap { UInt32(exactly: $0) }.map { .uint32($0) } }
    }

    static func float(_ key: String, _ value: @escaping @Sendable (HFConfig) -> Double?) -> KeyRule {
        KeyRule(key) { value($0).map { .float32(Float($0)) } }
    }
}

/// A tensor of GGUF and the tensors of a checkpoint it may be made of, the first that exists.
struct TensorRule: Sendable {
    enum Shape: Sendable {
        case plain
        /// Heads whose rotated pairs are to be neighbours; queries or keys.
        case heads(isKey: Bool)
        /// One for each expert, to be stacked.
        case experts
        /// The first or second half of the rows of each expert, already stacked.
        case half(Int)
        /// Keys or values of latent attention, `(heads, key + value, rank)`; keys are transposed.
        case latent(isKey: Bool)
        /// A length of 1 in the middle is dropped.
        case squeezed
    }

    let name: String
    let sources: [(pattern: String, shape: Shape)]

    init(_ name: String, _ patterns: String..., shape: Shape = .plain) {
        self.name = name
        sources = patterns.map { ($0, shape) }
    }

    init(_ name: String, from sources: [(String, Shape)]) {
        self.name = name
        self.sources = sources.map { (pattern: $0.0, shape: $0.1) }
    }
}

extension Architecture {
    /// The architecture of a model, or nil when it is not one of those below.
    static func of(_ model: String) -> Architecture? { all.first { $0.models.contains(model) } }

    /// Keys that most models have.
    static let commonKeys: [KeyRule] =
        [
            .integer("block_count") { $0.blocks },
            .integer("context_length") { $0.integer("max_position_embeddings", "n_positions", "n_ctx") },
            .integer("embedding_length") { $0.width },
            .integer("feed_forward_length") { $0.integer("intermediate_size", "n_inner") },
            .integer("attention.head_count") { $0.heads },
            .integer("attention.head_count_kv") { $0.integer("num_key_value_heads") ?? $0.heads },
            .float("rope.freq_base") { $0.ropeTheta },
            .float("attention.layer_norm_rms_epsilon") { $0.double("rms_norm_eps", "norm_eps") },
            .float("attention.layer_norm_epsilon") {
                $0.double("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
            },
            .integer("expert_count") { $0.experts > 0 ? $0.experts : nil },
            .integer("expert_used_count") { $0.integer("num_experts_per_tok") },
            .integer("attention.key_length") { $0.integer("head_dim") },
            .integer("attention.value_length") { $0.integer("head_dim") },
            .integer("vocab_size") { $0.integer("vocab_size") },
        ] + ropeScaling

    /// Scaling of positions; llama3's goes into a tensor, phi3's factors too.
    private static let ropeScaling: [KeyRule] = [
        KeyRule("rope.scaling.type") { config in
            switch config.ropeType {
            case "linear": .string("linear")
            case "yarn": .string("yarn")
            case "longrope", "su": .string("longrope")
            default: nil
            }
        },
        .float("rope.scaling.factor") {
            ["linear", "yarn"].contains($0.ropeType) ? $0.rope?["factor"]?.double : nil
        },
        .integer("rope.scaling.original_context_length") {
            $0.ropeType == "yarn" ? $0.rope?["original_max_position_embeddings"]?.integer : nil
        },
        .float("rope.scaling.yarn_ext_factor") { $0.yarn("extrapolation_factor") },
        .float("rope.scaling.yarn_attn_factor") { $0.yarn("attention_factor") ?? $0.yarn("attn_factor") },
        .float("rope.scaling.yarn_beta_fast") { $0.yarn("beta_fast") },
        .float("rope.scaling.yarn_beta_slow") { $0.yarn("beta_slow") },
    ]

    /// Outside the layers.
    static let decoder = [
        TensorRule("token_embd", "model.embed_tokens"), TensorRule("output_norm", "model.norm"),
        TensorRule("output", "lm_head"),
    ]

    /// Attention with its norm; rotated pairs as neighbours or not.
    static func attention(neighbours: Bool = false) -> [TensorRule] {
        let layer = "model.layers.#."
        return [
            TensorRule("blk.#.attn_norm", layer + "input_layernorm"),
            TensorRule("blk.#.attn_q", layer + "self_attn.q_proj", shape: neighbours ? .heads(isKey: false) : .plain),
            TensorRule("blk.#.attn_k", layer + "self_attn.k_proj", shape: neighbours ? .heads(isKey: true) : .plain),
            TensorRule("blk.#.attn_v", layer + "self_attn.v_proj"),
            TensorRule("blk.#.attn_output", layer + "self_attn.o_proj", layer + "self_attn.dense"),
            TensorRule("blk.#.attn_q_norm", layer + "self_attn.q_norm"),
            TensorRule("blk.#.attn_k_norm", layer + "self_attn.k_norm"),
        ]
    }

    /// The gated feed-forward, without its norm.
    static let gated = [
        TensorRule("blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"),
        TensorRule("blk.#.ffn_up", "model.layers.#.mlp.up_proj"),
        TensorRule("blk.#.ffn_down", "model.layers.#.mlp.down_proj"),
    ]

    static let ffnNorm = [TensorRule("blk.#.ffn_norm", "model.layers.#.post_attention_layernorm")]

    /// Norms before and behind both halves of a layer, as Gemma 2 and 3 have them.
    static let sandwichNorms = [
        TensorRule("blk.#.post_attention_norm", "model.layers.#.post_attention_layernorm"),
        TensorRule("blk.#.ffn_norm", "model.layers.#.pre_feedforward_layernorm"),
        TensorRule("blk.#.post_ffw_norm", "model.layers.#.post_feedforward_layernorm"),
    ]

    /// Experts, saved one by one or stacked, with the tensor that chooses among them.
    static func experts(
        in module: String, router: String, gate: String = "gate_proj", up: String = "up_proj",
        down: String = "down_proj"
    ) -> [TensorRule] {
        let experts = "model.layers.#.\(module).experts."
        let stacked = "model.layers.#.mlp.experts."
        func one(_ name: String) -> (String, TensorRule.Shape) { (experts + "*." + name, .experts) }
        return [
            TensorRule(
                "blk.#.ffn_gate_inp", from: [("model.layers.#." + router, .plain), ("model.layers.#.mlp.gate", .plain)]),
            TensorRule("blk.#.ffn_gate_exps", from: [one(gate), (stacked + "gate_up_proj", .half(0))]),
            TensorRule("blk.#.ffn_up_exps", from: [one(up), (stacked + "gate_up_proj", .half(1))]),
            TensorRule("blk.#.ffn_down_exps", from: [one(down), (stacked + "down_proj", .plain)]),
        ]
    }
}

extension HFConfig {
    /// The kind of position scaling; both names of the key are in use.
    var ropeType: String { rope?["rope_type"]?.string ?? rope?["type"]?.string ?? "default" }

    func yarn(_ key: String) -> Double? { ropeType == "yarn" ? rope?[key]?.double : nil }
}
