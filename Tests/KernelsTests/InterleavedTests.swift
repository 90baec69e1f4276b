// swift-format-ignore-file: NeverForceUnwrap
// The arrays are never empty, and a test may trap.

import Kernels
import QuantBlocks
import Testing

/// As for rows that follow each other: the integers are the same, the additions' order is another.
private let orderTolerance: Float = 1.2e-5

@Suite struct InterleavedTests {
    static let formats = WeightFormat.allCases.filter(\.isInterleavable)

    @Test(arguments: formats)
    func bandsHoldTheRowsTheyWereMadeOf(format: WeightFormat) throws {
        var random = Seeded(state: 21)
        let (rows, k) = (32, 512)
        let w = format.randomRows(rows, k, &random)
        let bands = try #require(format.interleaved(w, rows: rows, k))
        for r in 0..<rows {
            var (expected, got) = ([Float](repeating: .nan, count: k), [Float](repeating: .nan, count: k))
            w.withUnsafeBytes {
                format.dequantize(.consecutive)($0.baseAddress!, w.count / rows, r, k, &expected)
            }
            bands.withUnsafeBytes {
                format.dequantize(.interleaved)($0.baseAddress!, bands.count / rows, r, k, &got)
            }
            #expect(expected == got, "row \(r)")
        }
    }

    @Test(arguments: [.generic] + fasterTiers, formats)
    func rowsAgreeWithTheOracle(tier: KernelTier, format: WeightFormat) throws {
        try check(tier, format, rows: [1, 7, 16, 19, 48]) { product($0, $1, rows: $2, rowBytes: $3, $4, tokens: $5) }
    }

    @Test(arguments: [.generic] + fasterTiers, formats)
    func tilesAgreeWithTheOracle(tier: KernelTier, format: WeightFormat) throws {
        try check(tier, format, rows: [48]) { tiledProduct($0, $1, rows: $2, $4, tokens: $5) }
    }

    /// Sums must not wrap at the edge of 16 bits: every weight and every activation at its largest.
    @Test(arguments: [.generic] + fasterTiers, formats)
    func extremesDoNotOverflow(tier: KernelTier, format: WeightFormat) throws {
        for fill in [UInt8(0x00), 0xFF, 0x80, 0x7F, 0x0F, 0xF0] {
            for sign in [Float(1), -1] {
                var random = Seeded(state: 5)
                let (rows, k) = (16, 512)
                var w = format.randomRows(rows, k, &random)
                let size = format.block.bytes
                for i in w.indices where !format.halves.contains(i % size & ~1) { w[i] = fill }
                var a = TestActivations(tokens: 4, k: k, &random)
                for i in a.q.indices { a.q[i] = Int8(127 * sign) }
                for i in stride(from: 0, to: a.ds.count, by: 2) { a.ds[i + 1] = a.ds[i] * 127 * 32 * sign }
                let expected = oracle(format, w, rows: rows, a, tokens: 4)
                let kernels = KernelTable(tier: tier)[format, .interleaved]
                let bands = try #require(format.interleaved(w, rows: rows, k))
                #expect(relativeError(product(kernels, bands, rows: rows, a, tokens: 4), expected) < 1e-5)
                #expect(relativeError(tiledProduct(kernels, bands, rows: rows, a, tokens: 4), expected) < 1e-5)
            }
        }
    }

    /// `rows`: how many of three bands' rows are asked for.
    private func check(
        _ tier: KernelTier, _ format: WeightFormat, rows: [Int],
        _ multiply: (ProductKernels, [UInt8], Int, Int, TestActivations, Int) -> [Float]
    ) throws {
        var random = Seeded(state: 17)
        for k in format.block.weights == 32 ? [32, 96, 576, 1536] : [256, 768] {
            let all = 48
            let w = format.randomRows(all, k, &random)
            let bands = try #require(format.interleaved(w, rows: all, k))
            for some in rows {
                for tokens in [1, 5, 8] {
                    let a = TestActivations(tokens: tokens, k: k, &random)
                    let expected = oracle(format, Array(w[..<(w.count / all * some)]), rows: some, a, tokens: tokens)
                    let kernels = KernelTable(tier: tier)[format, .interleaved]
                    let got = multiply(kernels, bands, some, bands.count / all, a, tokens)
                    #expect(
                        relativeError(got, expected) < orderTolerance,
                        "\(tier) \(format) k \(k) rows \(some) tokens \(tokens)")
                }
            }
        }
    }
}

extension WeightFormat {
    /// `rows` (a multiple of sixteen) rows, interleaved.
    func interleaved(_ w: [UInt8], rows: Int, _ k: Int) -> [UInt8]? {
        guard let interleave else { return nil }
        let size = bandByteCount(columns: k)
        var bands = [UInt8](repeating: 0, count: rows / tileRows * size)
        w.withUnsafeBytes { w in
            bands.withUnsafeMutableBytes { bands in
                for band in 0..<(rows / tileRows) {
                    interleave(
                        w.baseAddress! + band * tileRows * (w.count / rows), w.count / rows, k,
                        bands.baseAddress! + band * size)
                }
            }
        }
        return bands
    }
}
