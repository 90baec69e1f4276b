#if arch(x86_64)
import KernelsAVX2
import KernelsAVX512

extension KernelTable {
    static var avx512: KernelTable {
        vector(.avx512, quantizeWords: avx512QuantizeWords) { format in
            switch format {
            case .q4_0: ProductKernels(gemv: avx512GemvQ4_0, unpack: avx2UnpackQ4_0, gemm: avx512GemmCentred)
            case .q4_1: ProductKernels(gemv: avx512GemvQ4_1, unpack: avx2UnpackQ4_1, gemm: avx512GemmUnsigned)
            case .q5_0: ProductKernels(gemv: avx512GemvQ5_0, unpack: avx2UnpackQ5_0, gemm: avx512GemmUnsigned)
            case .q5_1: ProductKernels(gemv: avx512GemvQ5_1, unpack: avx2UnpackQ5_1, gemm: avx512GemmUnsigned)
            case .q8_0: ProductKernels(gemv: avx512GemvQ8_0, unpack: avx2UnpackQ8_0, gemm: avx512GemmSigned)
            case .q4_K: ProductKernels(gemv: avx2GemvQ4_K, unpack: avx2UnpackQ4_K, gemm: avx512GemmUnsigned)
            case .q5_K: ProductKernels(gemv: avx2GemvQ5_K, unpack: avx2UnpackQ5_K, gemm: avx512GemmUnsigned)
            case .q6_K: ProductKernels(gemv: avx2GemvQ6_K, unpack: avx2UnpackQ6_K, gemm: avx512GemmHalves)
            case .iq4_NL: ProductKernels(gemv: avx512GemvIQ4_NL, unpack: avx2UnpackIQ4_NL, gemm: avx512GemmSigned)
            case .q2_K: ProductKernels(gemv: avx512GemvQ2_K, unpack: avx2UnpackQ2_K, gemm: avx512GemmHalfMinima)
            case .q3_K: ProductKernels(gemv: avx512GemvQ3_K, unpack: avx2UnpackQ3_K, gemm: avx512GemmHalves)
            case .iq4_XS: ProductKernels(gemv: avx512GemvIQ4_XS, unpack: avx2UnpackIQ4_XS, gemm: avx512GemmSigned)
            case .mxfp4: ProductKernels(gemv: avx2GemvMXFP4, unpack: avx2UnpackMXFP4, gemm: avx512GemmSigned)
            case .f32: .words(format, avx512UnpackWordsF32, avx512GemmWords)
            case .f16: .words(format, avx512UnpackWordsF16, avx512GemmWords)
            case .bf16: .words(format, avx512UnpackWordsBF16, avx512GemmWords)
            }
        } interleaved: { format in
            switch format {
            case .q4_0: InterleavedKernels(avx512GemvInterleavedQ4_0, avx2UnpackInterleavedQ4_0)
            case .q4_1: InterleavedKernels(avx512GemvInterleavedQ4_1, avx2UnpackInterleavedQ4_1)
            case .q5_0: InterleavedKernels(avx512GemvInterleavedQ5_0, avx2UnpackInterleavedQ5_0)
            case .q5_1: InterleavedKernels(avx512GemvInterleavedQ5_1, avx2UnpackInterleavedQ5_1)
            case .q8_0: InterleavedKernels(avx512GemvInterleavedQ8_0, avx2UnpackInterleavedQ8_0)
            case .q4_K: InterleavedKernels(avx512GemvInterleavedQ4_K, avx2UnpackInterleavedQ4_K)
            case .q5_K: InterleavedKernels(avx512GemvInterleavedQ5_K, avx2UnpackInterleavedQ5_K)
            case .q6_K: InterleavedKernels(avx512GemvInterleavedQ6_K, avx2UnpackInterleavedQ6_K)
            case .iq4_NL: InterleavedKernels(avx512GemvInterleavedIQ4_NL, avx2UnpackInterleavedIQ4_NL)
            case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: nil
            }
        }
    }
}
#endif
