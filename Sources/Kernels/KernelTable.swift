import Linux
import QuantBlocks

/// Quantises floats to signed bytes, 32 a scale: x, count (multiple of 32), q, pairs (d, s = d Σ q).
public typealias QuantizeKernel =
    @convention(c) (
        UnsafePointer<Float>, Int, UnsafeMutablePointer<Int8>, UnsafeMutablePointer<Float>
    ) -> Void

/// Quantises up to four tokens into a panel (see `panelTokens`): x, x stride, tokens, count, q, scales.
public typealias QuantizePanelKernel =
    @convention(c) (
        UnsafePointer<Float>, Int, Int, Int, UnsafeMutablePointer<Int8>, UnsafeMutablePointer<Float>
    ) -> Void

/// Rows × one vector: w, row bytes, rows, k, q (k), ds (k / 32 pairs), x (k), y (rows).
public typealias GemvKernel =
    @convention(c) (
        UnsafeRawPointer, Int, Int, Int, UnsafePointer<Int8>, UnsafePointer<Float>, UnsafePointer<Float>,
        UnsafeMutablePointer<Float>
    ) -> Void

/// Unpacks a tile: w, row bytes, rows (1…tileRows), k, tile bytes, tile scales. The layout is the tier's own.
public typealias UnpackKernel =
    @convention(c) (
        UnsafeRawPointer, Int, Int, Int, UnsafeMutableRawPointer, UnsafeMutablePointer<Float>
    ) -> Void

/// Tile × batch: tile, scales, k, q panels, scale panels, x, x stride, tokens, y (tokens, tileRows).
///
/// Writes whole panels: y must have room for the tokens rounded up to `panelTokens`.
public typealias GemmKernel =
    @convention(c) (
        UnsafeRawPointer, UnsafePointer<Float>, Int, UnsafePointer<Int8>, UnsafePointer<Float>,
        UnsafePointer<Float>, Int, Int, UnsafeMutablePointer<Float>
    ) -> Void

/// One row of weights as floats: w, row bytes, row, k, y.
public typealias DequantizeKernel =
    @convention(c) (UnsafeRawPointer, Int, Int, Int, UnsafeMutablePointer<Float>) -> Void

/// Interleaves `tileRows` rows of a format into a band: rows, row bytes, k, band (zeros).
public typealias InterleaveKernel =
    @convention(c) (UnsafeRawPointer, Int, Int, UnsafeMutableRawPointer) -> Void

/// y = w · x / rms(x): x, w, y, count, epsilon.
public typealias RMSNormKernel =
    @convention(c) (
        UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int, Float
    ) -> Void

/// y = w · (x − mean) / deviation + b: x, w, b (nil for none), y, count, epsilon.
public typealias LayerNormKernel =
    @convention(c) (
        UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>?, UnsafeMutablePointer<Float>, Int, Float
    ) -> Void

