#if arch(x86_64)
import KernelsAVX2

extension KernelTable {
    static var avx2: KernelTable {
        vector(.avx2) { format in
            switch format {
            case .q4_0: ProductKernels(gemv: avx2GemvQ4_0, unpack: avx2UnpackQ4_0, gemm: avx2GemmNibble)
            case .q4_1: ProductKernels(gemv: avx2GemvQ4_1, unpack: avx2UnpackQ4_1, gemm: avx2GemmNibble)
            case .q5_0: ProductKernels(gemv: avx2GemvQ5_0, unpack: avx2UnpackQ5_0, gemm: avx2GemmFive)
            case .q5_1: ProductKernels(gemv: avx2GemvQ5_1, unpack: avx2UnpackQ5_1, gemm: avx2GemmFive)
            case .q8_0: ProductKernels(gemv: avx2GemvQ8_0, unpack: avx2UnpackQ8_0, gemm: avx2GemmSigned)
            case .q4_K: ProductKernels(gemv: avx2GemvQ4_K, unpack: avx2UnpackQ4_K, gemm: avx2GemmNibble)
            case .q5_K: ProductKernels(gemv: avx2GemvQ5_K, unpack: avx2UnpackQ5_K, gemm: avx2GemmFive)
            case .q6_K: ProductKernels(gemv: avx2GemvQ6_K, unpack: avx2UnpackQ6_K, gemm: avx2GemmHalves)
            case .iq4_NL: ProductKernels(gemv: avx2GemvIQ4_NL, unpack: avx2UnpackIQ4_NL, gemm: avx2GemmSigned)
            case .q2_K: ProductKernels(gemv: avx2GemvQ2_K, unpack: avx2UnpackQ2_K, gemm: avx2GemmHalfMinima)
            case .q3_K: ProductKernels(gemv: avx2GemvQ3_K, unpack: avx2UnpackQ3_K, gemm: avx2GemmHalves)
            case .iq4_XS: ProductKernels(gemv: avx2GemvIQ4_XS, unpack: avx2UnpackIQ4_XS, gemm: avx2GemmSigned)
            case .mxfp4: ProductKernels(gemv: avx2GemvMXFP4, unpack: avx2UnpackMXFP4, gemm: avx2GemmSignedNibble)
            case .f32, .f16, .bf16: .vector(format)
            }
        } interleaved: { format in
            switch format {
            case .q4_0: InterleavedKernels(avx2GemvInterleavedQ4_0, avx2UnpackInterleavedQ4_0)
            case .q4_1: InterleavedKernels(avx2GemvInterleavedQ4_1, avx2UnpackInterleavedQ4_1)
            case .q5_0: InterleavedKernels(avx2GemvInterleavedQ5_0, avx2UnpackInterleavedQ5_0)
            case .q5_1: InterleavedKernels(avx2GemvInterleavedQ5_1, avx2UnpackInterleavedQ5_1)
            case .q8_0: InterleavedKernels(avx2GemvInterleavedQ8_0, avx2UnpackInterleavedQ8_0)
            case .q4_K: InterleavedKernels(avx2GemvInterleavedQ4_K, avx2UnpackInterleavedQ4_K)
            case .q5_K: InterleavedKernels(avx2GemvInterleavedQ5_K, avx2UnpackInterleavedQ5_K)
            case .q6_K: InterleavedKernels(avx2GemvInterleavedQ6_K, avx2UnpackInterleavedQ6_K)
            case .iq4_NL: InterleavedKernels(avx2GemvInterleavedIQ4_NL, avx2UnpackInterleavedIQ4_NL)
            case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: nil
            }
        }
    }
}
#endif
