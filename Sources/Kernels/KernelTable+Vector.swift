import KernelsVector

extension KernelTable {
    /// A tier above the generic one: the kernels on floats are the same source for all, compiled for 4 to 8 lanes.
    static func vector(
        _ tier: KernelTier, attentionValues: @escaping AttentionValuesKernel = vectorAttentionValues,
        products: @escaping @Sendable (WeightFormat) -> ProductKernels,
        interleaved: @escaping @Sendable (WeightFormat) -> InterleavedKernels?
    ) -> KernelTable {
        let floats = FloatKernels(
            quantize: vectorQuantize, quantizePanel: vectorQuantizePanel, rmsNorm: vectorRMSNorm,
            layerNorm: vectorLayerNorm, swiGLU: vectorSwiGLU, geGLU: vectorGeGLU, gelu: vectorGelu,
            geluErf: vectorGeluErf, softCap: vectorSoftCap, rotateNeighbours: vectorRotateNeighbours,
            rotateHalves: vectorRotateHalves, softmax: vectorSoftmax,
            attentionScores: vectorAttentionScores, attentionValues: attentionValues, toHalf: vectorToHalf,
            widenKeys: vectorWidenKeys, widenValues: vectorWidenValues)
        return KernelTable(tier: tier, floats: floats, products: products, interleaved: interleaved)
    }
}

extension ProductKernels {
    /// The products of weights that are floats, which need few instructions of their own.
    static func vector(_ format: WeightFormat, gemm: GemmKernel = vectorGemmFloat) -> ProductKernels {
        switch format {
        case .f16: ProductKernels(gemv: vectorGemvF16, unpack: vectorUnpackF16, gemm: gemm)
        case .bf16: ProductKernels(gemv: vectorGemvBF16, unpack: vectorUnpackBF16, gemm: gemm)
        default: ProductKernels(gemv: vectorGemvF32, unpack: vectorUnpackF32, gemm: gemm)
        }
    }
}
