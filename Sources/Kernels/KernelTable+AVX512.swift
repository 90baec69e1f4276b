#if arch(x86_64)
import KernelsAVX2
import KernelsAVX512

extension KernelTable {
    static var avx512: KernelTable {
        vector(.avx512) { format in
            switch format {
            case .q4_0: ProductKernels(gemv: avx512GemvQ4_0, unpack: avx2UnpackQ4_0, gemm: avx512GemmUnsigned)
            case .q4_1: ProductKernels(gemv: avx512GemvQ4_1, unpack: avx2UnpackQ4_1, gemm: avx512GemmUnsigned)
            case .q5_0: ProductKernels(gemv: avx512GemvQ5_0, unpack: avx2UnpackQ5_0, gemm: avx512GemmUnsigned)
            case .q5_1: ProductKernels(gemv: avx512GemvQ5_1, unpack: avx2UnpackQ5_1, gemm: avx512GemmUnsigned)
            case .q8_0: ProductKernels(gemv: avx512GemvQ8_0, unpack: avx2UnpackQ8_0, gemm: avx512GemmSigned)
            case .q4_K: ProductKernels(gemv: avx2GemvQ4_K, unpack: avx2UnpackQ4_K, gemm: avx512GemmUnsigned)
            case .q5_K: ProductKernels(gemv: avx2GemvQ5_K, unpack: avx2UnpackQ5_K, gemm: avx512GemmUnsigned)
            case .q6_K: ProductKernels(gemv: avx2GemvQ6_K, unpack: avx2UnpackQ6_K, gemm: avx512GemmHalves)
            case .iq4_NL: ProductKernels(gemv: avx512GemvIQ4_NL, unpack: avx2UnpackIQ4_NL, gemm: avx512GemmSigned)
            case .f32, .f16: .vector(format)
            }
        }
    }
}
#endif
