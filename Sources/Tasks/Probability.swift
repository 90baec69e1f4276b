import Glibc

/// Arithmetic of probabilities that stays finite whatever comes in.
enum Probability {
    /// log Σ exp, safe from overflow; -∞ for nothing.
    static func logSumExp(_ values: [Double]) -> Double {
        guard let largest = values.max(), largest.isFinite else { return -.infinity }
        return largest + log(values.reduce(0) { $0 + exp($1 - largest) })
    }

    /// exp of what is at most 0, with 0 for what is not a number.
    static func exponential(_ value: Double) -> Double { value.isNaN ? 0 : exp(min(value, 0)) }

    /// Scaled to a sum of 1; equal shares where nothing is left.
    static func normalized(_ values: [Double]) -> [Double] {
        let sum = values.reduce(0, +)
        guard sum > 0, sum.isFinite else { return values.map { _ in 1 / Double(max(1, values.count)) } }
        return values.map { $0 / sum }
    }
}
