import KernelsGeneric

extension KernelTable {
    static var generic: KernelTable {
        KernelTable(
            tier: .generic, quantize: genericQuantize, quantizePanel: genericQuantizePanel, rmsNorm: genericRMSNorm,
            swiGLU: genericSwiGLU, softmax: genericSoftmax, attentionScores: genericAttentionScores,
            attentionValues: genericAttentionValues, toHalf: genericToHalf
        ) { format in
            switch format {
            case .f32:
                FormatKernels(
                    gemv: genericGemvF32, unpack: genericUnpackF32, gemm: genericGemmFloat,
                    dequantize: genericDequantizeF32)
            case .f16:
                FormatKernels(
                    gemv: genericGemvF16, unpack: genericUnpackF16, gemm: genericGemmFloat,
                    dequantize: genericDequantizeF16)
            case .q4_0:
                FormatKernels(
                    gemv: genericGemvQ4_0, unpack: genericUnpackQ4_0, gemm: genericGemm,
                    dequantize: genericDequantizeQ4_0)
            case .q4_1:
                FormatKernels(
                    gemv: genericGemvQ4_1, unpack: genericUnpackQ4_1, gemm: genericGemm,
                    dequantize: genericDequantizeQ4_1)
            case .q5_0:
                FormatKernels(
                    gemv: genericGemvQ5_0, unpack: genericUnpackQ5_0, gemm: genericGemm,
                    dequantize: genericDequantizeQ5_0)
            case .q5_1:
                FormatKernels(
                    gemv: genericGemvQ5_1, unpack: genericUnpackQ5_1, gemm: genericGemm,
                    dequantize: genericDequantizeQ5_1)
            case .q8_0:
                FormatKernels(
                    gemv: genericGemvQ8_0, unpack: genericUnpackQ8_0, gemm: genericGemm,
                    dequantize: genericDequantizeQ8_0)
            case .q4_K:
                FormatKernels(
                    gemv: genericGemvQ4_K, unpack: genericUnpackQ4_K, gemm: genericGemm,
                    dequantize: genericDequantizeQ4_K)
            case .q5_K:
                FormatKernels(
                    gemv: genericGemvQ5_K, unpack: genericUnpackQ5_K, gemm: genericGemm,
                    dequantize: genericDequantizeQ5_K)
            case .q6_K:
                FormatKernels(
                    gemv: genericGemvQ6_K, unpack: genericUnpackQ6_K, gemm: genericGemm,
                    dequantize: genericDequantizeQ6_K)
            case .iq4_NL:
                FormatKernels(
                    gemv: genericGemvIQ4_NL, unpack: genericUnpackIQ4_NL, gemm: genericGemm,
                    dequantize: genericDequantizeIQ4_NL)
            }
        }
    }
}
