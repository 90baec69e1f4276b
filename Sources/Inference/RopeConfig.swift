import GGUF
import Glibc

/// How positions are stretched beyond what a model was trained for; names as in GGUF files.
public enum RopeScaling: String, Sendable, CaseIterable {
    /// Not at all: a longer context is refused.
    case none
    /// Positions are divided.
    case linear
    /// Low frequencies are divided, high ones kept, and scores sharpened: loses less.
    case yarn
}

/// A context to be reached by scaling positions. The factor is that context over the length the model was trained for.
public struct RopeStretch: Sendable, Equatable {
    public let kind: RopeScaling
    /// Tokens; without effect where the model was trained for as many.
    public let context: Int

    public init(_ kind: RopeScaling, context: Int) {
        self.kind = kind
        self.context = context
    }

    /// Why a context is refused where nothing is stretched: one sentence, then what to do.
    public static func refusal(of context: Int, _ config: ModelConfig) -> String {
        let most = config.contextLength
        let why = "a context of \(context) tokens is more than the \(most) that the model was trained for. "
        guard config.hasRotation else { return why + "Choose at most \(most)." }
        return why + "Choose at most \(most), or stretch its positions with --rope-scaling yarn or linear "
            + "(rope_scaling in a [[model]])."
    }
}

/// Rotary positions: which frequencies, and how they are stretched beyond the context of the first training.
public struct RopeConfig: Sendable, Equatable {
    public enum Scaling: Sendable, Equatable {
        case none
        /// Positions are divided.
        case linear(Float)
        /// Low frequencies are divided, high ones kept, with a ramp between.
        case yarn(factor: Float, fast: Float, slow: Float)

        /// What a state that was computed with it depends on.
        var fingerprint: String {
            switch self {
            case .none: "none"
            case .linear(let factor): "linear \(factor)"
            case .yarn(let factor, let fast, let slow): "yarn \(factor) \(fast) \(slow)"
            }
        }
    }

    /// The first elements of a head that are rotated.
    public let dimensionCount: Int
    /// Frequency bases: that of all layers, or that of layers that see everything and that of layers with a window.
    public let bases: [Float]
    public let scaling: Scaling
    /// Positions of the first training; longer contexts take the long factors, where a file has both kinds.
    public let originalContextLength: Int
    /// Cosines and sines are multiplied by it.
    public let magnitude: Float
    /// Scores are multiplied by it beside 1 / √length (DeepSeek with YaRN).
    let scoreFactor: Float

    static func bases(_ keys: MetadataReader, _ plan: LayerPlan) throws(ModelError) -> [Float] {
        let base = try keys.number("rope.freq_base", default: 10000)
        let fallback = plan.defaultWindowBase > 0 ? plan.defaultWindowBase : base
        let windowed = try keys.number("rope.freq_base_swa", default: fallback)
        return plan.windowPeriod > 1 && (windowed != base || plan.defaultWindowBase > 0) ? [base, windowed] : [base]
    }

    /// - Parameters:
    ///   - contextLength: what the model was trained for.
    ///   - stretch: beyond that; nil for as far as it was trained.
    init(
        _ keys: MetadataReader, _ plan: LayerPlan, headLength: Int, contextLength: Int, stretch: RopeStretch? = nil
    ) throws(ModelError) {
        dimensionCount = try keys.integer("rope.dimension_count", in: 2...1024, default: headLength)
        bases = try Self.bases(keys, plan)
        originalContextLength = try keys.integer(
            "rope.scaling.original_context_length", in: 1...16_777_216, default: contextLength)
        let (kind, factor) = try Self.scaling(keys, plan, contextLength: contextLength, stretch)
        let given = try keys.number("rope.scaling.attn_factor", default: 0)
        switch kind {
        case "none", "longrope":
            scaling = .none
            scoreFactor = 1
            let stretch = Float(contextLength) / Float(originalContextLength)
            let isLong = stretch > 1 && keys.file.tensor(named: "rope_factors_long.weight") != nil
            let computed = isLong ? (1 + logf(stretch) / logf(Float(originalContextLength))).squareRoot() : 1
            magnitude = given > 0 ? given : computed
        case "linear":
            scaling = .linear(factor)
            (magnitude, scoreFactor) = (1, 1)
        case "yarn":
            scaling = .yarn(
                factor: factor, fast: try keys.number("rope.scaling.yarn_beta_fast", default: 32),
                slow: try keys.number("rope.scaling.yarn_beta_slow", default: 1))
            // DeepSeek multiplies scores, by the square, instead of cosines and sines.
            let logarithm = keys.file.float("\(keys.architecture).rope.scaling.yarn_log_multiplier").map { Float($0) }
            if let logarithm, logarithm.isFinite, logarithm != 0 {
                let scale = 1 + logarithm * logf(factor)
                (magnitude, scoreFactor) = (1, scale * scale)
            } else {
                (magnitude, scoreFactor) = ((1 + 0.1 * logf(factor)) * (given > 0 ? given : 1), 1)
            }
        default:
            throw ModelError(keys.file, "rope scaling '\(kind)' is not supported", "Choose another model.")
        }
    }

