/// How the next token is chosen. The defaults take the most likely one; with a temperature above 0 they are llama.cpp's.
public struct SamplerOptions: Sendable, Hashable {
    /// 0: always the most likely token. Above: how evenly less likely ones are drawn.
    public var temperature: Float
    /// Only the `topK` most likely tokens; 0 for all.
    public var topK: Int
    /// Only the most likely tokens that together reach this probability; 1 for all.
    public var topP: Float
    /// Only tokens at least this likely, relative to the most likely one; 0 for all.
    public var minP: Float
    /// What a token of the recent past is made less likely by; 1 for nothing.
    public var repeatPenalty: Float
    /// The same seed and the same logits give the same tokens.
    public var seed: UInt64

    /// Values outside their range are brought to its nearest end; what is not a number is taken as the default.
    public init(
        temperature: Float = 0, topK: Int = 40, topP: Float = 0.95, minP: Float = 0.05, repeatPenalty: Float = 1,
        seed: UInt64 = 0
    ) {
        func within(_ value: Float, _ range: ClosedRange<Float>, _ fallback: Float) -> Float {
            value.isNaN ? fallback : min(max(value, range.lowerBound), range.upperBound)
        }
        self.temperature = within(temperature, 0...100, 0)
        self.topK = max(0, topK)
        self.topP = within(topP, 0...1, 0.95)
        self.minP = within(minP, 0...1, 0.05)
        self.repeatPenalty = within(repeatPenalty, 0.01...100, 1)
        self.seed = seed
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): eight bytes of state, the same numbers on every board.
///
/// `SystemRandomNumberGenerator` cannot be seeded.
struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in 0 ..< 1, with 53 random bits.
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}
