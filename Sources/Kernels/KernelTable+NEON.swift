#if arch(arm64)
import KernelsNEON

extension KernelTable {
    static var neon: KernelTable {
        vector(.neon) { format in
            switch format {
            case .q4_0: ProductKernels(gemv: neonGemvQ4_0, unpack: neonUnpackQ4_0, gemm: neonGemmNibble)
            case .q4_1: ProductKernels(gemv: neonGemvQ4_1, unpack: neonUnpackQ4_1, gemm: neonGemmNibbleMinima)
            case .q5_0: ProductKernels(gemv: neonGemvQ5_0, unpack: neonUnpackQ5_0, gemm: neonGemmFive)
            case .q5_1: ProductKernels(gemv: neonGemvQ5_1, unpack: neonUnpackQ5_1, gemm: neonGemmFiveMinima)
            case .q8_0: ProductKernels(gemv: neonGemvQ8_0, unpack: neonUnpackQ8_0, gemm: neonGemmByte)
            case .q4_K: ProductKernels(gemv: neonGemvQ4_K, unpack: neonUnpackQ4_K, gemm: neonGemmNibbleMinima)
            case .q5_K: ProductKernels(gemv: neonGemvQ5_K, unpack: neonUnpackQ5_K, gemm: neonGemmFiveMinima)
            case .q6_K: ProductKernels(gemv: neonGemvQ6_K, unpack: neonUnpackQ6_K, gemm: neonGemmSix)
            case .iq4_NL: ProductKernels(gemv: neonGemvIQ4_NL, unpack: neonUnpackIQ4_NL, gemm: neonGemmByte)
            case .q2_K: ProductKernels(gemv: neonGemvQ2_K, unpack: neonUnpackQ2_K, gemm: neonGemmHalfMinima)
            case .q3_K: ProductKernels(gemv: neonGemvQ3_K, unpack: neonUnpackQ3_K, gemm: neonGemmThree)
            case .iq4_XS: ProductKernels(gemv: neonGemvIQ4_XS, unpack: neonUnpackIQ4_XS, gemm: neonGemmByte)
            case .mxfp4: ProductKernels(gemv: neonGemvMXFP4, unpack: neonUnpackMXFP4, gemm: neonGemmFive)
            case .f32, .f16, .bf16: .vector(format)
            }
        } interleaved: { format in
            switch format {
            case .q4_0: InterleavedKernels(neonGemvInterleavedQ4_0, neonUnpackInterleavedQ4_0)
            case .q4_1: InterleavedKernels(neonGemvInterleavedQ4_1, neonUnpackInterleavedQ4_1)
            case .q5_0: InterleavedKernels(neonGemvInterleavedQ5_0, neonUnpackInterleavedQ5_0)
            case .q5_1: InterleavedKernels(neonGemvInterleavedQ5_1, neonUnpackInterleavedQ5_1)
            case .q8_0: InterleavedKernels(neonGemvInterleavedQ8_0, neonUnpackInterleavedQ8_0)
            case .q4_K: InterleavedKernels(neonGemvInterleavedQ4_K, neonUnpackInterleavedQ4_K)
            case .q5_K: InterleavedKernels(neonGemvInterleavedQ5_K, neonUnpackInterleavedQ5_K)
            case .q6_K: InterleavedKernels(neonGemvInterleavedQ6_K, neonUnpackInterleavedQ6_K)
            case .iq4_NL: InterleavedKernels(neonGemvInterleavedIQ4_NL, neonUnpackInterleavedIQ4_NL)
            case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: nil
            }
        }
    }
}
#endif
