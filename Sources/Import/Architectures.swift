import GGUF
import Glibc

// The table of architectures. Facts from the models' published code and from files of llama.cpp's converter.

extension Architecture {
    static let all: [Architecture] = [
        llama, smollm3, granite, granitemoe, qwen2, qwen3, qwen3moe, gemma, gemma2, gemma3, phi2, phi3, starcoder2,
        olmo2, lfm2, deepseek2, bert,
    ]

    /// What llama and its children add to the common keys.
    private static let llamaKeys: [KeyRule] = [
        .integer("rope.dimension_count") { $0.headLength },
        // llama.cpp reads Mistral's window from no file; without it long inputs are computed differently.
        .integer("attention.sliding_window") {
            $0.model?.hasPrefix("Mistral") == true ? $0.integer("sliding_window") : nil
        },
    ]

    /// Llama 2 and 3, TinyLlama, SmolLM2, Mistral, Nemo, Mixtral.
    static let llama = Architecture(
        name: "llama",
        models: ["LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "LlamaModel"],
        tensors: decoder + attention(neighbours: true) + ffnNorm + gated
            + experts(in: "block_sparse_moe", router: "block_sparse_moe.gate", gate: "w1", up: "w3", down: "w2"),
        keys: llamaKeys, ignored: ["model.layers.#.self_attn.rotary_emb.inv_freq"])

    static let smollm3 = Architecture(
        name: "smollm3", models: ["SmolLM3ForCausalLM"],
        tensors: decoder + attention(neighbours: true) + ffnNorm + gated,
        keys: [.integer("rope.dimension_count") { $0.headLength }])

    private static let graniteKeys: [KeyRule] = [
        // Its head length always follows from the width, whatever config.json says.
        KeyRule("attention.key_length") { _ in nil }, KeyRule("attention.value_length") { _ in nil },
        .integer("rope.dimension_count") { $0.width / $0.heads },
        .float("attention.scale") { $0.double("attention_multiplier") },
        .float("embedding_scale") { $0.double("embedding_multiplier") },
        .float("residual_scale") { $0.double("residual_multiplier") },
        .float("logit_scale") { $0.double("logits_scaling") },
    ]

    static let granite = Architecture(
        name: "granite", models: ["GraniteForCausalLM"],
        tensors: decoder + attention(neighbours: true) + ffnNorm + gated, keys: graniteKeys, preTokenizer: "refact")

    static let granitemoe = Architecture(
        name: "granitemoe", models: ["GraniteMoeForCausalLM"],
        tensors: decoder + attention(neighbours: true) + ffnNorm + [
            TensorRule(
                "blk.#.ffn_gate_inp", "model.layers.#.block_sparse_moe.router.layer",
                "model.layers.#.block_sparse_moe.router"),
            TensorRule("blk.#.ffn_gate_exps", "model.layers.#.block_sparse_moe.input_linear", shape: .half(0)),
            TensorRule("blk.#.ffn_up_exps", "model.layers.#.block_sparse_moe.input_linear", shape: .half(1)),
            TensorRule("blk.#.ffn_down_exps", "model.layers.#.block_sparse_moe.output_linear"),
        ], keys: graniteKeys, preTokenizer: "refact")

    static let qwen2 = Architecture(
        name: "qwen2", models: ["Qwen2ForCausalLM", "Qwen2Model"],
        tensors: decoder + attention() + ffnNorm + gated)

    static let qwen3 = Architecture(
        name: "qwen3", models: ["Qwen3ForCausalLM", "Qwen3Model"],
        tensors: decoder + attention() + ffnNorm + gated, defaults: ["head_dim": 128])

    static let qwen3moe = Architecture(
        name: "qwen3moe", models: ["Qwen3MoeForCausalLM"],
        tensors: decoder + attention() + ffnNorm + gated + experts(in: "mlp", router: "mlp.gate"),
        keys: [.integer("expert_feed_forward_length") { $0.integer("moe_intermediate_size") }],
        defaults: ["head_dim": 128])

    static let gemma = Architecture(
        name: "gemma", models: ["GemmaForCausalLM"], tensors: decoder + attention() + ffnNorm + gated,
        defaults: ["head_dim": 256, "rms_norm_eps": 1e-6], addsOneToNorms: true, ignored: ["lm_head"],
        addsSpacePrefix: false)

    static let gemma2 = Architecture(
        name: "gemma2", models: ["Gemma2ForCausalLM"], tensors: decoder + attention() + sandwichNorms + gated,
        keys: [
            .float("attn_logit_softcapping") { $0.double("attn_logit_softcapping") },
            .float("final_logit_softcapping") { $0.double("final_logit_softcapping") },
            .integer("attention.sliding_window") { $0.integer("sliding_window") }, gemmaScale,
        ],
        defaults: ["head_dim": 256, "rms_norm_eps": 1e-6, "sliding_window": 4096], addsOneToNorms: true,
        ignored: ["lm_head"], addsSpacePrefix: false)

    static let gemma3 = Architecture(
        name: "gemma3", models: ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
        tensors: decoder + attention() + sandwichNorms + gated,
        keys: [
            .float("rope.freq_base_swa") { $0.ropeThetaOfWindows },
            .float("final_logit_softcapping") { $0.double("final_logit_softcapping") },
            .integer("attention.sliding_window") { $0.integer("sliding_window") }, gemmaScale,
        ],
        defaults: [
            "head_dim": 256, "rms_norm_eps": 1e-6, "sliding_window": 4096, "num_attention_heads": 8,
            "num_key_value_heads": 4, "max_position_embeddings": 131_072, "rope_theta": 1e6,
            "rope_local_base_freq": 10_000,
        ],
        addsOneToNorms: true, ignored: ["lm_head"], addsSpacePrefix: false)

    /// Where queries are not scaled by their length.
    private static let gemmaScale = KeyRule.float("attention.scale") { config in
        config.double("query_pre_attn_scalar").flatMap {
            $0 > 0 && $0 != Double(config.headLength) ? 1 / $0.squareRoot() : nil
        }
    }

    static let phi2 = Architecture(
        name: "phi2", models: ["PhiForCausalLM"],
        tensors: [
            TensorRule("token_embd", "model.embed_tokens"), TensorRule("output_norm", "model.final_layernorm"),
            TensorRule("output", "lm_head"), TensorRule("blk.#.ffn_up", "model.layers.#.mlp.fc1"),
            TensorRule("blk.#.ffn_down", "model.layers.#.mlp.fc2"),
        ] + attention(),
        keys: [.integer("rope.dimension_count") { $0.rotatedLength(share: 0.5) }],
        preTokenizer: "phi-2")

    static let phi3 = Architecture(
        name: "phi3", models: ["Phi3ForCausalLM"],
        tensors: decoder + attention() + ffnNorm + [
            TensorRule("blk.#.attn_qkv", "model.layers.#.self_attn.qkv_proj"),
            TensorRule("blk.#.ffn_up", "model.layers.#.mlp.gate_up_proj"),
            TensorRule("blk.#.ffn_down", "model.layers.#.mlp.down_proj"),
        ],
        keys: [
            .integer("rope.scaling.original_context_length") { $0.originalContext },
            .integer("rope.dimension_count") { $0.rotatedLength(share: 1) },
            .float("rope.scaling.attn_factor") { $0.longAttentionFactor },
            // 0 tells Phi-4 from the others.
            .integer("attention.sliding_window") { $0.integer("sliding_window") ?? 0 },
        ])

    static let starcoder2 = Architecture(
        name: "starcoder2", models: ["Starcoder2ForCausalLM"],
        tensors: decoder + attention() + ffnNorm + [
            TensorRule("blk.#.ffn_up", "model.layers.#.mlp.c_fc"),
            TensorRule("blk.#.ffn_down", "model.layers.#.mlp.c_proj"),
        ], preTokenizer: "starcoder")

    static let olmo2 = Architecture(
        name: "olmo2", models: ["Olmo2ForCausalLM"],
        tensors: decoder + attention() + gated + [
            TensorRule("blk.#.post_attention_norm", "model.layers.#.post_attention_layernorm"),
            TensorRule("blk.#.post_ffw_norm", "model.layers.#.post_feedforward_layernorm"),
        ])

    static let lfm2 = Architecture(
        name: "lfm2", models: ["Lfm2ForCausalLM", "LFM2ForCausalLM"],
        tensors: [
            TensorRule("token_embd", "model.embed_tokens"), TensorRule("token_embd_norm", "model.embedding_norm"),
            TensorRule("output", "lm_head"),
            TensorRule("blk.#.attn_norm", "model.layers.#.operator_norm"),
            TensorRule("blk.#.attn_q", "model.layers.#.self_attn.q_proj"),
            TensorRule("blk.#.attn_k", "model.layers.#.self_attn.k_proj"),
            TensorRule("blk.#.attn_v", "model.layers.#.self_attn.v_proj"),
            TensorRule("blk.#.attn_output", "model.layers.#.self_attn.out_proj"),
            TensorRule("blk.#.attn_q_norm", "model.layers.#.self_attn.q_layernorm"),
            TensorRule("blk.#.attn_k_norm", "model.layers.#.self_attn.k_layernorm"),
            TensorRule("blk.#.shortconv.conv", "model.layers.#.conv.conv", shape: .squeezed),
            TensorRule("blk.#.shortconv.in_proj", "model.layers.#.conv.in_proj"),
            TensorRule("blk.#.shortconv.out_proj", "model.layers.#.conv.out_proj"),
            TensorRule("blk.#.ffn_norm", "model.layers.#.ffn_norm"),
            TensorRule("blk.#.ffn_gate", "model.layers.#.feed_forward.w1"),
            TensorRule("blk.#.ffn_up", "model.layers.#.feed_forward.w3"),
            TensorRule("blk.#.ffn_down", "model.layers.#.feed_forward.w2"),
        ],
        keys: [
            // 0 marks a layer of convolution.
            KeyRule("attention.head_count_kv") { config in
                config["layer_types"]?.array.map { types in
                    .int32s(types.map { $0.string == "conv" ? 0 : Int32(clamping: config.keyHeads) })
                }
            },
            .integer("feed_forward_length") { $0.adjustedFeedForward },
            .integer("shortconv.l_cache") { $0.integer("conv_L_cache") },
        ],
        defaults: ["norm_eps": 1e-5, "rope_theta": 1e6], preTokenizer: "lfm2")

    static let deepseek2 = Architecture(
        name: "deepseek2", models: ["DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"],
        tensors: decoder + attention() + ffnNorm + gated + experts(in: "mlp", router: "mlp.gate") + [
            TensorRule("blk.#.attn_q_a", "model.layers.#.self_attn.q_a_proj"),
            TensorRule("blk.#.attn_q_a_norm", "model.layers.#.self_attn.q_a_layernorm"),
            TensorRule("blk.#.attn_q_b", "model.layers.#.self_attn.q_b_proj"),
            TensorRule("blk.#.attn_kv_a_mqa", "model.layers.#.self_attn.kv_a_proj_with_mqa"),
            TensorRule("blk.#.attn_kv_a_norm", "model.layers.#.self_attn.kv_a_layernorm"),
            TensorRule("blk.#.attn_k_b", "model.layers.#.self_attn.kv_b_proj", shape: .latent(isKey: true)),
            TensorRule("blk.#.attn_v_b", "model.layers.#.self_attn.kv_b_proj", shape: .latent(isKey: false)),
            TensorRule("blk.#.ffn_gate_shexp", "model.layers.#.mlp.shared_experts.gate_proj"),
            TensorRule("blk.#.ffn_up_shexp", "model.layers.#.mlp.shared_experts.up_proj"),
            TensorRule("blk.#.ffn_down_shexp", "model.layers.#.mlp.shared_experts.down_proj"),
            TensorRule("blk.#.exp_probs_b", "model.layers.#.mlp.gate.e_score_correction"),
        ],
        keys: [
            // Latent attention is one key head, which all queries share.
            .integer("attention.head_count_kv") { _ in 1 },
            .integer("leading_dense_block_count") { $0.integer("first_k_dense_replace") ?? 0 },
            .integer("attention.q_lora_rank") { $0.integer("q_lora_rank") },
            .integer("attention.kv_lora_rank") { $0.integer("kv_lora_rank") },
            .integer("attention.key_length") { $0.sum("kv_lora_rank", "qk_rope_head_dim") },
            .integer("attention.value_length") { $0.integer("kv_lora_rank") },
            .integer("attention.key_length_mla") { $0.sum("qk_nope_head_dim", "qk_rope_head_dim") },
            .integer("attention.value_length_mla") { $0.integer("v_head_dim") },
            .integer("expert_feed_forward_length") { $0.integer("moe_intermediate_size") },
            .integer("expert_shared_count") { $0.integer("n_shared_experts") ?? 0 },
            .integer("expert_group_count") { $0.integer("n_group") },
            .integer("expert_group_used_count") { $0.integer("topk_group") },
            .float("expert_weights_scale") { $0.double("routed_scaling_factor") },
            KeyRule("expert_weights_norm") { $0.bool("norm_topk_prob") == true ? .bool(true) : nil },
            .integer("expert_gating_func") { config in
                switch config["scoring_func"]?.string {
                case "softmax": 1
                case "sigmoid": 2
                default: nil
                }
            },
            .integer("rope.dimension_count") { $0.integer("qk_rope_head_dim") },
            .float("rope.scaling.yarn_log_multiplier") { $0.yarn("mscale_all_dim").map { 0.1 * $0 } },
        ],
        defaults: ["rms_norm_eps": 1e-6, "rope_theta": 10_000])

    static let bert = Architecture(
        name: "bert", models: ["BertModel", "BertForMaskedLM"],
        tensors: [
            TensorRule("token_embd", "embeddings.word_embeddings"),
            TensorRule("position_embd", "embeddings.position_embeddings"),
            TensorRule("token_types", "embeddings.token_type_embeddings"),
            TensorRule("token_embd_norm", "embeddings.LayerNorm"),
            TensorRule("blk.#.attn_q", "encoder.layer.#.attention.self.query"),
            TensorRule("blk.#.attn_k", "encoder.layer.#.attention.self.key"),
            TensorRule("blk.#.attn_v", "encoder.layer.#.attention.self.value"),
            TensorRule("blk.#.attn_output", "encoder.layer.#.attention.output.dense"),
            TensorRule("blk.#.attn_output_norm", "encoder.layer.#.attention.output.LayerNorm"),
            TensorRule("blk.#.ffn_up", "encoder.layer.#.intermediate.dense"),
            TensorRule("blk.#.ffn_down", "encoder.layer.#.output.dense"),
            TensorRule("blk.#.layer_output_norm", "encoder.layer.#.output.LayerNorm"),
        ],
        keys: [
            KeyRule("attention.causal") { _ in .bool(false) }, KeyRule("attention.head_count_kv") { _ in nil },
            KeyRule("vocab_size") { _ in nil },
        ],
        defaults: ["layer_norm_eps": 1e-12], ignored: ["embeddings.position_ids", "pooler.dense", "cls."],
        // An encoder's vectors are compared, not sampled from. all-MiniLM-L6-v2, the lowest cosine to the reference:
        // 0.969 over 4 texts with all matrices at Q4_0; over 200 texts 0.986 with attn_v, attn_output and ffn_up at 8
        // bits and 0.995 with ffn_down too, for 8 % more bytes.
        eightBits: ["attn_v", "attn_output", "ffn_up", "ffn_down"])
}

extension HFConfig {
    func sum(_ left: String, _ right: String) -> Int? {
        guard let left = integer(left), let right = integer(right), left < 1 << 24, right < 1 << 24 else { return nil }
        return left + right
    }

