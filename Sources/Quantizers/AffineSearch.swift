/// The scale d and offset m that make `d · q + m` come nearest to 32 weights in the sum of squares, q from 0 to
/// `highest`.
struct AffineSearch {
    let highest: Float
    /// Whether d and m are stored as halves each (Q4_1), so that only such are worth comparing.
    let storesHalves: Bool
    /// Whether m may not be above 0 (Q4_K stores −m without a sign).
    let offsetIsNegative: Bool

    struct Result {
        var d: Float
        var m: Float
        var error: Float
    }

    /// How much wider than the weights' range the levels' range is, in levels. Negative: outliers are cut off.
    private static let slack: [Float] = [-1, 0, 0.4, 0.8, 1.2, 1.6, 2, 2.6, 3.2, 4]

    func search(_ x: Lanes) -> Result {
        var (low, high) = x.range
        if offsetIsNegative {
            low = min(low, 0)
            high = max(high, 0)
        }
        let sums = x.sums
        var best = constant(x, sums.x / 32)
        guard high > low else { return best }
        for slack in Self.slack {
            let d = (high - low) / (highest + slack)
            // The range that is left out is left out at both ends.
            var m = low + (high - low - d * highest) / 2
            if offsetIsNegative { m = low == 0 ? 0 : min(m, 0) }
            var trial = trial(x, d, m)
            if trial.result.error < best.error { best = trial.result }
            for _ in 0..<2 {
                guard let next = leastSquares(trial.q, trial.qq, trial.xq, sums.x) else { break }
                trial = self.trial(x, next.d, next.m)
                if trial.result.error < best.error { best = trial.result }
            }
        }
        return best
    }

    /// All weights equal `value`.
    private func constant(_ x: Lanes, _ value: Float) -> Result {
        let m = offsetIsNegative ? min(value, 0) : rounded(toHalf: value)
        return trial(x, 0, m).result
    }

    /// The line through the weights over the levels they were given.
    private func leastSquares(_ q: Float, _ qq: Float, _ xq: Float, _ x: Float) -> (d: Float, m: Float)? {
        let determinant = 32 * qq - q * q
        guard determinant > 0 else { return nil }
        var d = (32 * xq - x * q) / determinant
        if storesHalves { d = rounded(toHalf: d) }
        let m = (x - d * q) / 32
        if offsetIsNegative, m > 0 { return qq > 0 ? (xq / qq, 0) : nil }
        return d > 0 ? (d, m) : nil
    }

    /// The error with a scale and an offset, and the sums that `leastSquares` takes.
    @inline(__always)  // the inner loop
    private func trial(_ x: Lanes, _ scale: Float, _ offset: Float) -> (
        result: Result, q: Float, qq: Float, xq: Float
    ) {
        let d = storesHalves ? rounded(toHalf: scale) : scale
        let m = storesHalves ? rounded(toHalf: offset) : offset
        let inverse = Lanes.Vector(repeating: d == 0 ? 0 : 1 / d)
        let (step, base) = (Lanes.Vector(repeating: d), Lanes.Vector(repeating: m))
        var (error, sum, qq, xq) = (Lanes.Vector(), Lanes.Vector(), Lanes.Vector(), Lanes.Vector())
        @inline(__always) func add(_ v: Lanes.Vector) {
            let q = level((v - base) * inverse, 0, highest)
            let e = v - (q * step + base)
            error += e * e
            sum += q
            qq += q * q
            xq += v * q
        }
        add(x.a)
        add(x.b)
        add(x.c)
        add(x.d)
        return (Result(d: d, m: m, error: Lanes.sum(error)), Lanes.sum(sum), Lanes.sum(qq), Lanes.sum(xq))
    }
}
