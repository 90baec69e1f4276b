import GGUF
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

    var byteCount: Int { rows * rowByteCount }

    /// Rows `first ..< first + rows` × one activation vector, to `y`.
    ///
    /// Interleaved rows are computed by whole bands: a row within one takes its band.
    func multiply(_ first: Int, _ rows: Int, _ input: Activations, to y: UnsafeMutablePointer<Float>) {
        let skipped = layout == .interleaved ? first % tileRows : 0
        let from = bytes + (first &- skipped) &* rowByteCount
        if skipped == 0 {
            return kernels.gemv(from, rowByteCount, rows, columns, input.q, input.ds, input.x, y)
        }
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
}

/// The weights of one layer. Names follow GGUF.
struct LayerWeights: Sendable {
    let attnNorm: Vector
    /// (headCount · headLength, embedding)
    let attnQ: Matrix
    /// (headCountKV · headLength, embedding)
    let attnK: Matrix
    let attnV: Matrix
    /// (embedding, headCount · headLength)
    let attnOutput: Matrix
    let ffnNorm: Vector
    /// (feedForward, embedding)
    let ffnGate: Matrix
    let ffnUp: Matrix
    /// (embedding, feedForward)
    let ffnDown: Matrix

    /// Whether a matrix behind the attention norm uses quantised activations.
    var quantizesAttnInput: Bool {
        attnQ.format.usesQuantizedActivations || attnK.format.usesQuantizedActivations
            || attnV.format.usesQuantizedActivations
    }

    /// Whether a matrix behind the feed-forward norm uses quantised activations.
    var quantizesFfnInput: Bool {
        ffnGate.format.usesQuantizedActivations || ffnUp.format.usesQuantizedActivations
    }
}

/// A vector of floats in the mapping. Borrows it.
// @unchecked because the bytes are read-only pages.
struct Vector: @unchecked Sendable {
    let floats: UnsafePointer<Float>
    let count: Int
}

/// All weights of a model, as pointers into its file: nothing is copied.
struct MappedWeights: Sendable {
    /// (vocabulary, embedding)
    let tokenEmbd: Matrix
    let outputNorm: Vector
    /// (vocabulary, embedding); `tokenEmbd` where the model ties them.
    let output: Matrix
    /// Divides each rotation frequency (Llama 3.1); nil for none.
    let ropeFreqs: Vector?
    let layers: [LayerWeights]

    /// Bytes one decoded token reads: every layer and the head once.
    let bytesPerToken: Int

    /// Finds every tensor the plan needs and checks its shape against `config`.
    init(_ file: GGUFFile, _ config: ModelConfig, _ table: KernelTable) throws(ModelError) {
        let finder = TensorFinder(file: file, table: table)
        try finder.refuseCutHeads(config)
        let width = config.embeddingLength
        let queries = config.headCount * config.headLength
        let keys = config.headCountKV * config.headLength
        tokenEmbd = try finder.matrix("token_embd.weight", rows: nil, columns: width)
        outputNorm = try finder.vector("output_norm.weight", count: width)
        output =
            file.tensor(named: "output.weight") == nil
            ? tokenEmbd : try finder.matrix("output.weight", rows: tokenEmbd.rows, columns: width)
        ropeFreqs =
            file.tensor(named: "rope_freqs.weight") == nil
            ? nil : try finder.vector("rope_freqs.weight", count: config.ropeDimensionCount / 2)
        var layers: [LayerWeights] = []
        for index in 0..<config.blockCount {
            let name = "blk.\(index)."
            layers.append(
                LayerWeights(
                    attnNorm: try finder.vector(name + "attn_norm.weight", count: width),
                    attnQ: try finder.matrix(name + "attn_q.weight", rows: queries, columns: width),
                    attnK: try finder.matrix(name + "attn_k.weight", rows: keys, columns: width),
                    attnV: try finder.matrix(name + "attn_v.weight", rows: keys, columns: width),
                    attnOutput: try finder.matrix(name + "attn_output.weight", rows: width, columns: queries),
                    ffnNorm: try finder.vector(name + "ffn_norm.weight", count: width),
                    ffnGate: try finder.matrix(
                        name + "ffn_gate.weight", rows: config.feedForwardLength, columns: width),
                    ffnUp: try finder.matrix(name + "ffn_up.weight", rows: config.feedForwardLength, columns: width),
                    ffnDown: try finder.matrix(
                        name + "ffn_down.weight", rows: width, columns: config.feedForwardLength)))
        }
        self.layers = layers
        bytesPerToken =
            output.byteCount
            + layers.reduce(0) { sum, layer in
                let attention = layer.attnQ.byteCount + layer.attnK.byteCount + layer.attnV.byteCount
                let feedForward = layer.ffnGate.byteCount + layer.ffnUp.byteCount + layer.ffnDown.byteCount
                return sum + attention + layer.attnOutput.byteCount + feedForward
            }
        try finder.refuseUnused(layerCount: config.blockCount)
    }
}

