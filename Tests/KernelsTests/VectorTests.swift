import Kernels
import QuantBlocks
import Testing

private let lengths = [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 576]

@Suite struct VectorTests {
    static let oracle = KernelTable(tier: .generic)

    @Test(arguments: fasterTiers)
    func quantizesAsTheOracle(tier: KernelTier) {
        var random = Seeded(state: 1)
        for count in [32, 64, 96, 576] {
            for scale in [Float(1), 1e-20, 1e20, 0] {
                let x = random.floats(count).map { $0 * scale }
                var (q, expectedQ) = ([Int8](repeating: 99, count: count), [Int8](repeating: 99, count: count))
                var (ds, expected) = (
                    [Float](repeating: .nan, count: count / 16), [Float](repeating: .nan, count: count / 16)
                )
                KernelTable(tier: tier).quantize(x, count, &q, &ds)
                Self.oracle.quantize(x, count, &expectedQ, &expected)
                #expect(q == expectedQ)
                #expect(relativeError(ds, expected) < 1e-6)
            }
        }
    }

    /// A panel holds what four single quantisations hold, interleaved, and the biases of its halves.
    @Test(arguments: [KernelTier.generic] + fasterTiers)
    func quantizesPanelsAsSingleTokens(tier: KernelTier) {
        var random = Seeded(state: 12)
        for tokens in 1...panelTokens {
            for count in [32, 96, 576] {
                let a = TestActivations(tokens: tokens, k: count, &random)
                var q = [Int8](repeating: 0, count: panelTokens * count)
                var scales = [Float](repeating: 0, count: panelScales * count / 32)
                KernelTable(tier: tier).quantizePanel(a.x, count, tokens, count, &q, &scales)
                let expected = a.panels
                #expect(q == expected.q)
                #expect(scales.map(\.bitPattern) == expected.scales.map(\.bitPattern))
            }
        }
    }

    @Test(arguments: fasterTiers)
    func normalisesAsTheOracle(tier: KernelTier) {
        var random = Seeded(state: 2)
        for count in lengths {
            let (x, w) = (random.floats(count), random.floats(count))
            var (y, expected) = ([Float](repeating: .nan, count: count), [Float](repeating: .nan, count: count))
            KernelTable(tier: tier).rmsNorm(x, w, &y, count, 1e-5)
            Self.oracle.rmsNorm(x, w, &expected, count, 1e-5)
            #expect(relativeError(y, expected) < 1e-6)
        }
    }

    @Test(arguments: fasterTiers)
    func centresAsTheOracle(tier: KernelTier) {
        var random = Seeded(state: 22)
        for count in lengths {
            let (x, w, b) = (random.floats(count, in: 3...5), random.floats(count), random.floats(count))
            var (y, expected) = ([Float](repeating: .nan, count: count), [Float](repeating: .nan, count: count))
            for bias in [b, nil] {
                // As pointers: a nil array is no nil pointer.
                b.withUnsafeBufferPointer { buffer in
                    let pointer = bias == nil ? nil : buffer.baseAddress
                    KernelTable(tier: tier).layerNorm(x, w, pointer, &y, count, 1e-5)
                    Self.oracle.layerNorm(x, w, pointer, &expected, count, 1e-5)
                }
                #expect(relativeError(y, expected) < 2e-5)
            }
        }
    }

    @Test(arguments: fasterTiers)
    func activatesAsTheOracle(tier: KernelTier) {
        var random = Seeded(state: 23)
        let table = KernelTable(tier: tier)
        for count in lengths {
            let (x, up) = (random.floats(count, in: -12...12), random.floats(count))
            var (y, expected) = ([Float](repeating: .nan, count: count), [Float](repeating: .nan, count: count))
            table.gelu(x, &y, count)
            Self.oracle.gelu(x, &expected, count)
            #expect(zip(y, expected).allSatisfy { abs($0 - $1) < 3e-6 })
            table.geluErf(x, &y, count)
            Self.oracle.geluErf(x, &expected, count)
            #expect(zip(y, expected).allSatisfy { abs($0 - $1) < 3e-6 })
            table.geGLU(x, up, &y, count)
            Self.oracle.geGLU(x, up, &expected, count)
            #expect(zip(y, expected).allSatisfy { abs($0 - $1) < 3e-6 })
            for cap in [Float(5), 50] {
                (y, expected) = (x, x)
                table.softCap(&y, count, cap)
                Self.oracle.softCap(&expected, count, cap)
                #expect(zip(y, expected).allSatisfy { abs($0 - $1) < cap * 1e-6 })
            }
        }
    }

