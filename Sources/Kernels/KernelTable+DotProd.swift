#if arch(arm64)
import KernelsDotProd
import KernelsNEON

extension KernelTable {
    static var dotprod: KernelTable {
        vector(.dotprod, attentionValues: dotprodAttentionValues, quantizeWords: neonQuantizeWordQuads) { format in
            switch format {
            case .q4_0: ProductKernels(gemv: dotprodGemvQ4_0, unpack: neonUnpackQuadsQ4_0, gemm: dotprodGemmScaled)
            case .q4_1: ProductKernels(gemv: dotprodGemvQ4_1, unpack: neonUnpackQuadsQ4_1, gemm: dotprodGemmMinima)
            case .q5_0: ProductKernels(gemv: dotprodGemvQ5_0, unpack: neonUnpackQuadsQ5_0, gemm: dotprodGemmScaled)
            case .q5_1: ProductKernels(gemv: dotprodGemvQ5_1, unpack: neonUnpackQuadsQ5_1, gemm: dotprodGemmMinima)
            case .q8_0: ProductKernels(gemv: dotprodGemvQ8_0, unpack: neonUnpackQuadsQ8_0, gemm: dotprodGemmScaled)
            case .q4_K: ProductKernels(gemv: dotprodGemvQ4_K, unpack: neonUnpackQuadsQ4_K, gemm: dotprodGemmMinima)
            case .q5_K: ProductKernels(gemv: dotprodGemvQ5_K, unpack: neonUnpackQuadsQ5_K, gemm: dotprodGemmMinima)
            case .q6_K: ProductKernels(gemv: dotprodGemvQ6_K, unpack: neonUnpackQuadsQ6_K, gemm: dotprodGemmHalves)
            case .iq4_NL:
                ProductKernels(gemv: dotprodGemvIQ4_NL, unpack: neonUnpackQuadsIQ4_NL, gemm: dotprodGemmScaled)
            case .q2_K: ProductKernels(gemv: dotprodGemvQ2_K, unpack: neonUnpackQuadsQ2_K, gemm: dotprodGemmHalfMinima)
            case .q3_K: ProductKernels(gemv: dotprodGemvQ3_K, unpack: neonUnpackQuadsQ3_K, gemm: dotprodGemmHalves)
            case .iq4_XS:
                ProductKernels(gemv: dotprodGemvIQ4_XS, unpack: neonUnpackQuadsIQ4_XS, gemm: dotprodGemmScaled)
            case .mxfp4: ProductKernels(gemv: dotprodGemvMXFP4, unpack: neonUnpackQuadsMXFP4, gemm: dotprodGemmScaled)
            case .f32: .words(format, neonUnpackWordQuadsF32, dotprodGemmWords)
            case .f16: .words(format, neonUnpackWordQuadsF16, dotprodGemmWords)
            case .bf16: .words(format, neonUnpackWordQuadsBF16, dotprodGemmWords)
            }
        } interleaved: { format in
            switch format {
            case .q4_0: InterleavedKernels(dotprodGemvInterleavedQ4_0, neonUnpackQuadsInterleavedQ4_0)
            case .q4_1: InterleavedKernels(dotprodGemvInterleavedQ4_1, neonUnpackQuadsInterleavedQ4_1)
            case .q5_0: InterleavedKernels(dotprodGemvInterleavedQ5_0, neonUnpackQuadsInterleavedQ5_0)
            case .q5_1: InterleavedKernels(dotprodGemvInterleavedQ5_1, neonUnpackQuadsInterleavedQ5_1)
            case .q8_0: InterleavedKernels(dotprodGemvInterleavedQ8_0, neonUnpackQuadsInterleavedQ8_0)
            case .q4_K: InterleavedKernels(dotprodGemvInterleavedQ4_K, neonUnpackQuadsInterleavedQ4_K)
            case .q5_K: InterleavedKernels(dotprodGemvInterleavedQ5_K, neonUnpackQuadsInterleavedQ5_K)
            case .q6_K: InterleavedKernels(dotprodGemvInterleavedQ6_K, neonUnpackQuadsInterleavedQ6_K)
            case .iq4_NL: InterleavedKernels(dotprodGemvInterleavedIQ4_NL, neonUnpackQuadsInterleavedIQ4_NL)
            case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: nil
            }
        }
    }
}
#endif
