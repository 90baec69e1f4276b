#if arch(arm64)
import KernelsDotProd
import KernelsNEON

extension KernelTable {
    static var dotprod: KernelTable {
        vector(.dotprod) { format in
            switch format {
            case .q4_0: ProductKernels(gemv: dotprodGemvQ4_0, unpack: neonUnpackQuadsQ4_0, gemm: dotprodGemmScaled)
            case .q4_1: ProductKernels(gemv: dotprodGemvQ4_1, unpack: neonUnpackQuadsQ4_1, gemm: dotprodGemmMinima)
            case .q5_0: ProductKernels(gemv: dotprodGemvQ5_0, unpack: neonUnpackQuadsQ5_0, gemm: dotprodGemmScaled)
            case .q5_1: ProductKernels(gemv: dotprodGemvQ5_1, unpack: neonUnpackQuadsQ5_1, gemm: dotprodGemmMinima)
            case .q8_0: ProductKernels(gemv: dotprodGemvQ8_0, unpack: neonUnpackQuadsQ8_0, gemm: dotprodGemmScaled)
            case .q4_K: ProductKernels(gemv: dotprodGemvQ4_K, unpack: neonUnpackQuadsQ4_K, gemm: dotprodGemmMinima)
            case .q5_K: ProductKernels(gemv: dotprodGemvQ5_K, unpack: neonUnpackQuadsQ5_K, gemm: dotprodGemmMinima)
            case .q6_K: ProductKernels(gemv: dotprodGemvQ6_K, unpack: neonUnpackQuadsQ6_K, gemm: dotprodGemmHalves)
            case .iq4_NL: ProductKernels(gemv: dotprodGemvIQ4_NL, unpack: neonUnpackQuadsIQ4_NL, gemm: dotprodGemmScaled)
            case .f32, .f16: .vector(format)
            }
        }
    }
}
#endif