    /// How much of a head is rotated; `share` where config.json does not say.
    func rotatedLength(share: Double) -> Int {
        Int(max(0, min(1, partialRotaryFactor ?? share)) * Double(width)) / heads
    }

    /// The context before it was stretched (Phi-3).
    var originalContext: Int? {
        integer("original_max_position_embeddings") ?? rope?["original_max_position_embeddings"]?.integer
            ?? integer("max_position_embeddings")
    }

    /// What the authors of long-rope multiply queries and keys with.
    var longAttentionFactor: Double? {
        guard ["longrope", "su"].contains(ropeType), let original = originalContext, original > 1,
            let context = integer("max_position_embeddings")
        else { return nil }
        let scale = Double(context) / Double(original)
        return scale > 1 ? (1 + log(scale) / log(Double(original))).squareRoot() : 1
    }

    /// The width of LFM2's feed-forward, which its config gives before adjustment.
    var adjustedFeedForward: Int? {
        guard let width = integer("block_ff_dim", "intermediate_size"), (0..<1 << 24).contains(width) else {
            return nil
        }
        guard bool("block_auto_adjust_ff_dim") == true else { return width }
        let scaled = Int(max(0, min(1e8, (double("block_ffn_dim_multiplier") ?? 1) * Double(2 * width / 3))))
        let multiple = max(1, min(1 << 20, integer("block_multiple_of") ?? 256))
        return (scaled + multiple - 1) / multiple * multiple
    }
}
