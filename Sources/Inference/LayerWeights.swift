import Kernels
import QuantBlocks

/// A weight matrix as it stands in the file, with the kernels of its format. Borrows the mapping.
///
/// Shape: (rows, columns); a product maps a vector of `columns` to one of `rows`.
// @unchecked because the bytes are read-only pages and the function pointers are constants.
struct Matrix: @unchecked Sendable {
    let bytes: UnsafeRawPointer
    let rows: Int
    let columns: Int
    let rowByteCount: Int
    let format: WeightFormat
    let layout: RowLayout
    let kernels: ProductKernels
    /// Added to each product (rows); nil for none.
    var bias: Vector?
    /// The tensor it is, or is a part of, for adapters; −1 where they cannot act.
    var slot = -1
    /// Its first row within the tensor.
    var firstRow = 0

    var byteCount: Int { rows * rowByteCount }

    /// The form it reads its input in.
    var reads: InputForms {
        switch kernels.panels {
        case .floats: []
        case .bytes: .bytes
        case .words: .words
        }
    }

    /// Rows `first ..< first + count` as a matrix: a part of a fused one, or one expert's.
    ///
    /// Interleaved rows are cut between bands only: `first` is a multiple of `tileRows` then.
    func part(_ first: Int, _ count: Int) -> Matrix {
        Matrix(
            bytes: bytes + first &* rowByteCount, rows: count, columns: columns, rowByteCount: rowByteCount,
            format: format, layout: layout, kernels: kernels,
            bias: bias.map { Vector(floats: $0.floats + first, count: count) }, slot: slot,
            firstRow: firstRow &+ first)
    }

    /// Rows `first ..< first + rows` × one activation vector, to `y`.
    ///
    /// Interleaved rows are computed by whole bands: a row within one takes its band.
    func multiply(_ first: Int, _ rows: Int, _ input: Activations, to y: UnsafeMutablePointer<Float>) {
        let skipped = layout == .interleaved ? first % tileRows : 0
        let from = bytes + (first &- skipped) &* rowByteCount
        if skipped == 0 {
            kernels.gemv(from, rowByteCount, rows, columns, input.q, input.ds, input.x, y)
        } else {
            multiplyWithinBands(first, rows, input, to: y)
        }
        addBias(first, rows, to: y)
    }

    /// One row as floats (columns).
    func row(_ index: Int, to y: UnsafeMutablePointer<Float>) {
        format.dequantize(layout)(bytes, rowByteCount, index, columns, y)
    }

    private func multiplyWithinBands(
        _ first: Int, _ rows: Int, _ input: Activations, to y: UnsafeMutablePointer<Float>
    ) {
        var done = 0
        while done < rows {
            let (lane, row) = ((first &+ done) % tileRows, first &+ done)
            let some = min(tileRows &- lane, rows &- done)
            withUnsafeTemporaryAllocation(of: Float.self, capacity: tileRows) { band in
                guard let base = band.baseAddress else { return }
                kernels.gemv(
                    bytes + (row &- lane) &* rowByteCount, rowByteCount, tileRows, columns, input.q, input.ds, input.x,
                    base)
                for r in 0..<some { y[done &+ r] = base[lane &+ r] }
            }
            done &+= some
        }
    }

    @inline(__always)  // a test of a pointer for most
    func addBias(_ first: Int, _ rows: Int, to y: UnsafeMutablePointer<Float>) {
        guard let bias else { return }
        for r in 0..<rows { y[r] += bias.floats[first &+ r] }
    }
}

/// The quantised forms in which the matrices behind a step read its input; floats are there for all.
struct InputForms: OptionSet {
    let rawValue: UInt8

    /// Bytes: a single token's vector, a batch's panels.
    static let bytes = InputForms(rawValue: 1)
    /// A batch's wide panels; a single token is read as floats.
    static let words = InputForms(rawValue: 2)
}

/// A vector of floats in the mapping. Borrows it.
// @unchecked because the bytes are read-only pages.
struct Vector: @unchecked Sendable {
    let floats: UnsafePointer<Float>
    let count: Int
}

/// A norm's weight and, for layer norms, its bias.
struct Norm: Sendable {
    let weight: Vector
    let bias: Vector?
}

/// The weights of one layer. Names follow GGUF. All of it is plain data: a copy counts no references.
struct LayerWeights: Sendable {
    let config: LayerConfig
    /// Nil where the block reads the residual stream as it is.
    let attnNorm: Norm?
    let mixer: Mixer
    /// Behind attention: of what it yields, or of the sum (`LayerPlan.normsSums`).
    let postAttentionNorm: Norm?
    let ffnNorm: Norm?
    /// Nil where the layer has experts.
    let feedForward: FeedForwardWeights?
    let experts: ExpertWeights?
    let postFfwNorm: Norm?

