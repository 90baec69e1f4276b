#if arch(arm64)
import KernelsDotProd
import KernelsGeneric
import KernelsNEON
import KernelsVector

extension KernelTable {
    static var dotprod: KernelTable {
        KernelTable(
            tier: .dotprod, quantize: vectorQuantize, quantizePanel: vectorQuantizePanel, rmsNorm: vectorRMSNorm,
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
                    gemv: dotprodGemvQ4_0, unpack: neonUnpackQuadsQ4_0, gemm: dotprodGemmScaled,
                    dequantize: genericDequantizeQ4_0)
            case .q4_1:
                FormatKernels(
                    gemv: dotprodGemvQ4_1, unpack: neonUnpackQuadsQ4_1, gemm: dotprodGemmMinima,
                    dequantize: genericDequantizeQ4_1)
            case .q5_0:
                FormatKernels(
                    gemv: dotprodGemvQ5_0, unpack: neonUnpackQuadsQ5_0, gemm: dotprodGemmScaled,
                    dequantize: genericDequantizeQ5_0)
            case .q5_1:
                FormatKernels(
                    gemv: dotprodGemvQ5_1, unpack: neonUnpackQuadsQ5_1, gemm: dotprodGemmMinima,
                    dequantize: genericDequantizeQ5_1)
            case .q8_0:
                FormatKernels(
                    gemv: dotprodGemvQ8_0, unpack: neonUnpackQuadsQ8_0, gemm: dotprodGemmScaled,
                    dequantize: genericDequantizeQ8_0)
            case .q4_K:
                FormatKernels(
                    gemv: dotprodGemvQ4_K, unpack: neonUnpackQuadsQ4_K, gemm: dotprodGemmMinima,
                    dequantize: genericDequantizeQ4_K)
            case .q5_K:
                FormatKernels(
                    gemv: dotprodGemvQ5_K, unpack: neonUnpackQuadsQ5_K, gemm: dotprodGemmMinima,
                    dequantize: genericDequantizeQ5_K)
            case .q6_K:
                FormatKernels(
                    gemv: dotprodGemvQ6_K, unpack: neonUnpackQuadsQ6_K, gemm: dotprodGemmHalves,
                    dequantize: genericDequantizeQ6_K)
            case .iq4_NL:
                FormatKernels(
                    gemv: dotprodGemvIQ4_NL, unpack: neonUnpackQuadsIQ4_NL, gemm: dotprodGemmScaled,
                    dequantize: genericDequantizeIQ4_NL)
            }
        }
    }
}
#endif