/// Looks tensors up by name and checks what is found.
private struct TensorFinder {
    let file: GGUFFile
    let table: KernelTable

    func matrix(_ name: String, rows: Int?, columns: Int) throws(ModelError) -> Matrix {
        guard let tensor = file.tensor(named: name), let base = tensor.bytes.baseAddress else {
            throw ModelError(file, "tensor \(name) is missing", "Convert the model again.")
        }
        guard tensor.dimensions.count == 2, tensor.dimensions[0] == columns, rows == nil || tensor.dimensions[1] == rows
        else {
            let shape = tensor.dimensions.map(String.init).joined(separator: " × ")
            throw ModelError(
                file, "tensor \(name) is \(shape) instead of \(columns) × \(rows.map(String.init) ?? "vocabulary")",
                "Fetch the file again.")
        }
        guard let format = WeightFormat(rawValue: tensor.type.rawValue) else {
            let known = WeightFormat.allCases.map { "\($0)".uppercased() }.joined(separator: ", ")
            throw ModelError(
                file, "weight type \(tensor.type.name) of \(name) is not supported yet", "Use one of: \(known).")
        }
        let layout: RowLayout = tensor.isInterleaved ? .interleaved : .consecutive
        return Matrix(
            bytes: base, rows: tensor.dimensions[1], columns: columns, rowByteCount: tensor.rowByteCount,
            format: format, layout: layout, kernels: table[format, layout])
    }

    func vector(_ name: String, count: Int) throws(ModelError) -> Vector {
        guard let tensor = file.tensor(named: name), let base = tensor.bytes.baseAddress else {
            throw ModelError(file, "tensor \(name) is missing", "Convert the model again.")
        }
        guard tensor.dimensions.reduce(1, *) == count, tensor.type == .f32 else {
            throw ModelError(
                file, "tensor \(name) is not \(count) floats of type F32", "Convert the model again.")
        }
        // GGUF aligns tensors to at least four bytes only by convention; a misaligned float would be undefined.
        guard UInt(bitPattern: base) % 4 == 0 else {
            throw ModelError(file, "tensor \(name) is not aligned to 4 bytes", "Convert the model again.")
        }
        return Vector(floats: base.assumingMemoryBound(to: Float.self), count: count)
    }

    /// A head is a piece of work: bands that reach over two heads could not be taken by one thread.
    func refuseCutHeads(_ config: ModelConfig) throws(ModelError) {
        guard config.headLength % tileRows != 0 else { return }
        for tensor in file.tensors where tensor.isInterleaved && PackedModel.isHeads(tensor.name) {
            throw ModelError(
                file, "tensor \(tensor.name) interleaves rows of two heads", "Pack the model again: martlet model pack."
            )
        }
    }

    /// A tensor that the plan does not read would silently change the model's answers (a bias, a norm, an expert).
    func refuseUnused(layerCount: Int) throws(ModelError) {
        let shared: Set = ["token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight"]
        let layer: Set = [
            "attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight",
            "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight", "attn_rot_embd",
        ]
        for tensor in file.tensors where !shared.contains(tensor.name) {
            let parts = tensor.name.split(separator: ".", maxSplits: 2)
            if parts.count == 3, parts[0] == "blk", let index = Int(parts[1]), index < layerCount,
                layer.contains(String(parts[2]))
            {
                continue
            }
            throw ModelError(file, "tensor \(tensor.name) is not part of this architecture", "Choose another model.")
        }
    }
}
