import Kernels
import QuantBlocks
import Testing

/// Tiers that multiply weights that are floats as integers, in prefill.
private let wordTiers = fasterTiers.filter { KernelTable(tier: $0).quantizeWords != nil }

/// The mean square of what rounding to words may cost, as a share of the mean square of the products. Numbers of equal
/// size cost less than a tenth of it; the limit of a whole model is 1e-5.
private let roundingTolerance = 5e-7

@Suite struct WordTests {
    private let rows = 32
    private let k = 576
    private let tokens = 9

    /// The products of a tier, and those of the rows in double precision: (tokens, rows).
    private func products(_ tier: KernelTier, _ weights: [Float], _ a: TestActivations) -> (
        got: [Float], true: [Double]
    ) {
        let table = KernelTable(tier: tier)
        let bytes = weights.flatMap { withUnsafeBytes(of: $0, Array.init) }
        let got = tiledProduct(table[.f32], bytes, rows: rows, a, tokens: tokens, by: table)
        var expected: [Double] = []
        for t in 0..<tokens {
            for r in 0..<rows {
                var sum: Double = 0
                for j in 0..<k { sum += Double(weights[r * k + j]) * Double(a.x[t * k + j]) }
                expected.append(sum)
            }
        }
        return (got, expected)
    }

    private func error(_ tier: KernelTier, _ weights: [Float], _ a: TestActivations) -> Double {
        let (got, expected) = products(tier, weights, a)
        var (error, power) = (0.0, 0.0)
        for (x, y) in zip(got, expected) {
            error += (Double(x) - y) * (Double(x) - y)
            power += y * y
        }
        return error / power
    }

    /// Sums of four uniform numbers: a bell, as weights and activations are.
    private func bells(_ count: Int, _ random: inout Seeded) -> [Float] {
        (0..<count).map { _ in (0..<4).reduce(Float(0)) { sum, _ in sum + Float.random(in: -1...1, using: &random) } }
    }

    @Test(arguments: wordTiers)
    func roundingCostsLittle(tier: KernelTier) {
        var random = Seeded(state: 31)
        let weights = bells(rows * k, &random)
        var a = TestActivations(tokens: tokens, k: k, &random)
        a.x = bells(tokens * k, &random)
        #expect(error(tier, weights, a) < roundingTolerance / 10)
    }

    /// Some activations are hundreds of times larger than their neighbours, always in the same columns.
    @Test(arguments: wordTiers, [Float(10), 100, 1000])
    func outliersCostLittle(tier: KernelTier, size: Float) {
        var random = Seeded(state: 32)
        let weights = bells(rows * k, &random)
        var a = TestActivations(tokens: tokens, k: k, &random)
        a.x = bells(tokens * k, &random)
        for t in 0..<tokens { for j in [70, 400] { a.x[t * k + j] *= size } }
        #expect(error(tier, weights, a) < roundingTolerance)
    }

    /// Blocks of very different size: each has a scale of its own.
    @Test(arguments: wordTiers)
    func everyBlockHasItsScale(tier: KernelTier) {
        var random = Seeded(state: 33)
        var weights = bells(rows * k, &random)
        var a = TestActivations(tokens: tokens, k: k, &random)
        for j in 0..<k {
            let size = Float(sign: .plus, exponent: 8 * (j / wideBlock) - 30, significand: 1)
            for r in 0..<rows { weights[r * k + j] *= size }
            for t in 0..<tokens { a.x[t * k + j] /= size }
        }
        #expect(error(tier, weights, a) < roundingTolerance)
    }

    /// Sums as large as there are: activations that are the weights of a row, of both signs, and of several shapes.
    @Test(arguments: wordTiers, [Float(1), -1])
    func largestSumsDoNotOverflow(tier: KernelTier, sign: Float) {
        var random = Seeded(state: 34)
        let shapes: [(Int) -> Float] = [
            { _ in 3 }, { $0 % 2 == 0 ? 1 : -1 }, { $0 % wideBlock == 5 ? 700 : 0.001 }, { Float($0 % 64) },
            { $0 % 64 < 2 ? 9 : 0 }, { Float($0 * 7919 % 127 - 63) },
        ]
        for shape in shapes {
            let row = (0..<k).map(shape)
            let weights = (0..<rows).flatMap { r in row.map { $0 * Float(r + 1) } }
            var a = TestActivations(tokens: tokens, k: k, &random)
            a.x = (0..<tokens).flatMap { t in row.map { $0 * sign * Float(t + 1) } }
            #expect(error(tier, weights, a) < roundingTolerance / 10)
        }
    }

    /// Zeros, numbers whose inverse is infinite, and the largest there are.
    @Test(arguments: wordTiers)
    func extremeScalesAreNumbers(tier: KernelTier) {
        var random = Seeded(state: 35)
        for size in [Float(0), 0x1p-149, 0x1p-130, 0x1p-113] {
            let a = TestActivations(tokens: tokens, k: k, &random)
            let (got, _) = products(tier, bells(rows * k, &random).map { $0 * size }, a)
            #expect(got.allSatisfy { abs($0) < 1e-30 })
            var small = a
            small.x = a.x.map { $0 * size }
            let (other, _) = products(tier, bells(rows * k, &random), small)
            #expect(other.allSatisfy { abs($0) < 1e-30 })
        }
        var a = TestActivations(tokens: tokens, k: k, &random)
        a.x = a.x.map { $0 * 1e-30 }
        #expect(error(tier, bells(rows * k, &random).map { $0 * 5e37 }, a) < roundingTolerance)
    }

    /// What is not finite stays so, and in its own row or token.
    @Test(arguments: wordTiers, [Float.infinity, -.infinity, .nan])
    func whatIsNotFiniteShows(tier: KernelTier, bad: Float) {
        var random = Seeded(state: 36)
        var weights = bells(rows * k, &random)
        weights[5 * k + 100] = bad
        var a = TestActivations(tokens: tokens, k: k, &random)
        a.x[3 * k + 575] = bad
        let (got, _) = products(tier, weights, a)
        for t in 0..<tokens { for r in 0..<rows { #expect(got[t * rows + r].isFinite == (t != 3 && r != 5)) } }
    }

    /// Missing rows of a tile are zeros, whatever stood there.
    @Test(arguments: wordTiers, [WeightFormat.f16, .bf16, .f32])
    func missingRowsAreZeros(tier: KernelTier, format: WeightFormat) {
        var random = Seeded(state: 37)
        let table = KernelTable(tier: tier)
        for k in [1, 64, 100] {
            let w = format.randomRows(3, k, &random)
            let a = TestActivations(tokens: 4, k: k, &random)
            let wide = a.widePanels(table)
            let blocks = (k + wideBlock - 1) / wideBlock
            var tile = [UInt64](repeating: .max, count: tileRows * blocks * wideBlock / 4)
            var meta = [Float](repeating: .nan, count: 2 * tileRows * blocks)
            var y = [Float](repeating: .nan, count: tileRows * panelTokens)
            w.withUnsafeBytes { w in
                tile.withUnsafeMutableBytes { tile in
                    guard let from = w.baseAddress, let to = tile.baseAddress else { return }
                    table[format].unpack(from, w.count / 3, 3, k, to, &meta)
                    table[format].gemm(to, meta, k, wide.q, wide.scales, a.x, k, 4, &y)
                }
            }
            for t in 0..<4 { for r in 0..<tileRows { #expect((y[t * tileRows + r] == 0) == (r >= 3)) } }
        }
    }
}