    /// The kind and factor of the file, or those that reach further.
    private static func scaling(
        _ keys: MetadataReader, _ plan: LayerPlan, contextLength: Int, _ stretch: RopeStretch?
    ) throws(ModelError) -> (kind: String, factor: Float) {
        let factor = try keys.number("rope.scaling.factor", default: 1)
        let kind = keys.string("rope.scaling.type") ?? "none"
        guard let stretch, stretch.kind != .none, stretch.context > contextLength else { return (kind, factor) }
        let shorter = "se a context of at most \(contextLength)."
        guard plan.ropeStyle != .none else {
            throw ModelError(keys.file, "its positions are learned and cannot be scaled", "U" + shorter)
        }
        let hasFactors = keys.file.tensor(named: "rope_factors_long.weight") != nil
        let own = hasFactors ? "longrope" : kind
        // Two ways at once would be neither; what a file was trained with can be taken further.
        guard own == "none" || own == stretch.kind.rawValue else {
            let isKnown = RopeScaling(rawValue: own) != nil
            throw ModelError(
                keys.file,
                "its positions are scaled by '\(own)' and cannot be scaled by '\(stretch.kind.rawValue)' too",
                isKnown ? "Name '\(own)' to take that further, or u" + shorter : "U" + shorter)
        }
        let isScaled = own != "none"
        if isScaled, let first = keys.file.integer("\(keys.architecture).rope.scaling.original_context_length"),
            first > 0
        {
            // What the file reaches may be more than the length it gives.
            return (kind, max(factor, Float(stretch.context) / Float(first)))
        }
        return (stretch.kind.rawValue, (isScaled ? factor : 1) * Float(stretch.context) / Float(contextLength))
    }

    /// The frequency of each pair of elements, for rotation `index`.
    ///
    /// - Parameter factors: divide each frequency; nil for none.
    func frequencies(_ index: Int, factors: Vector?) -> [Float] {
        let half = dimensionCount / 2
        // Layers with a window see no far position: only the others are stretched.
        let scaling = index == 0 ? scaling : .none
        return (0..<half).map { i in
            let plain =
                powf(bases[index], -2 * Float(i) / Float(dimensionCount)) / (factors?.floats[i] ?? 1)
            switch scaling {
            case .none: return plain
            case .linear(let factor): return plain / factor
            case .yarn(let factor, let fast, let slow):
                let kept = ramp(Float(i), bases[index], fast: fast, slow: slow)
                return plain / factor * (1 - kept) + plain * kept
            }
        }
    }

    /// How much of a pair's own frequency YaRN keeps: 1 for those that turn more than `fast` times in the original
    /// context, 0 for those that turn less than `slow` times.
    private func ramp(_ pair: Float, _ base: Float, fast: Float, slow: Float) -> Float {
        func pairs(turning rotations: Float) -> Float {
            Float(dimensionCount) * logf(Float(originalContextLength) / (rotations * 2 * .pi)) / (2 * logf(base))
        }
        let low = max(0, pairs(turning: fast).rounded(.down))
        let high = min(Float(dimensionCount - 1), pairs(turning: slow).rounded(.up))
        return 1 - min(1, max(0, (pair - low) / max(0.001, high - low)))
    }
}
