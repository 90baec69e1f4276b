#if arch(x86_64)
import KernelsAVX2
import KernelsAVX512
import KernelsGeneric
import KernelsVector

extension KernelTable {
    static var avx512: KernelTable {
        KernelTable(
            tier: .avx512, quantize: vectorQuantize, quantizePanel: vectorQuantizePanel, rmsNorm: vectorRMSNorm,
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
                    gemv: avx512GemvQ4_0, unpack: avx2UnpackQ4_0, gemm: avx512GemmUnsigned,
                    dequantize: genericDequantizeQ4_0)
            case .q4_1:
                FormatKernels(
                    gemv: avx512GemvQ4_1, unpack: avx2UnpackQ4_1, gemm: avx512GemmUnsigned,
                    dequantize: genericDequantizeQ4_1)
            case .q5_0:
                FormatKernels(
                    gemv: avx512GemvQ5_0, unpack: avx2UnpackQ5_0, gemm: avx512GemmUnsigned,
                    dequantize: genericDequantizeQ5_0)
            case .q5_1:
                FormatKernels(
                    gemv: avx512GemvQ5_1, unpack: avx2UnpackQ5_1, gemm: avx512GemmUnsigned,
                    dequantize: genericDequantizeQ5_1)
            case .q8_0:
                FormatKernels(
                    gemv: avx512GemvQ8_0, unpack: avx2UnpackQ8_0, gemm: avx512GemmSigned,
                    dequantize: genericDequantizeQ8_0)
            case .q4_K:
                FormatKernels(
                    gemv: avx2GemvQ4_K, unpack: avx2UnpackQ4_K, gemm: avx512GemmUnsigned,
                    dequantize: genericDequantizeQ4_K)
            case .q5_K:
                FormatKernels(
                    gemv: avx2GemvQ5_K, unpack: avx2UnpackQ5_K, gemm: avx512GemmUnsigned,
                    dequantize: genericDequantizeQ5_K)
            case .q6_K:
                FormatKernels(
                    gemv: avx2GemvQ6_K, unpack: avx2UnpackQ6_K, gemm: avx512GemmHalves,
                    dequantize: genericDequantizeQ6_K)
            case .iq4_NL:
                FormatKernels(
                    gemv: avx512GemvIQ4_NL, unpack: avx2UnpackIQ4_NL, gemm: avx512GemmSigned,
                    dequantize: genericDequantizeIQ4_NL)
            }
        }
    }
}
#endif
