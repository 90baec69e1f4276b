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
            case .f32, .f16: .vector(format)
            }
        }
    }
}
#endif
