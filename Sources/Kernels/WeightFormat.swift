import KernelsGeneric
import QuantBlocks

/// How the rows of a matrix stand in its file.
public enum RowLayout: Sendable {
    /// One after the other, as GGUF has them.
    case consecutive
    /// Sixteen side by side, as `martlet model pack` writes them: see `InterleavedFormat`.
    case interleaved
}

/// The weight formats that have kernels. Raw values are ggml's, as GGUF stores them.
public enum WeightFormat: UInt32, Sendable, CaseIterable {
    case f32 = 0
    case f16 = 1
    case q4_0 = 2
    case q4_1 = 3
    case q5_0 = 6
    case q5_1 = 7
    case q8_0 = 8
    case q2_K = 10
    case q3_K = 11
    case q4_K = 12
    case q5_K = 13
    case q6_K = 14
    case iq4_NL = 20
    case iq4_XS = 23
    case bf16 = 30
    case mxfp4 = 39

    /// Whether the products use the quantised activations; the others use the floats.
    public var usesQuantizedActivations: Bool {
        switch self {
        case .f32, .f16, .bf16: false
        default: true
        }
    }

    /// Whether tiles hold floats (four bytes a weight) instead of bytes.
    public var hasFloatTile: Bool { !usesQuantizedActivations }

    /// Whether `martlet model pack` interleaves it: floats gain nothing, and the rarer formats are fast enough without.
    public var isInterleavable: Bool { interleave != nil }

    /// Rows as floats. The same on every tier: one row a token is looked up.
    public func dequantize(_ layout: RowLayout) -> DequantizeKernel {
        layout == .consecutive ? dequantizeConsecutive : dequantizeInterleaved
    }

    private var dequantizeConsecutive: DequantizeKernel {
        switch self {
        case .f32: genericDequantizeF32
        case .f16: genericDequantizeF16
        case .bf16: genericDequantizeBF16
        case .q4_0: genericDequantizeQ4_0
        case .q4_1: genericDequantizeQ4_1
        case .q5_0: genericDequantizeQ5_0
        case .q5_1: genericDequantizeQ5_1
        case .q8_0: genericDequantizeQ8_0
        case .q2_K: genericDequantizeQ2_K
        case .q3_K: genericDequantizeQ3_K
        case .q4_K: genericDequantizeQ4_K
        case .q5_K: genericDequantizeQ5_K
        case .q6_K: genericDequantizeQ6_K
        case .iq4_NL: genericDequantizeIQ4_NL
        case .iq4_XS: genericDequantizeIQ4_XS
        case .mxfp4: genericDequantizeMXFP4
        }
    }

    private var dequantizeInterleaved: DequantizeKernel {
        switch self {
        case .q4_0: genericDequantizeInterleavedQ4_0
        case .q4_1: genericDequantizeInterleavedQ4_1
        case .q5_0: genericDequantizeInterleavedQ5_0
        case .q5_1: genericDequantizeInterleavedQ5_1
        case .q8_0: genericDequantizeInterleavedQ8_0
        case .q4_K: genericDequantizeInterleavedQ4_K
        case .q5_K: genericDequantizeInterleavedQ5_K
        case .q6_K: genericDequantizeInterleavedQ6_K
        case .iq4_NL: genericDequantizeInterleavedIQ4_NL
        // Never interleaved.
        case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: dequantizeConsecutive
        }
    }

    /// Interleaves rows; nil where `isInterleavable` is false.
    public var interleave: InterleaveKernel? {
        switch self {
        case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: nil
        case .q4_0: genericInterleaveQ4_0
        case .q4_1: genericInterleaveQ4_1
        case .q5_0: genericInterleaveQ5_0
        case .q5_1: genericInterleaveQ5_1
        case .q8_0: genericInterleaveQ8_0
        case .q4_K: genericInterleaveQ4_K
        case .q5_K: genericInterleaveQ5_K
        case .q6_K: genericInterleaveQ6_K
        case .iq4_NL: genericInterleaveIQ4_NL
        }
    }

    /// Bytes of `tileRows` interleaved rows of `columns` weights, a multiple of the format's block; 0 where they never
    /// are.
    public func bandByteCount(columns: Int) -> Int {
        switch self {
        case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: 0
        case .q4_0: columns / (32 * InterleavedQ4_0.groups) * InterleavedQ4_0.recordBytes
        case .q4_1: columns / (32 * InterleavedQ4_1.groups) * InterleavedQ4_1.recordBytes
        case .q5_0: columns / (32 * InterleavedQ5_0.groups) * InterleavedQ5_0.recordBytes
        case .q5_1: columns / (32 * InterleavedQ5_1.groups) * InterleavedQ5_1.recordBytes
        case .q8_0: columns / (32 * InterleavedQ8_0.groups) * InterleavedQ8_0.recordBytes
        case .q4_K: columns / (32 * InterleavedQ4_K.groups) * InterleavedQ4_K.recordBytes
        case .q5_K: columns / (32 * InterleavedQ5_K.groups) * InterleavedQ5_K.recordBytes
        case .q6_K: columns / (32 * InterleavedQ6_K.groups) * InterleavedQ6_K.recordBytes
        case .iq4_NL: columns / (32 * InterleavedIQ4_NL.groups) * InterleavedIQ4_NL.recordBytes
        }
    }
}
