#if arch(arm64)
import KernelsDotProd
import KernelsI8MM
import KernelsNEON

extension KernelTable {
    /// Decode is that of the DotProd tier: one vector fills half a matrix product.
    static var i8mm: KernelTable {
        vector(.i8mm, attentionValues: dotprodAttentionValues, quantizeWords: neonQuantizeWordOctets) { format in
            switch format {
            case .q4_0: ProductKernels(gemv: dotprodGemvQ4_0, unpack: neonUnpackOctetsQ4_0, gemm: i8mmGemmScaled)
            case .q4_1: ProductKernels(gemv: dotprodGemvQ4_1, unpack: neonUnpackOctetsQ4_1, gemm: i8mmGemmMinima)
            case .q5_0: ProductKernels(gemv: dotprodGemvQ5_0, unpack: neonUnpackOctetsQ5_0, gemm: i8mmGemmScaled)
            case .q5_1: ProductKernels(gemv: dotprodGemvQ5_1, unpack: neonUnpackOctetsQ5_1, gemm: i8mmGemmMinima)
            case .q8_0: ProductKernels(gemv: dotprodGemvQ8_0, unpack: neonUnpackOctetsQ8_0, gemm: i8mmGemmScaled)
            case .q4_K: ProductKernels(gemv: dotprodGemvQ4_K, unpack: neonUnpackOctetsQ4_K, gemm: i8mmGemmMinima)
            case .q5_K: ProductKernels(gemv: dotprodGemvQ5_K, unpack: neonUnpackOctetsQ5_K, gemm: i8mmGemmMinima)
            case .q6_K: ProductKernels(gemv: dotprodGemvQ6_K, unpack: neonUnpackOctetsQ6_K, gemm: i8mmGemmHalves)
            case .iq4_NL: ProductKernels(gemv: dotprodGemvIQ4_NL, unpack: neonUnpackOctetsIQ4_NL, gemm: i8mmGemmScaled)
            case .q2_K: ProductKernels(gemv: dotprodGemvQ2_K, unpack: neonUnpackOctetsQ2_K, gemm: i8mmGemmHalfMinima)
            case .q3_K: ProductKernels(gemv: dotprodGemvQ3_K, unpack: neonUnpackOctetsQ3_K, gemm: i8mmGemmHalves)
            case .iq4_XS:
                ProductKernels(gemv: dotprodGemvIQ4_XS, unpack: neonUnpackOctetsIQ4_XS, gemm: i8mmGemmScaled)
            case .mxfp4: ProductKernels(gemv: dotprodGemvMXFP4, unpack: neonUnpackOctetsMXFP4, gemm: i8mmGemmScaled)
            case .f32: .words(format, neonUnpackWordOctetsF32, i8mmGemmWords)
            case .f16: .words(format, neonUnpackWordOctetsF16, i8mmGemmWords)
            case .bf16: .words(format, neonUnpackWordOctetsBF16, i8mmGemmWords)
            }
        } interleaved: { format in
            switch format {
            case .q4_0: InterleavedKernels(dotprodGemvInterleavedQ4_0, neonUnpackOctetsInterleavedQ4_0)
            case .q4_1: InterleavedKernels(dotprodGemvInterleavedQ4_1, neonUnpackOctetsInterleavedQ4_1)
            case .q5_0: InterleavedKernels(dotprodGemvInterleavedQ5_0, neonUnpackOctetsInterleavedQ5_0)
            case .q5_1: InterleavedKernels(dotprodGemvInterleavedQ5_1, neonUnpackOctetsInterleavedQ5_1)
            case .q8_0: InterleavedKernels(dotprodGemvInterleavedQ8_0, neonUnpackOctetsInterleavedQ8_0)
            case .q4_K: InterleavedKernels(dotprodGemvInterleavedQ4_K, neonUnpackOctetsInterleavedQ4_K)
            case .q5_K: InterleavedKernels(dotprodGemvInterleavedQ5_K, neonUnpackOctetsInterleavedQ5_K)
            case .q6_K: InterleavedKernels(dotprodGemvInterleavedQ6_K, neonUnpackOctetsInterleavedQ6_K)
            case .iq4_NL: InterleavedKernels(dotprodGemvInterleavedIQ4_NL, neonUnpackOctetsInterleavedIQ4_NL)
            case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: nil
            }
        }
    }
}
#endif