/// y = act(x): x, y, count.
public typealias ActivationKernel =
    @convention(c) (UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void

/// x = cap · tanh(x / cap), in place: x, count, cap.
public typealias SoftCapKernel = @convention(c) (UnsafeMutablePointer<Float>, Int, Float) -> Void

/// y = act(gate) · up: gate, up, y, count.
public typealias GatedKernel =
    @convention(c) (
        UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int
    ) -> Void

/// Rotates pairs of elements in place: x, cosines, sines, pairs.
public typealias RotateKernel =
    @convention(c) (
        UnsafeMutablePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>, Int
    ) -> Void

/// Scores to probabilities, in place: scores, count.
public typealias SoftmaxKernel = @convention(c) (UnsafeMutablePointer<Float>, Int) -> Void

/// Queries × cached keys: query (rows, dimension), rows, dimension, keys (blocks, dimension, 8), blocks, scores, stride.
public typealias AttentionScoresKernel =
    @convention(c) (
        UnsafePointer<Float>, Int, Int, UnsafePointer<UInt16>, Int, UnsafeMutablePointer<Float>, Int
    ) -> Void

/// Probabilities × cached values: weights, stride, rows, values (count, dimension), count, dimension, out.
public typealias AttentionValuesKernel =
    @convention(c) (
        UnsafePointer<Float>, Int, Int, UnsafePointer<UInt16>, Int, Int, UnsafeMutablePointer<Float>
    ) -> Void

/// Narrows floats to halves: x, y, count.
public typealias ToHalfKernel = @convention(c) (UnsafePointer<Float>, UnsafeMutablePointer<UInt16>, Int) -> Void

/// Bytes of the cache as halves: bytes, scales, dimension, blocks of keys or number of values, y.
public typealias WidenKernel =
    @convention(c) (
        UnsafePointer<Int8>, UnsafePointer<UInt16>, Int, Int, UnsafeMutablePointer<UInt16>
    ) -> Void

/// How a tile's product reads the activations.
public enum PanelForm: Sendable {
    /// As they are.
    case floats
    /// Panels of bytes, made by `KernelTable.quantizePanel`.
    case bytes
    /// Wide panels, made by `KernelTable.quantizeWords`: see `wideBlock`.
    case words
}

/// A tier's products of one weight format.
public struct ProductKernels: Sendable {
    public let gemv: GemvKernel
    public let unpack: UnpackKernel
    public let gemm: GemmKernel
    public let panels: PanelForm

    init(
        gemv: @escaping GemvKernel, unpack: @escaping UnpackKernel, gemm: @escaping GemmKernel,
        panels: PanelForm = .bytes
    ) {
        self.gemv = gemv
        self.unpack = unpack
        self.gemm = gemm
        self.panels = panels
    }
}

/// A tier's kernels that differ where rows are interleaved: their tiles are those of the format.
struct InterleavedKernels: Sendable {
    let gemv: GemvKernel
    let unpack: UnpackKernel

    init(_ gemv: GemvKernel, _ unpack: UnpackKernel) {
        self.gemv = gemv
        self.unpack = unpack
    }
}

/// Every kernel of one instruction-set tier, chosen once at start.
///
/// Function pointers are `@convention(c)`, so a call neither retains a context nor goes through a thunk.
public struct KernelTable: Sendable {
    public let tier: KernelTier
    public let quantize: QuantizeKernel
    public let quantizePanel: QuantizePanelKernel
    /// Makes wide panels; nil where no product reads them.
    public let quantizeWords: QuantizePanelKernel?
    public let rmsNorm: RMSNormKernel
    public let layerNorm: LayerNormKernel
    public let swiGLU: GatedKernel
    public let geGLU: GatedKernel
    public let gelu: ActivationKernel
    public let geluErf: ActivationKernel
    public let softCap: SoftCapKernel
    public let rotateNeighbours: RotateKernel
    public let rotateHalves: RotateKernel
    public let softmax: SoftmaxKernel
    public let attentionScores: AttentionScoresKernel
    public let attentionValues: AttentionValuesKernel
    public let toHalf: ToHalfKernel
    public let widenKeys: WidenKernel
    public let widenValues: WidenKernel
    let products: @Sendable (WeightFormat) -> ProductKernels
    let interleaved: @Sendable (WeightFormat) -> InterleavedKernels?

    /// The products of matrices of `format` whose rows stand as `layout` says.
    ///
    /// Kernels of interleaved rows begin at whole bands: w is the address of a row that is a multiple of `tileRows`.
    public subscript(format: WeightFormat, layout: RowLayout = .consecutive) -> ProductKernels {
        let kernels = products(format)
        guard layout == .interleaved, let interleaved = interleaved(format) else { return kernels }
        return ProductKernels(
            gemv: interleaved.gemv, unpack: interleaved.unpack, gemm: kernels.gemm,
            panels: kernels.panels)
    }

    /// The kernels of `tier`. The caller has checked that the processor runs it.
    public init(tier: KernelTier) {
        switch tier {
        #if arch(arm64)
        case .neon: self = .neon
        case .dotprod: self = .dotprod
        case .i8mm: self = .i8mm
        #elseif arch(x86_64)
        case .avx2: self = .avx2
        case .avx512: self = .avx512
        #endif
        default: self = .generic
        }
    }

    init(
        tier: KernelTier, floats: FloatKernels, quantizeWords: QuantizePanelKernel? = nil,
        products: @escaping @Sendable (WeightFormat) -> ProductKernels,
        interleaved: @escaping @Sendable (WeightFormat) -> InterleavedKernels?
    ) {
        self.tier = tier
        quantize = floats.quantize
        quantizePanel = floats.quantizePanel
        self.quantizeWords = quantizeWords
        rmsNorm = floats.rmsNorm
        layerNorm = floats.layerNorm
        swiGLU = floats.swiGLU
        geGLU = floats.geGLU
        gelu = floats.gelu
        geluErf = floats.geluErf
        softCap = floats.softCap
        rotateNeighbours = floats.rotateNeighbours
        rotateHalves = floats.rotateHalves
        softmax = floats.softmax
        attentionScores = floats.attentionScores
        attentionValues = floats.attentionValues
        toHalf = floats.toHalf
        widenKeys = floats.widenKeys
        widenValues = floats.widenValues
        self.products = products
        self.interleaved = interleaved
    }
}

/// A tier's kernels on activations.
struct FloatKernels {
    let quantize: QuantizeKernel
    let quantizePanel: QuantizePanelKernel
    let rmsNorm: RMSNormKernel
    let layerNorm: LayerNormKernel
    let swiGLU: GatedKernel
    let geGLU: GatedKernel
    let gelu: ActivationKernel
    let geluErf: ActivationKernel
    let softCap: SoftCapKernel
    let rotateNeighbours: RotateKernel
    let rotateHalves: RotateKernel
    let softmax: SoftmaxKernel
    let attentionScores: AttentionScoresKernel
    let attentionValues: AttentionValuesKernel
    let toHalf: ToHalfKernel
    let widenKeys: WidenKernel
    let widenValues: WidenKernel
}
