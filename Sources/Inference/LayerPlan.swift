/// What differs between architectures and stands in no file, as data: one forward pass reads it.
///
/// Biases, norms of queries and keys, norms behind a block, fused matrices, experts and tied heads are not here: the
/// tensors of a file tell them, and a tensor that nothing reads is refused.
public struct LayerPlan: Sendable, Equatable {
    /// Which elements of a head are rotated together.
    public enum RopeStyle: Sendable {
        /// Neighbours (2i, 2i + 1): what llama's converter permutes its weights for.
        case neighbours
        /// Halves (i, i + n/2).
        case halves
        /// None: positions are embedded.
        case none
    }

    public enum Norm: Sendable {
        /// x / rms(x)
        case rms
        /// (x − mean) / deviation, with a bias.
        case layer
    }

    /// The non-linearity of the feed-forward block.
    public enum Activation: Sendable {
        case silu
        /// With the hyperbolic tangent, as nearly all that say "gelu" mean.
        case gelu
        /// With the error function.
        case geluErf
    }

    public var ropeStyle: RopeStyle = .halves
    public var norm: Norm = .rms
    public var activation: Activation = .silu
    /// Attention and feed-forward read the same norm and are added together.
    public var isParallel = false
    /// Norms stand behind the sum of a block and what it read, not before the block (BERT).
    public var normsSums = false
    /// Tokens see only those before them.
    public var isCausal = true
    /// Embeddings are multiplied by the root of their width.
    public var scalesEmbeddings = false
    /// Among so many layers the last sees all positions, the others `slidingWindow`; 1: all see the window.
    public var windowPeriod = 1
    /// What stands in for an absent `attention.sliding_window`.
    public var defaultWindow = 0
    /// Stands in for an absent `rope.freq_base_swa`, the base of the layers with a window; 0: that of the others.
    public var defaultWindowBase: Float = 0
    /// Among so many layers the last is not rotated; 0: all are.
    public var ropelessPeriod = 0
    /// What stands in for an absent `attn_logit_softcapping` and `final_logit_softcapping`; 0: none.
    public var defaultSoftCaps: (attention: Float, final: Float) { hasSoftCaps ? (50, 30) : (0, 0) }
    public var hasSoftCaps = false
    /// Number of layers of the one size whose queries are scaled by embedding length / heads, not by head length.
    public var blocksScaledByWidth = 0
    /// Shares of the chosen experts add up to one where `expert_weights_norm` is absent.
    public var normalizesExperts = true
    /// The name of the norm behind the last layer.
    public var outputNorm = "output_norm"

    /// The architectures that load, by `general.architecture`.
    public static let known: [String: LayerPlan] = [
        "llama": LayerPlan(ropeStyle: .neighbours),
        "qwen2": LayerPlan(),
        "qwen3": LayerPlan(),
        "qwen3moe": LayerPlan(),
        "phi2": LayerPlan(norm: .layer, activation: .gelu, isParallel: true),
        "phi3": LayerPlan(),
        "gemma": LayerPlan(activation: .gelu, scalesEmbeddings: true),
        "gemma2": LayerPlan(
            activation: .gelu, scalesEmbeddings: true, windowPeriod: 2, defaultWindow: 4096, hasSoftCaps: true,
            blocksScaledByWidth: 46),
        "gemma3": LayerPlan(
            activation: .gelu, scalesEmbeddings: true, windowPeriod: 6, defaultWindow: 1024, defaultWindowBase: 10000,
            blocksScaledByWidth: 62),
        "granite": LayerPlan(ropeStyle: .neighbours),
        "granitemoe": LayerPlan(ropeStyle: .neighbours),
        "starcoder2": LayerPlan(norm: .layer, activation: .gelu),
        "smollm3": LayerPlan(ropeStyle: .neighbours, ropelessPeriod: 4),
        "olmo2": LayerPlan(),
        "olmoe": LayerPlan(normalizesExperts: false),
        "lfm2": LayerPlan(outputNorm: "token_embd_norm"),
        "deepseek2": LayerPlan(ropeStyle: .neighbours, normalizesExperts: false),
        "bert": LayerPlan(ropeStyle: .none, norm: .layer, activation: .geluErf, normsSums: true, isCausal: false),
    ]
}
