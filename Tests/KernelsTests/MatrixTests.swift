import Kernels
import QuantBlocks
import Testing

/// Same integers, other order of float additions: up to 48 groups (k = 1,536) are summed, each addition within half a
/// unit in the last place (6e-8) of a partial sum that can exceed the result. Tiers that take unsigned weights and
/// subtract what they are too large by (16 for Q5_0) have the largest partial sums. The largest error seen is 6.4e-6.
private let orderTolerance: Float = 1.2e-5

/// The same where the terms are floats themselves: a lone sum of 576 can cancel to a fraction of its terms.
private let floatOrderTolerance: Float = 3e-5

/// Floats multiplied as words: half a step of each, 1 / 16,382 and 1 / 8,190 of a block's largest, for every term, and
/// a lone sum can cancel to a tenth of its terms: the largest error seen is 1.1e-3. `WordTests` limits the mean.
private let wordTolerance: Float = 2e-3

@Suite struct MatrixTests {
    /// Sizes around every unrolling: rows by four, eight and sixteen, tokens by four and eight.
    static let rows = [1, 3, 4, 8, 17, 33]
    static let tokens = [1, 2, 3, 5, 8, 13]

    @Test(arguments: blockFixtures + smallBlockFixtures)
    func oracleDecodesBlocksAsTheReference(fixture: BlockFixture) {
        let block = fixture.format.block
        #expect(fixture.bytes.count == fixture.weights.count / block.weights * block.bytes)
        var weights = [Float](repeating: .nan, count: fixture.weights.count)
        fixture.bytes.withUnsafeBytes {
            fixture.format.dequantize(.consecutive)($0.baseAddress!, 0, 0, weights.count, &weights)
        }
        #expect(relativeError(weights, fixture.weights) < 1e-6)
    }

    /// The oracle's integer path against plain float arithmetic on the decoded weights.
    @Test(arguments: WeightFormat.allCases)
    func oracleMultipliesWhatItDecodes(format: WeightFormat) {
        var random = Seeded(state: 3)
        let (rows, k) = (5, 512)
        let w = format.randomRows(rows, k, &random)
        let a = TestActivations(tokens: 1, k: k, &random)
        var expected: [Float] = []
        for r in 0..<rows {
            var row = [Float](repeating: 0, count: k)
            w.withUnsafeBytes { format.dequantize(.consecutive)($0.baseAddress!, w.count / rows, r, k, &row) }
            let values = (0..<k).map { j in
                format.usesQuantizedActivations ? Double(a.q[j]) * Double(a.ds[j / 32 * 2]) : Double(a.x[j])
            }
            expected.append(Float(zip(row, values).reduce(0) { $0 + Double($1.0) * $1.1 }))
        }
        #expect(relativeError(oracle(format, w, rows: rows, a, tokens: 1), expected) < 2e-5)
    }

    @Test(arguments: WeightFormat.allCases)
    func oracleTilesAgreeWithItsRows(format: WeightFormat) {
        check(.generic, format) { tiledProduct($0, $1, rows: $2, $3, tokens: $4) }
    }

    @Test(arguments: fasterTiers, WeightFormat.allCases)
    func rowsAgreeWithTheOracle(tier: KernelTier, format: WeightFormat) {
        check(tier, format) { product($0, $1, rows: $2, $3, tokens: $4) }
    }

    @Test(arguments: fasterTiers, WeightFormat.allCases)
    func tilesAgreeWithTheOracle(tier: KernelTier, format: WeightFormat) {
        let table = KernelTable(tier: tier)
        let limit = table[format].panels == .words ? wordTolerance : nil
        check(tier, format, limit) { tiledProduct($0, $1, rows: $2, $3, tokens: $4, by: table) }
    }

    private func check(
        _ tier: KernelTier, _ format: WeightFormat, _ limit: Float? = nil,
        _ multiply: (ProductKernels, [UInt8], Int, TestActivations, Int) -> [Float]
    ) {
        var random = Seeded(state: 11)
        // Floats also at lengths that fill no vector; blocks fix the others'.
        let block = format.block.weights
        let lengths = block == 1 ? [1, 7, 15, 17, 33, 576] : block == 32 ? [32, 96, 576, 1536] : [256, 768]
        for k in lengths {
            for rows in Self.rows {
                let w = format.randomRows(rows, k, &random)
                for tokens in Self.tokens {
                    let a = TestActivations(tokens: tokens, k: k, &random)
                    let expected = oracle(format, w, rows: rows, a, tokens: tokens)
                    let got = multiply(KernelTable(tier: tier)[format], w, rows, a, tokens)
                    let error = relativeError(got, expected)
                    let usual = format.usesQuantizedActivations ? orderTolerance : floatOrderTolerance
                    #expect(error < limit ?? usual, "\(tier) \(format) k \(k) rows \(rows) tokens \(tokens)")
                }
            }
        }
    }

    /// Sums must not wrap at the edge of 16 bits: every weight and every activation at its largest.
    @Test(arguments: fasterTiers, WeightFormat.allCases.filter(\.usesQuantizedActivations))
    func extremesDoNotOverflow(tier: KernelTier, format: WeightFormat) {
        for fill in [UInt8(0x00), 0xFF, 0x80, 0x7F, 0x0F, 0xF0] {
            for sign in [Float(1), -1] {
                var random = Seeded(state: 5)
                let (rows, k) = (8, 512)
                var w = format.randomRows(rows, k, &random)
                let size = format.block.bytes
                for i in w.indices where !format.halves.contains(i % size & ~1) { w[i] = fill }
                if format == .mxfp4 { for i in stride(from: 0, to: w.count, by: size) { w[i] = 125 } }
                var a = TestActivations(tokens: 4, k: k, &random)
                for i in a.q.indices { a.q[i] = Int8(127 * sign) }
                for i in stride(from: 0, to: a.ds.count, by: 2) { a.ds[i + 1] = a.ds[i] * 127 * 32 * sign }
                let expected = oracle(format, w, rows: rows, a, tokens: 4)
                let kernels = KernelTable(tier: tier)[format]
                // The table's ends, −127 and 113, cancel to a ninth of a term; scales of both signs cancel further.
                let limit = format == .iq4_XS ? floatOrderTolerance : orderTolerance
                #expect(relativeError(product(kernels, w, rows: rows, a, tokens: 4), expected) < limit)
                #expect(relativeError(tiledProduct(kernels, w, rows: rows, a, tokens: 4), expected) < limit)
            }
        }
    }
}
