import GGUF
import Glibc

extension HFConfig {
    /// Tensors of factors that divide the rotation's frequencies: llama3's, or long-rope's two sets.
    func ropeFactors(of architecture: String) throws(ImportError) -> [(name: String, values: [Float])] {
        switch ropeType {
        case "llama3": return [("rope_freqs.weight", llama3Factors)]
        case "longrope", "su":
            guard architecture == "phi3" else { throw unknown }
            let sets = ["long", "short"].map { (name: $0, values: rope?["\($0)_factor"]?.array?.compactMap(\.double)) }
            return try sets.map { set throws(ImportError) in
                guard let values = set.values, values.count == rotatedLength(share: 1) / 2 else {
                    throw ImportError(
                        path, "config.json has no usable \(set.name)_factor", "Download config.json again")
                }
                return ("rope_factors_\(set.name).weight", values.map { Float($0) })
            }
        case "default", "linear", "yarn": return []
        // Scaling that changes with the length of the text: up to the trained context it is none.
        case "dynamic": return []
        default: throw unknown
        }
    }

    private var unknown: ImportError {
        ImportError(
            path, "its positions are scaled as \(quoted(ropeType))", "This variant of the model is not supported")
    }

    /// Llama 3.1: long waves are stretched by `factor`, short ones stay, those between are blended.
    private var llama3Factors: [Float] {
        let base = ropeTheta ?? 10_000
        let factor = rope?["factor"]?.double ?? 8
        let (low, high) = (rope?["low_freq_factor"]?.double ?? 1, rope?["high_freq_factor"]?.double ?? 4)
        let context = rope?["original_max_position_embeddings"]?.double ?? 8192
        return stride(from: 0, to: headLength, by: 2).map { index in
            let wave = 2 * Double.pi * pow(base, Double(index) / Double(headLength))
            if wave < context / high { return 1 }
            if wave > context / low { return Float(factor) }
            let blend = (context / wave - low) / (high - low)
            return Float(1 / ((1 - blend) / factor + blend))
        }
    }
}