    /// Far from zero an activation is the identity or nothing, and a cap is reached, never a NaN.
    @Test(arguments: [KernelTier.generic] + fasterTiers)
    func extremesStayFinite(tier: KernelTier) {
        let table = KernelTable(tier: tier)
        let x: [Float] = [-1e30, -200, -20, 20, 200, 1e30, 0, -0]
        for activate in [table.gelu, table.geluErf] {
            var y = [Float](repeating: .nan, count: 8)
            activate(x, &y, 8)
            #expect(y[4] == 200 && y[6] == 0 && abs(y[1]) < 1e-6 && y[0].isFinite && y[5].isFinite)
        }
        var y = x
        table.softCap(&y, 8, 30)
        #expect(y[0] == -30 && y[5] == 30 && y[6] == 0)
    }

    @Test(arguments: fasterTiers)
    func widensBytesAsTheOracle(tier: KernelTier) {
        var random = Seeded(state: 24)
        let table = KernelTable(tier: tier)
        for (dimension, blocks) in [(8, 1), (24, 3), (32, 2), (40, 1), (64, 5), (80, 2)] {
            let groups = (dimension + 31) / 32
            let bytes = random.floats(dimension * 8 * blocks, in: -127...127).map { Int8($0.rounded()) }
            let scales = random.floats(groups * 8 * blocks, in: 0...1).map { Float16($0).bitPattern }
            var (y, expected) = (
                [UInt16](repeating: 1, count: bytes.count), [UInt16](repeating: 2, count: bytes.count)
            )
            table.widenKeys(bytes, scales, dimension, blocks, &y)
            Self.oracle.widenKeys(bytes, scales, dimension, blocks, &expected)
            #expect(y == expected)
            table.widenValues(bytes, scales, dimension, blocks * 8, &y)
            Self.oracle.widenValues(bytes, scales, dimension, blocks * 8, &expected)
            #expect(y == expected)
        }
    }

    @Test(arguments: fasterTiers)
    func gatesAsTheOracle(tier: KernelTier) {
        var random = Seeded(state: 3)
        for count in lengths {
            let (gate, up) = (random.floats(count, in: -30...30), random.floats(count))
            var (y, expected) = ([Float](repeating: .nan, count: count), [Float](repeating: .nan, count: count))
            KernelTable(tier: tier).swiGLU(gate, up, &y, count)
            Self.oracle.swiGLU(gate, up, &expected, count)
            #expect(relativeError(y, expected) < 2e-6)
        }
    }

    @Test(arguments: [KernelTier.generic] + fasterTiers)
    func gateOfAnExtremeIsFinite(tier: KernelTier) {
        let gate: [Float] = [-1e30, -200, -88, 88, 200, 1e30, 0, -0]
        let up = [Float](repeating: 1, count: 8)
        var y = [Float](repeating: .nan, count: 8)
        KernelTable(tier: tier).swiGLU(gate, up, &y, 8)
        #expect(y.allSatisfy { $0.isFinite })
        #expect(y[4] == 200 && abs(y[0]) < 1e-6 && y[6] == 0)
    }

