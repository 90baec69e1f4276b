import KernelsVector

extension KernelTable {
    /// A tier above the generic one: the kernels on floats are the same source for all, compiled for 4 to 8 lanes.
    static func vector(
        _ tier: KernelTier, attentionValues: @escaping AttentionValuesKernel = vectorAttentionValues,
        quantizeWords: QuantizePanelKernel? = nil,
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
        return KernelTable(
            tier: tier, floats: floats, quantizeWords: quantizeWords, products: products, interleaved: interleaved)
    }
}

extension ProductKernels {
    /// The products of weights that are floats, which need few instructions of their own.
    static func vector(_ format: WeightFormat) -> ProductKernels {
        ProductKernels(
            gemv: vectorGemv(format), unpack: vectorUnpack(format), gemm: vectorGemmFloat, panels: .floats)
    }

    /// The same with tiles of words; a single token's product stays one of floats.
    static func words(_ format: WeightFormat, _ unpack: @escaping UnpackKernel, _ gemm: @escaping GemmKernel)
        -> ProductKernels
    { ProductKernels(gemv: vectorGemv(format), unpack: unpack, gemm: gemm, panels: .words) }

    private static func vectorGemv(_ format: WeightFormat) -> GemvKernel {
        switch format {
        case .f16: vectorGemvF16
        case .bf16: vectorGemvBF16
        default: vectorGemvF32
        }
    }

    private static func vectorUnpack(_ format: WeightFormat) -> UnpackKernel {
        switch format {
        case .f16: vectorUnpackF16
        case .bf16: vectorUnpackBF16
        default: vectorUnpackF32
        }
    }
}
