import Glibc
import Kernels
import Testing

@testable import Quantizers

@Suite struct QuantizerTests {
    /// Sums of four uniform numbers, about normal, with a weight four times as large in every 64.
    private static let weights: [Float] = {
        var state: UInt64 = 7
        return (0..<65_536).map { index in
            state = state &+ 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            z ^= z >> 31
            let sum = (0..<4).reduce(0) { $0 + Int(z >> (16 * UInt64($1)) & 0xFFFF) }
            return Float(sum - 131_070) / 65_536 * (index % 64 == 63 ? 4 : 1)
        }
    }()

    private func decoded(_ weights: [Float], _ quantizer: Quantizer, _ format: WeightFormat) -> [Float] {
        let bytes = weights.count / quantizer.blockSize * quantizer.bytesPerBlock
        let packed = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        defer { packed.deallocate() }
        quantizer.encode(weights, weights.count, packed)
        return [Float](unsafeUninitializedCapacity: weights.count) { out, count in
            guard let start = out.baseAddress else { return }
            format.dequantize(.consecutive)(packed, bytes, 0, weights.count, start)
            count = weights.count
        }
    }

    private func rmse(_ quantizer: Quantizer, _ format: WeightFormat) -> Double {
        let back = decoded(Self.weights, quantizer, format)
        let sum = zip(Self.weights, back).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        return (sum / Double(back.count)).squareRoot()
    }

    /// What llama.cpp's quantiser of October 2026 leaves on the same weights, `llama-quantize --pure` without an
    /// importance matrix.
    @Test(arguments: [
        (Quantizer.q4_0, WeightFormat.q4_0, 0.070_381), (.q4_1, .q4_1, 0.055_813), (.q5_0, .q5_0, 0.035_484),
        (.q4_K, .q4_K, 0.051_533),
    ])
    func `The error is below llama.cpp's`(quantizer: Quantizer, format: WeightFormat, reference: Double) {
        let error = rmse(quantizer, format)
        #expect(error < reference && error > reference / 2, "\(error)")
    }

    @Test(arguments: [
        (Quantizer.f32, WeightFormat.f32), (.f16, .f16), (.q4_0, .q4_0), (.q4_1, .q4_1), (.q5_0, .q5_0), (.q8_0, .q8_0),
        (.q4_K, .q4_K),
    ])
    func `Zeros, constants and extremes stay what they are`(quantizer: Quantizer, format: WeightFormat) {
        #expect(decoded([Float](repeating: 0, count: 256), quantizer, format).allSatisfy { $0 == 0 })
        for value: Float in [1, -1, 0.125, -1024] {
            let back = decoded([Float](repeating: value, count: 256), quantizer, format)
            #expect(back.allSatisfy { abs($0 - value) <= abs(value) / 256 }, "\(value) \(back[0])")
        }
        // The largest halves and the smallest do not overflow or trap.
        for scale: Float in [65_504, 1e-7, 1e-30] {
            let back = decoded((0..<256).map { Float($0 % 17 - 8) / 8 * scale }, quantizer, format)
            #expect(back.allSatisfy { $0.isFinite && abs($0) <= scale * 1.2 })
        }
    }

    @Test func `Levels that a format holds exactly come back exactly`() {
        let symmetric = (0..<256).map { Float($0 * 7 % 16 - 8) * 0.25 }
        #expect(decoded(symmetric, .q4_0, .q4_0) == symmetric)
        let affine = (0..<256).map { Float($0 * 5 % 16) * 0.5 + 3 }
        #expect(decoded(affine, .q4_1, .q4_1) == affine)
    }
}
