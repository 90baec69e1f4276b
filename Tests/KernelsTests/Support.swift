// swift-format-ignore-file: NeverForceUnwrap
// The arrays are never empty, and a test may trap.

import Kernels
import Linux
import QuantBlocks

/// The tiers this processor can run, without the oracle.
let fasterTiers = KernelTier.compiled.filter {
    $0 != .generic && CPUFeatures.detect().isSuperset(of: $0.requires)
}

/// Reproducible numbers: a test that fails must fail again.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }
}

extension WeightFormat {
    var block: (weights: Int, bytes: Int) {
        switch self {
        case .f32: (1, 4)
        case .f16, .bf16: (1, 2)
        case .q4_0: (BlockQ4_0.weights, BlockQ4_0.bytes)
        case .q4_1: (BlockQ4_1.weights, BlockQ4_1.bytes)
        case .q5_0: (BlockQ5_0.weights, BlockQ5_0.bytes)
        case .q5_1: (BlockQ5_1.weights, BlockQ5_1.bytes)
        case .iq4_NL: (BlockIQ4_NL.weights, BlockIQ4_NL.bytes)
        case .q5_K: (BlockQ5_K.weights, BlockQ5_K.bytes)
        case .q8_0: (BlockQ8_0.weights, BlockQ8_0.bytes)
        case .q4_K: (BlockQ4_K.weights, BlockQ4_K.bytes)
        case .q6_K: (BlockQ6_K.weights, BlockQ6_K.bytes)
        case .q2_K: (BlockQ2_K.weights, BlockQ2_K.bytes)
        case .q3_K: (BlockQ3_K.weights, BlockQ3_K.bytes)
        case .iq4_XS: (BlockIQ4_XS.weights, BlockIQ4_XS.bytes)
        case .mxfp4: (BlockMXFP4.weights, BlockMXFP4.bytes)
        }
    }

    /// Where a block keeps halves; every other byte may be anything, but for what `tame` changes.
    var halves: [Int] {
        switch self {
        case .f32, .bf16, .mxfp4: []
        case .f16, .q4_0, .q5_0, .q8_0, .iq4_NL, .iq4_XS: [0]
        case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
        case .q6_K: [BlockQ6_K.d]
        case .q2_K: [BlockQ2_K.d, BlockQ2_K.dmin]
        case .q3_K: [BlockQ3_K.d]
        }
    }

    /// Rows of random blocks: every nibble and scale occurs, the halves are of a sensible size.
    func randomRows(_ rows: Int, _ k: Int, _ random: inout Seeded) -> [UInt8] {
        if self == .f32 { return random.floats(rows * k).flatMap { withUnsafeBytes(of: $0, Array.init) } }
        let blocks = rows * k / block.weights
        var bytes: [UInt8] = []
        for _ in 0..<blocks {
            var one = (0..<block.bytes).map { _ in UInt8.random(in: 0...255, using: &random) }
            for offset in halves {
                let bits = Float16(Float.random(in: -0.1...0.1, using: &random)).bitPattern
                one[offset] = UInt8(truncatingIfNeeded: bits)
                one[offset + 1] = UInt8(truncatingIfNeeded: bits >> 8)
            }
            tame(&one)
            bytes += one
        }
        return bytes
    }

    /// Bytes of a block that are no half, but must not be anything either.
    func tame(_ block: inout [UInt8]) {
        // Exponents of a sensible size: 2^−8 to 2^−1; bfloat16 likewise, with any sign.
        if self == .mxfp4 { block[0] = 120 + block[0] % 8 }
        if self == .bf16 {
            block[1] = block[1] & 0x80 | 0x3D + block[1] % 2
        }
    }
}

/// Quantised activations of several tokens, by the oracle.
struct TestActivations {
    var x: [Float]
    var q: [Int8]
    var ds: [Float]
    let k: Int
    let tokens: Int

    /// The same bytes as panels, which tiles are multiplied with.
    var panels: (q: [Int8], scales: [Float]) {
        let count = (tokens + panelTokens - 1) / panelTokens
        var panel = [Int8](repeating: 0, count: count * panelTokens * k)
        var scales = [Float](repeating: 0, count: count * panelScales * max(1, k / 32))
        guard k % 32 == 0 else { return (panel, scales) }
        for t in 0..<tokens {
            let (at, lane) = (t / panelTokens, t % panelTokens)
            for j in 0..<k { panel[at * panelTokens * k + j / 4 * 16 + lane * 4 + j % 4] = q[t * k + j] }
            for g in 0..<(k / 32) {
                let to = (at * (k / 32) + g) * panelScales + lane
                let from = t * k + g * 32
                let sums = [q[from..<from + 16], q[from + 16..<from + 32]].map { $0.reduce(0) { $0 + Int32($1) } }
                scales[to] = ds[t * k / 16 + 2 * g]
                scales[to + 4] = ds[t * k / 16 + 2 * g + 1]
                for half in 0..<2 {
                    scales[to + 8 + 4 * half] = Float(bitPattern: UInt32(bitPattern: -128 * sums[half]))
                }
                scales[to + 16] = Float(bitPattern: UInt32(bitPattern: -8 * (sums[0] + sums[1])))
            }
        }
        return (panel, scales)
    }