    /// How its matrices read what they are given.
    var forms: InputForms {
        let mixed: InputForms =
            switch mixer {
            case .attention(let weights): [weights.inputForms, weights.attnOutput.reads]
            case .latent(let weights): [weights.inputForms, weights.attnQB.reads, weights.attnOutput.reads]
            case .convolution(let weights): [weights.inProj.reads, weights.outProj.reads]
            }
        let dense: InputForms = feedForward.map { [$0.inputForms, $0.ffnDown.reads] } ?? []
        let expert: InputForms =
            experts.map { [$0.inputForms, $0.slotForms, $0.ffnDownExps.reads, $0.shared?.ffnDown.reads ?? []] } ?? []
        return [mixed, dense, expert]
    }
}

/// What mixes tokens.
enum Mixer: Sendable {
    case attention(AttentionWeights)
    case latent(LatentWeights)
    case convolution(ConvolutionWeights)
}

struct AttentionWeights: Sendable {
    /// (headCount · headLength, embedding)
    let attnQ: Matrix
    /// (headCountKV · headLength, embedding)
    let attnK: Matrix
    /// (headCountKV · valueLength, embedding)
    let attnV: Matrix
    /// (embedding, headCount · valueLength)
    let attnOutput: Matrix
    /// (headLength), or (headCount · headLength): then all heads are normalised as one.
    let attnQNorm: Vector?
    let attnKNorm: Vector?

    /// Whether the norms of queries and keys reach over all heads.
    func normsWholeWidth(_ config: ModelConfig) -> Bool {
        attnQNorm.map { $0.count > config.headLength } ?? false
            || attnKNorm.map { $0.count > config.headLength } ?? false
    }

    /// How the matrices behind the norm read.
    var inputForms: InputForms { [attnQ.reads, attnK.reads, attnV.reads] }
}

/// Attention through a narrow latent (DeepSeek): one key head for all, made of the latent and the rotated part.
struct LatentWeights: Sendable {
    /// (queryRank, embedding); nil where `attnQB` reads the residual stream.
    let attnQA: Matrix?
    let attnQANorm: Vector?
    /// (headCount · keyLength, queryRank or embedding)
    let attnQB: Matrix
    /// (rank + ropeLength, embedding)
    let attnKVA: Matrix
    let attnKVANorm: Vector
    /// Of head after head: (rank, plainLength)
    let attnKB: Matrix
    /// Of head after head: (valueLength, rank)
    let attnVB: Matrix
    /// (embedding, headCount · valueLength)
    let attnOutput: Matrix

    var inputForms: InputForms { [attnKVA.reads, (attnQA ?? attnQB).reads] }
}

/// A gated convolution over the last few tokens (LFM2).
struct ConvolutionWeights: Sendable {
    /// (3 · embedding, embedding): what is convolved is the product of the first and the last third.
    let inProj: Matrix
    /// (embedding, taps), the newest token last.
    let conv: Vector
    /// (embedding, embedding)
    let outProj: Matrix
}

struct FeedForwardWeights: Sendable {
    /// (feedForward, embedding); nil where there is no gate.
    let ffnGate: Matrix?
    let ffnUp: Matrix
    /// (embedding, feedForward)
    let ffnDown: Matrix

    /// How the matrices behind the norm read.
    var inputForms: InputForms { [ffnGate?.reads ?? [], ffnUp.reads] }

    var byteCount: Int { (ffnGate?.byteCount ?? 0) + ffnUp.byteCount + ffnDown.byteCount }
}

struct ExpertWeights: Sendable {
    /// (experts, embedding)
    let ffnGateInp: Matrix
    /// Added to the scores experts are chosen by, not to their shares (experts); nil for none.
    let expProbsB: Vector?
    /// Of expert after expert: (feedForward, embedding)
    let ffnGateExps: Matrix
    let ffnUpExps: Matrix
    /// Of expert after expert: (embedding, feedForward)
    let ffnDownExps: Matrix
    /// What every token goes through; nil for none.
    let shared: FeedForwardWeights?

    /// How the experts read what is gathered for them.
    var slotForms: InputForms { [ffnGateExps.reads, ffnUpExps.reads] }

    /// How the matrices behind the norm read. A single token's experts read it too, and the router one token at a time.
    var inputForms: InputForms {
        [ffnGateInp.reads.intersection(.bytes), slotForms.intersection(.bytes), shared?.inputForms ?? []]
    }
}
