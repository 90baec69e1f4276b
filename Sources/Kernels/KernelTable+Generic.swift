import KernelsGeneric

extension KernelTable {
    private static func floats(_ gemv: @escaping GemvKernel, _ unpack: @escaping UnpackKernel) -> ProductKernels {
        ProductKernels(gemv: gemv, unpack: unpack, gemm: genericGemmFloat, panels: .floats)
    }

    static var generic: KernelTable {
        let functions = FloatKernels(
            quantize: genericQuantize, quantizePanel: genericQuantizePanel, rmsNorm: genericRMSNorm,
            layerNorm: genericLayerNorm, swiGLU: genericSwiGLU, geGLU: genericGeGLU, gelu: genericGelu,
            geluErf: genericGeluErf, softCap: genericSoftCap, rotateNeighbours: genericRotateNeighbours,
            rotateHalves: genericRotateHalves, softmax: genericSoftmax,
            attentionScores: genericAttentionScores, attentionValues: genericAttentionValues, toHalf: genericToHalf,
            widenKeys: genericWidenKeys, widenValues: genericWidenValues)
        return KernelTable(tier: .generic, floats: functions) { format in
            switch format {
            case .f32: floats(genericGemvF32, genericUnpackF32)
            case .f16: floats(genericGemvF16, genericUnpackF16)
            case .bf16: floats(genericGemvBF16, genericUnpackBF16)
            case .q4_0: ProductKernels(gemv: genericGemvQ4_0, unpack: genericUnpackQ4_0, gemm: genericGemm)
            case .q4_1: ProductKernels(gemv: genericGemvQ4_1, unpack: genericUnpackQ4_1, gemm: genericGemm)
            case .q5_0: ProductKernels(gemv: genericGemvQ5_0, unpack: genericUnpackQ5_0, gemm: genericGemm)
            case .q5_1: ProductKernels(gemv: genericGemvQ5_1, unpack: genericUnpackQ5_1, gemm: genericGemm)
            case .q8_0: ProductKernels(gemv: genericGemvQ8_0, unpack: genericUnpackQ8_0, gemm: genericGemm)
            case .q2_K: ProductKernels(gemv: genericGemvQ2_K, unpack: genericUnpackQ2_K, gemm: genericGemmHalfMinima)
            case .q3_K: ProductKernels(gemv: genericGemvQ3_K, unpack: genericUnpackQ3_K, gemm: genericGemm)
            case .q4_K: ProductKernels(gemv: genericGemvQ4_K, unpack: genericUnpackQ4_K, gemm: genericGemm)
            case .q5_K: ProductKernels(gemv: genericGemvQ5_K, unpack: genericUnpackQ5_K, gemm: genericGemm)
            case .q6_K: ProductKernels(gemv: genericGemvQ6_K, unpack: genericUnpackQ6_K, gemm: genericGemm)
            case .iq4_NL: ProductKernels(gemv: genericGemvIQ4_NL, unpack: genericUnpackIQ4_NL, gemm: genericGemm)
            case .iq4_XS: ProductKernels(gemv: genericGemvIQ4_XS, unpack: genericUnpackIQ4_XS, gemm: genericGemm)
            case .mxfp4: ProductKernels(gemv: genericGemvMXFP4, unpack: genericUnpackMXFP4, gemm: genericGemm)
            }
        } interleaved: { format in
            switch format {
            case .q4_0: InterleavedKernels(genericGemvInterleavedQ4_0, genericUnpackInterleavedQ4_0)
            case .q4_1: InterleavedKernels(genericGemvInterleavedQ4_1, genericUnpackInterleavedQ4_1)
            case .q5_0: InterleavedKernels(genericGemvInterleavedQ5_0, genericUnpackInterleavedQ5_0)
            case .q5_1: InterleavedKernels(genericGemvInterleavedQ5_1, genericUnpackInterleavedQ5_1)
            case .q8_0: InterleavedKernels(genericGemvInterleavedQ8_0, genericUnpackInterleavedQ8_0)
            case .q4_K: InterleavedKernels(genericGemvInterleavedQ4_K, genericUnpackInterleavedQ4_K)
            case .q5_K: InterleavedKernels(genericGemvInterleavedQ5_K, genericUnpackInterleavedQ5_K)
            case .q6_K: InterleavedKernels(genericGemvInterleavedQ6_K, genericUnpackInterleavedQ6_K)
            case .iq4_NL: InterleavedKernels(genericGemvInterleavedIQ4_NL, genericUnpackInterleavedIQ4_NL)
            case .f32, .f16, .bf16, .q2_K, .q3_K, .iq4_XS, .mxfp4: nil
            }
        }
    }
}