    /// The floats as wide panels, by the tier that will read them.
    func widePanels(_ table: KernelTable) -> (q: [Int8], scales: [Float]) {
        let count = (tokens + panelTokens - 1) / panelTokens
        var q = [Int8](repeating: 0x55, count: count * wideBytes(k))
        var scales = [Float](repeating: .nan, count: count * wideScales(k))
        for panel in 0..<count {
            let some = min(panelTokens, tokens - panel * panelTokens)
            q.withUnsafeMutableBufferPointer { q in
                scales.withUnsafeMutableBufferPointer { scales in
                    table.quantizeWords?(
                        pointer(x) + panel * panelTokens * k, k, some, k, q.baseAddress! + panel * wideBytes(k),
                        scales.baseAddress! + panel * wideScales(k))
                }
            }
        }
        return (q, scales)
    }

    init(tokens: Int, k: Int, _ random: inout Seeded) {
        self.k = k
        self.tokens = tokens
        x = random.floats(tokens * k)
        q = [Int8](repeating: 0, count: tokens * k)
        ds = [Float](repeating: 0, count: tokens * max(1, k / 16))
        guard k % 32 == 0 else { return }
        let table = KernelTable(tier: .generic)
        for t in 0..<tokens {
            x.withUnsafeBufferPointer { x in
                q.withUnsafeMutableBufferPointer { q in
                    ds.withUnsafeMutableBufferPointer { ds in
                        table.quantize(
                            x.baseAddress! + t * k, k, q.baseAddress! + t * k, ds.baseAddress! + t * k / 16)
                    }
                }
            }
        }
    }
}

/// The product by the portable tier's row-by-row kernel: (tokens, rows).
func oracle(_ format: WeightFormat, _ w: [UInt8], rows: Int, _ a: TestActivations, tokens: Int) -> [Float] {
    let kernels = KernelTable(tier: .generic)[format]
    return product(kernels, w, rows: rows, a, tokens: tokens)
}

/// The product row by row with `kernels`: (tokens, rows).
func product(
    _ kernels: ProductKernels, _ w: [UInt8], rows: Int, rowBytes: Int? = nil, _ a: TestActivations, tokens: Int
) -> [Float] {
    var y = [Float](repeating: .nan, count: tokens * rows)
    for t in 0..<tokens {
        w.withUnsafeBytes { w in
            y.withUnsafeMutableBufferPointer { y in
                kernels.gemv(
                    w.baseAddress!, rowBytes ?? w.count / rows, rows, a.k, pointer(a.q) + t * a.k,
                    pointer(a.ds) + t * a.k / 16,
                    pointer(a.x) + t * a.k, y.baseAddress! + t * rows)
            }
        }
    }
    return y
}

/// The product by tiles: (tokens, rows).
///
/// - Parameter table: what quantises where the tiles want wide panels.
func tiledProduct(
    _ kernels: ProductKernels, _ w: [UInt8], rows: Int, _ a: TestActivations, tokens: Int, by table: KernelTable? = nil
) -> [Float] {
    var y = [Float](repeating: .nan, count: tokens * rows)
    // As large as the engine has them: rows of a multiple of 32 floats.
    let width = (a.k + 31) / 32 * 32
    let tile = UnsafeMutableRawPointer.allocate(byteCount: tileRows * width * 4, alignment: 64)
    defer { tile.deallocate() }
    var meta = [Float](repeating: .nan, count: width / 32 * tileRows * 4)
    let padded = (tokens + panelTokens - 1) / panelTokens * panelTokens
    var products = [Float](repeating: .nan, count: padded * tileRows)
    let wide = table.flatMap { kernels.panels == .words ? a.widePanels($0) : nil }
    let panels = wide ?? a.panels
    w.withUnsafeBytes { w in
        let rowBytes = w.count / rows
        for first in stride(from: 0, to: rows, by: tileRows) {
            let some = min(tileRows, rows - first)
            kernels.unpack(w.baseAddress! + first * rowBytes, rowBytes, some, a.k, tile, &meta)
            kernels.gemm(tile, meta, a.k, panels.q, panels.scales, a.x, a.k, tokens, &products)
            for t in 0..<tokens { for r in 0..<some { y[t * rows + first + r] = products[t * tileRows + r] } }
        }
    }
    return y
}

/// The arrays above live as long as the test's locals; this only spares closures.
private func pointer<T>(_ array: [T]) -> UnsafePointer<T> { array.withUnsafeBufferPointer { $0.baseAddress! } }

/// The largest difference, as a share of the largest number.
func relativeError(_ a: [Float], _ b: [Float]) -> Float {
    let size = b.map(abs).max() ?? 0
    let difference = zip(a, b).map { abs($0 - $1) }.max() ?? 0
    guard a.count == b.count, a.allSatisfy(\.isFinite) else { return .infinity }
    return difference / max(size, 1e-20)
}
