#if arch(arm64)
import KernelsDotProd
import KernelsGeneric
import KernelsI8MM
import KernelsNEON
import KernelsVector

extension KernelTable {
    /// Decode is that of the DotProd tier: one vector fills half a matrix product.
    static var i8mm: KernelTable {
        KernelTable(
            tier: .i8mm, quantize: vectorQuantize, quantizePanel: vectorQuantizePanel, rmsNorm: vectorRMSNorm,
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
                    gemv: dotprodGemvQ4_0, unpack: neonUnpackOctetsQ4_0, gemm: i8mmGemmScaled,
                    dequantize: genericDequantizeQ4_0)
            case .q4_1:
                FormatKernels(
                    gemv: dotprodGemvQ4_1, unpack: neonUnpackOctetsQ4_1, gemm: i8mmGemmMinima,
                    dequantize: genericDequantizeQ4_1)
            case .q5_0:
                FormatKernels(
                    gemv: dotprodGemvQ5_0, unpack: neonUnpackOctetsQ5_0, gemm: i8mmGemmScaled,
                    dequantize: genericDequantizeQ5_0)
            case .q5_1:
                FormatKernels(
                    gemv: dotprodGemvQ5_1, unpack: neonUnpackOctetsQ5_1, gemm: i8mmGemmMinima,
                    dequantize: genericDequantizeQ5_1)
            case .q8_0:
                FormatKernels(
                    gemv: dotprodGemvQ8_0, unpack: neonUnpackOctetsQ8_0, gemm: i8mmGemmScaled,
                    dequantize: genericDequantizeQ8_0)
            case .q4_K:
                FormatKernels(
                    gemv: dotprodGemvQ4_K, unpack: neonUnpackOctetsQ4_K, gemm: i8mmGemmMinima,
                    dequantize: genericDequantizeQ4_K)
            case .q5_K:
                FormatKernels(
                    gemv: dotprodGemvQ5_K, unpack: neonUnpackOctetsQ5_K, gemm: i8mmGemmMinima,
                    dequantize: genericDequantizeQ5_K)
            case .q6_K:
                FormatKernels(
                    gemv: dotprodGemvQ6_K, unpack: neonUnpackOctetsQ6_K, gemm: i8mmGemmHalves,
                    dequantize: genericDequantizeQ6_K)
            case .iq4_NL:
                FormatKernels(
                    gemv: dotprodGemvIQ4_NL, unpack: neonUnpackOctetsIQ4_NL, gemm: i8mmGemmScaled,
                    dequantize: genericDequantizeIQ4_NL)
            }
        }
    }
}
#endif
