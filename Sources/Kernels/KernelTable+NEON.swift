#if arch(arm64)
import KernelsGeneric
import KernelsNEON
import KernelsVector

extension KernelTable {
    static var neon: KernelTable {
        KernelTable(
            tier: .neon, quantize: vectorQuantize, quantizePanel: vectorQuantizePanel, rmsNorm: vectorRMSNorm,
            swiGLU: vectorSwiGLU, softmax: vectorSoftmax, attentionScores: vectorAttentionScores,
            attentionValues: vectorAttentionValues, toHalf: vectorToHalf
        ) { format in
            switch format {
            case .f32:
                FormatKernels(
                    gemv: vectorGemvF32, unpack: vectorUnpackF32, gemm: vectorGemmFloat,
                    dequantize: genericDequantizeF32)
            case .f16:
                FormatKernels(
                    gemv: vectorGemvF16, unpack: vectorUnpackF16, gemm: vectorGemmFloat,
                    dequantize: genericDequantizeF16)
            case .q4_0:
                FormatKernels(
                    gemv: neonGemvQ4_0, unpack: neonUnpackQ4_0, gemm: neonGemmNibble,
                    dequantize: genericDequantizeQ4_0)
            case .q4_1:
                FormatKernels(
                    gemv: neonGemvQ4_1, unpack: neonUnpackQ4_1, gemm: neonGemmNibbleMinima,
                    dequantize: genericDequantizeQ4_1)
            case .q5_0:
                FormatKernels(
                    gemv: neonGemvQ5_0, unpack: neonUnpackQ5_0, gemm: neonGemmFive,
                    dequantize: genericDequantizeQ5_0)
            case .q5_1:
                FormatKernels(
                    gemv: neonGemvQ5_1, unpack: neonUnpackQ5_1, gemm: neonGemmFiveMinima,
                    dequantize: genericDequantizeQ5_1)
            case .q8_0:
                FormatKernels(
                    gemv: neonGemvQ8_0, unpack: neonUnpackQ8_0, gemm: neonGemmByte,
                    dequantize: genericDequantizeQ8_0)
            case .q4_K:
                FormatKernels(
                    gemv: neonGemvQ4_K, unpack: neonUnpackQ4_K, gemm: neonGemmNibbleMinima,
                    dequantize: genericDequantizeQ4_K)
            case .q5_K:
                FormatKernels(
                    gemv: neonGemvQ5_K, unpack: neonUnpackQ5_K, gemm: neonGemmFiveMinima,
                    dequantize: genericDequantizeQ5_K)
            case .q6_K:
                FormatKernels(
                    gemv: neonGemvQ6_K, unpack: neonUnpackQ6_K, gemm: neonGemmSix,
                    dequantize: genericDequantizeQ6_K)
            case .iq4_NL:
                FormatKernels(
                    gemv: neonGemvIQ4_NL, unpack: neonUnpackIQ4_NL, gemm: neonGemmByte,
                    dequantize: genericDequantizeIQ4_NL)
            }
        }
    }
}
#endif
