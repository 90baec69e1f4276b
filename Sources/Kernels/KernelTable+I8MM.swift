#if arch(arm64)
import KernelsDotProd
import KernelsI8MM
import KernelsNEON

extension KernelTable {
    /// Decode is that of the DotProd tier: one vector fills half a matrix product.
    static var i8mm: KernelTable {
        vector(.i8mm) { format in
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
            case .f32, .f16: .vector(format)
            }
        }
    }
}
#endif