    @Test(arguments: [KernelTier.generic] + fasterTiers)
    func softmaxSumsToOneAndHidesMaskedCells(tier: KernelTier) {
        var random = Seeded(state: 4)
        for count in lengths {
            var x = random.floats(count, in: -50...50)
            var expected = x
            if count > 2 {
                x[1] = -.infinity
                expected[1] = -.infinity
            }
            KernelTable(tier: tier).softmax(&x, count)
            Self.oracle.softmax(&expected, count)
            #expect(abs(x.reduce(0, +) - 1) < 1e-5)
            #expect(relativeError(x, expected) < 2e-6)
            if count > 2 { #expect(x[1] < 1e-30) }
            var nothing = [Float](repeating: -.infinity, count: count)
            KernelTable(tier: tier).softmax(&nothing, count)
            #expect(nothing.allSatisfy { $0 == 0 })
        }
    }

    @Test(arguments: fasterTiers)
    func attendsAsTheOracle(tier: KernelTier) {
        var random = Seeded(state: 5)
        for dimension in [8, 24, 64, 80, 128] {
            for rows in [1, 3, 4, 5, 9] {
                for blocks in [1, 2, 5] {
                    attend(tier, dimension, rows, blocks, &random)
                }
            }
        }
    }

    private func attend(_ tier: KernelTier, _ dimension: Int, _ rows: Int, _ blocks: Int, _ random: inout Seeded) {
        let cells = blocks * 8
        let table = KernelTable(tier: tier)
        let query = random.floats(rows * dimension)
        let cache = random.floats(cells * dimension).map { Float16($0).bitPattern }
        let stride = cells + 3
        var (scores, expected) = (
            [Float](repeating: 0, count: rows * stride), [Float](repeating: 0, count: rows * stride)
        )
        table.attentionScores(query, rows, dimension, cache, blocks, &scores, stride)
        Self.oracle.attentionScores(query, rows, dimension, cache, blocks, &expected, stride)
        #expect(relativeError(scores, expected) < 2e-6)
        for count in [cells, cells - 1, 1] {
            var (out, want) = (
                [Float](repeating: .nan, count: rows * dimension), [Float](repeating: .nan, count: rows * dimension)
            )
            table.attentionValues(expected, stride, rows, cache, count, dimension, &out)
            Self.oracle.attentionValues(expected, stride, rows, cache, count, dimension, &want)
            #expect(relativeError(out, want) < Self.valuesTolerance(tier))
        }
    }

    /// Where processors add halves: eight roundings, each of at most 2⁻¹² of a sum.
    private static func valuesTolerance(_ tier: KernelTier) -> Float { [.dotprod, .i8mm].contains(tier) ? 2e-3 : 2e-6 }

    @Test(arguments: fasterTiers)
    func rotatesBitForBit(tier: KernelTier) {
        var random = Seeded(state: 7)
        let table = KernelTable(tier: tier)
        for pairs in [1, 4, 8, 12, 20, 32, 64] {
            let (cosines, sines) = (random.floats(pairs), random.floats(pairs))
            // What stands behind the rotated elements is left alone.
            let x = random.floats(2 * pairs + 3)
            let kernels = [
                (table.rotateNeighbours, Self.oracle.rotateNeighbours), (table.rotateHalves, Self.oracle.rotateHalves),
            ]
            for (rotate, oracle) in kernels {
                var (y, expected) = (x, x)
                rotate(&y, cosines, sines, pairs)
                oracle(&expected, cosines, sines, pairs)
                #expect(y == expected && y != x && y.suffix(3) == x.suffix(3))
            }
        }
    }

    @Test(arguments: fasterTiers)
    func narrowsToHalvesBitForBit(tier: KernelTier) {
        var random = Seeded(state: 6)
        for count in lengths {
            let x = random.floats(count, in: -70000...70000) + random.floats(count, in: -1e-7...1e-7)
            var (y, expected) = ([UInt16](repeating: 0, count: x.count), [UInt16](repeating: 0, count: x.count))
            KernelTable(tier: tier).toHalf(x, &y, x.count)
            Self.oracle.toHalf(x, &expected, x.count)
            #expect(y == expected)
        }
    }
}
