import GGUF

/// A model's shape: everything the forward pass needs to know but the weights. Names follow GGUF's keys.
public struct ModelConfig: Sendable, Equatable {
    public let architecture: String
    /// Layers.
    public let blockCount: Int
    /// Width of the residual stream.
    public let embeddingLength: Int
    /// Width inside the feed-forward block.
    public let feedForwardLength: Int
    /// Query heads.
    public let headCount: Int
    /// Key and value heads; `headCount` is a multiple of it (grouped-query attention).
    public let headCountKV: Int
    /// Elements of one head.
    public let headLength: Int
    /// The first elements of a head that are rotated; an even number.
    public let ropeDimensionCount: Int
    public let ropeFrequencyBase: Float
    /// Linear scaling: positions are divided by this.
    public let ropeScale: Float
    public let rmsEpsilon: Float
    /// Positions the model was trained for.
    public let contextLength: Int
    public let plan: LayerPlan

    /// Query heads that share one key and value head.
    public var groupSize: Int { headCount / headCountKV }

    /// Reads and checks the shape. Throws `ModelError` naming the key that is missing or out of bounds.
    public init(_ file: GGUFFile) throws(ModelError) {
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
        func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(ModelError) -> Int
        {
            guard let value = file.integer("\(architecture).\(key)") ?? fallback else {
                throw ModelError(file, "\(architecture).\(key) is missing", "Convert the model again.")
            }
            guard range.contains(value) else {
                throw ModelError(
                    file, "\(architecture).\(key) is \(value), outside \(range.lowerBound)…\(range.upperBound)",
                    "The file is damaged; fetch it again.")
            }
            return value
        }
        func number(_ key: String, default fallback: Double) throws(ModelError) -> Float {
            let value = Float(file.float("\(architecture).\(key)") ?? fallback)
            guard value.isFinite, value > 0 else {
                throw ModelError(file, "\(architecture).\(key) is not a positive number", "Fetch the file again.")
            }
            return value
        }
        // Caps far above any model a board can hold, so that a damaged file cannot make us allocate the machine.
        blockCount = try integer("block_count", in: 1...1024)
        embeddingLength = try integer("embedding_length", in: 1...65536)
        feedForwardLength = try integer("feed_forward_length", in: 1...1_048_576)
        headCount = try integer("attention.head_count", in: 1...1024)
        headCountKV = try integer("attention.head_count_kv", in: 1...1024, default: headCount)
        contextLength = try integer("context_length", in: 1...16_777_216)
        let derived = embeddingLength / headCount
        headLength = try integer("attention.key_length", in: 2...1024, default: derived)
        ropeDimensionCount = try integer("rope.dimension_count", in: 2...1024, default: headLength)
        ropeFrequencyBase = try number("rope.freq_base", default: 10000)
        ropeScale =
            file.string("\(architecture).rope.scaling.type") == "linear"
            ? try number("rope.scaling.factor", default: 1) : 1
        rmsEpsilon = try number("attention.layer_norm_rms_epsilon", default: 1e-5)
        try Self.check(self, file)
    }

    private static func check(_ config: ModelConfig, _ file: GGUFFile) throws(ModelError) {
        let architecture = config.architecture
        guard config.headCount % config.headCountKV == 0 else {
            throw ModelError(
                file, "\(config.headCount) heads cannot share \(config.headCountKV) key heads", "Fetch the file again.")
        }
        guard config.headLength % 2 == 0, config.ropeDimensionCount % 2 == 0,
            config.ropeDimensionCount <= config.headLength
        else {
            throw ModelError(
                file, "\(config.ropeDimensionCount) rotated elements do not fit a head of \(config.headLength)",
                "Fetch the file again.")
        }
        let values = file.integer("\(architecture).attention.value_length") ?? config.headLength
        guard values == config.headLength else {
            throw ModelError(
                file, "value heads of \(values) beside key heads of \(config.headLength) are not supported",
                "Choose another model.")
        }
        if let scaling = file.string("\(architecture).rope.scaling.type"), !["none", "linear"].contains(scaling) {
            throw ModelError(file, "rope scaling '\(scaling)' is not supported yet", "Choose another model.")
        }
        if let experts = file.integer("\(architecture).expert_count"), experts > 0 {
            throw ModelError(file, "mixture of experts is not supported yet", "Choose a dense model.")
        }
    }
}

/// What differs between architectures, as data: one forward pass reads it.
public struct LayerPlan: Sendable, Equatable {
    /// Which elements of a head are rotated together.
    public enum RopeStyle: Sendable {
        /// Neighbours (2i, 2i + 1): what llama's converter permutes its weights for.
        case neighbours
        /// Halves (i, i + n/2).
        case halves
    }

    public var ropeStyle: RopeStyle

    /// The architectures that load, by `general.architecture`.
    public static let known: [String: LayerPlan] = [
        "llama": LayerPlan(ropeStyle: .neighbours)
    ]
}

/// Why a file cannot be run as a model: one sentence, then what to do.
public struct ModelError: Error, CustomStringConvertible, Sendable {
    public let description: String

    init(_ file: GGUFFile, _ why: String, _ todo: String) {
        description = "cannot run \(file.path): \(why). \(todo)"
    }

    init(_ description: String) { self.description = description }
}
