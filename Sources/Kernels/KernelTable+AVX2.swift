#if arch(x86_64)
import KernelsGeneric
import KernelsAVX2
import KernelsVector

extension KernelTable {
    static var avx2: KernelTable {
        KernelTable(
            tier: .avx2, quantize: vectorQuantize, rmsNorm: vectorRMSNorm, swiGLU: vectorSwiGLU,
            softmax: vectorSoftmax, attentionScores: vectorAttentionScores,
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
                    gemv: avx2GemvQ4_0, unpack: avx2UnpackQ4_0, gemm: avx2GemmNibble,
                    dequantize: genericDequantizeQ4_0)
            case .q4_1:
                FormatKernels(
                    gemv: avx2GemvQ4_1, unpack: avx2UnpackQ4_1, gemm: avx2GemmNibble,
                    dequantize: genericDequantizeQ4_1)
            case .q8_0:
                FormatKernels(
                    gemv: avx2GemvQ8_0, unpack: avx2UnpackQ8_0, gemm: avx2GemmQ8_0,
                    dequantize: genericDequantizeQ8_0)
            case .q4_K:
                FormatKernels(
                    gemv: avx2GemvQ4_K, unpack: avx2UnpackQ4_K, gemm: avx2GemmNibble,
                    dequantize: genericDequantizeQ4_K)
            case .q6_K:
                FormatKernels(
                    gemv: avx2GemvQ6_K, unpack: avx2UnpackQ6_K, gemm: avx2GemmQ6_K,
                    dequantize: genericDequantizeQ6_K)
            }
        }
    }
}
#endif
