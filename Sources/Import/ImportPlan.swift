import GGUF
import Quantizers
import Safetensors

/// A tensor to be written: where its rows come from and how they are encoded.
struct PlannedTensor {
    enum Encoding: Equatable {
        case quantized(Quantizer)
        /// GPTQ's own levels, as they are.
        case lossless(Quantizer)

        var format: Quantizer {
            switch self {
            case .quantized(let format), .lossless(let format): format
            }
        }
    }
    let name: String
    /// GGUF order: the row length first.
    let dimensions: [Int]
    var source: RowSource
    var encoding: Encoding
    /// The type in the checkpoint.
    let sourceType: String
    /// Why it is not stored as asked for; nil when it is.
    var note: String?
}

/// Finds for every tensor of an architecture where the checkpoint has it, and refuses what would be lost.
struct ImportPlan {
    private let checkpoint: Checkpoint
    private let architecture: Architecture
    private let config: HFConfig
    private let gptq: GPTQSettings?
    private let format: Quantizer
    private(set) var tensors: [PlannedTensor] = []
    private var used: Set<String> = []
    /// The order of a layer's hidden units in the feed-forward, where act-order asks for another.
    private var hiddenOrder: [Int: [Int32]] = [:]

    init(
        _ checkpoint: Checkpoint, _ folder: ModelFolder, _ architecture: Architecture, _ config: HFConfig,
        _ format: Quantizer
    ) throws(ImportError) {
        (self.checkpoint, self.architecture, self.config, self.format) = (checkpoint, architecture, config, format)
        gptq = try GPTQSettings(config, folder)
        try addExtras()
        for rule in architecture.tensors where !rule.name.contains("#") { try add(rule, layer: nil) }
        for layer in 0..<config.blocks {
            findHiddenOrder(layer)
            let before = tensors.count
            for rule in architecture.tensors where rule.name.contains("#") { try add(rule, layer: layer) }
            guard tensors.count > before else { throw missing("layer \(layer)") }
        }
        guard let embedding = tensors.first(where: { $0.name == "token_embd.weight" }) else {
            throw missing("the token embedding")
        }
        guard embedding.dimensions.count == 2, embedding.dimensions[0] == config.width else {
            throw ImportError(
                checkpoint.path,
                "its token embedding is \(embedding.dimensions[0]) wide, hidden_size in config.json is \(config.width)",
                "Download the model again")
        }
        try refuseUnused()
    }

    private func missing(_ what: String) -> ImportError {
        ImportError(checkpoint.path, "the checkpoint lacks \(what)", "Download all files of the model")
    }

    /// Rows of the token embedding.
    var vocabularyRows: Int { tensors.first { $0.name == "token_embd.weight" }?.dimensions.last ?? 0 }

    private mutating func add(_ rule: TensorRule, layer: Int?) throws(ImportError) {
        func named(_ pattern: String) -> String { layer.map { pattern.replacing("#", with: String($0)) } ?? pattern }
        if rule.name == "output", config.bool("tie_word_embeddings") == true { return markTied() }
        for suffix in ["weight", "bias"] {
            for source in rule.sources {
                let name = "\(named(rule.name)).\(suffix)"
                if suffix == "bias", isBiasOfNothing(named(source.pattern)) { continue }
                guard let found = try rows(named(source.pattern), suffix, source.shape) else { continue }
                try append(name, found, layer: layer)
                break
            }
        }
    }

    /// A head saved beside the embedding it is tied to is the embedding once more.
    private mutating func markTied() { for name in ["lm_head.weight", "lm_head.bias"] { used.insert(name) } }

    /// The rows of `pattern` in the form a rule asks for; nil when the checkpoint has no such tensor.
    private mutating func rows(
        _ pattern: String, _ suffix: String, _ shape: TensorRule.Shape
    ) throws(ImportError) -> Found? {
        switch shape {
        case .plain: return try stored(pattern, suffix)
        case .heads(let isKey):
            guard var found = try stored(pattern, suffix) else { return nil }
            found.source.order = interleavedPairs(heads: isKey ? config.keyHeads : config.heads, rows: found.outer)
            guard found.source.order != nil || suffix == "bias" else { throw unfit(pattern) }
            if suffix == "bias" { try reorderBias(&found, heads: isKey ? config.keyHeads : config.heads, pattern) }
            return found
        case .experts:
            var parts: [Found] = []
            for expert in 0..<config.experts {
                guard let one = try stored(pattern.replacing("*", with: String(expert)), suffix) else { break }
                parts.append(one)
            }
            guard !parts.isEmpty else { return nil }
            guard parts.count == config.experts, let stacked = Found(stacking: parts) else { throw unfit(pattern) }
            return stacked
        case .half(let half):
            guard let found = try stored(pattern, suffix) else { return nil }
            guard let part = found.half(half) else { throw unfit(pattern) }
            return part
        case .latent(let isKey):
            guard let found = try stored(pattern, suffix) else { return nil }
            guard let part = found.latent(isKey, heads: config.heads, value: config.integer("v_head_dim") ?? 0) else {
                throw unfit(pattern)
            }
            return part
        case .squeezed:
            guard let found = try stored(pattern, suffix) else { return nil }
            return found.squeezed
        }
    }

    private func unfit(_ pattern: String) -> ImportError {
        ImportError(
            checkpoint.path, "tensor \(quoted(pattern)) does not have the shape that config.json says",
            "Download the model again")
    }

    /// A bias of heads is one row, whose numbers must move instead of rows: read one by one as rows of one number.
    private func reorderBias(_ found: inout Found, heads: Int, _ pattern: String) throws(ImportError) {
        guard let order = interleavedPairs(heads: heads, rows: found.source.rowLength),
            case .floats(let tensor, _, _, _)? = found.source.segments.first?.rows
        else { throw unfit(pattern) }
        found.source = RowSource(
            segments: [RowSource.part(tensor, first: 0, count: order.count, 1)], rowLength: 1, order: order)
    }

    /// A tensor as the checkpoint has it, in floats or packed by GPTQ.
    private mutating func stored(_ pattern: String, _ suffix: String) throws(ImportError) -> Found? {
        // Stacked experts are saved without a suffix.
        for name in ["\(pattern).\(suffix)"] + (suffix == "weight" ? [pattern] : ["\(pattern)_bias"]) {
            guard let tensor = checkpoint[name] else { continue }
            guard tensor.isFloat else {
                throw ImportError(
                    checkpoint.path, "tensor \(quoted(name)) is of type \(tensor.type.rawValue)",
                    "Get the model in F32, F16, BF16 or 4-bit GPTQ")
            }
            guard (1...3).contains(tensor.shape.count), tensor.elementCount > 0, tensor.elementCount <= 1 << 40 else {
                throw unfit(name)
            }
            used.insert(name)
            return Found(source: .whole(tensor), shape: tensor.shape, type: tensor.type.rawValue)
        }
        guard suffix == "weight", checkpoint["\(pattern).qweight"] != nil else { return nil }
        guard let matrix = packed(pattern) else {
            throw ImportError(
                checkpoint.path, "\(quoted(pattern)) is packed in a way that is not 4-bit GPTQ",
                "Get the model unquantised, or as GPTQ with 4 bits")
        }
        for part in ["qweight", "qzeros", "scales", "g_idx"] { used.insert("\(pattern).\(part)") }
        let source = RowSource(
            segments: [RowSource.Segment(rows: .packed(matrix), count: matrix.rows)], rowLength: matrix.columns)
        return Found(source: source, shape: [matrix.rows, matrix.columns], type: "GPTQ")
    }

    /// The matrix that GPTQ packed as `module`; nil when there is none, or none of 4 bits.
    private func packed(_ module: String) -> GPTQMatrix? {
        guard let gptq, let qweight = checkpoint["\(module).qweight"], let qzeros = checkpoint["\(module).qzeros"],
            let scales = checkpoint["\(module).scales"]
        else { return nil }
        return GPTQMatrix(
            qweight: qweight, qzeros: qzeros, scales: scales, groupIndex: checkpoint["\(module).g_idx"],
            isFormat1: gptq.isFormat1)
    }

    /// Takes over act-order in `ffn_down`: the order of its inputs is that of the rows of the two matrices before it,
    /// which is free. No such freedom exists for the other inputs: the residual stream is shared by all layers, and
    /// the heads' values by all heads of a group.
    private mutating func findHiddenOrder(_ layer: Int) {
        guard architecture.tensors.contains(where: { $0.name == "blk.#.ffn_gate" }),
            let matrix = packed("model.layers.\(layer).mlp.down_proj"), !matrix.hasWholeBlocks,
            let order = matrix.groupedOrder
        else { return }
        hiddenOrder[layer] = order
    }

    private mutating func append(_ name: String, _ found: Found, layer: Int?) throws(ImportError) {
        var found = found
        if architecture.addsOneToNorms, name.hasSuffix("norm.weight") { found.source.addend = 1 }
        var note: String?
        if let layer, let order = hiddenOrder[layer] {
            switch name {
            case "blk.\(layer).ffn_gate.weight", "blk.\(layer).ffn_up.weight":
                guard found.outer == order.count else { throw unfit(name) }
                found.source.order = order
                note = "rows in the order of ffn_down's groups"
            case "blk.\(layer).ffn_down.weight":
                guard let reordered = found.reordered(order) else { throw unfit(name) }
                found = reordered
                note = "columns in the order of its groups"
            case "blk.\(layer).ffn_gate.bias", "blk.\(layer).ffn_up.bias":
                throw ImportError(
                    checkpoint.path, "\(name) would have to be reordered", "Get the model without act-order")
            default: break
            }
        }
        let (encoding, reason) = encoding(of: name, found)
        tensors.append(
            PlannedTensor(
                name: name, dimensions: Array(found.shape.reversed()), source: found.source, encoding: encoding,
                sourceType: found.type, note: [note, reason].compactMap(\.self).joined(separator: "; ").nonEmpty))
    }

    /// How a tensor is stored, and why when not as asked for.
    private func encoding(of name: String, _ found: Found) -> (PlannedTensor.Encoding, String?) {
        if let lossless = found.losslessFormat {
            if let format = lossless.format { return (.lossless(format), nil) }
            let (format, reason) = Self.fitting(format, found.source.rowLength)
            return (
                .quantized(format),
                [lossless.obstacle.map { "requantised: \($0)" }, reason].compactMap(\.self).joined(separator: "; ")
                    .nonEmpty
            )
        }
        // Norms and biases are added as floats; routers, positions and convolutions are read as floats.
        let floats = ["ffn_gate_inp.weight", "position_embd.weight", "token_types.weight", "shortconv.conv.weight"]
        if found.shape.count == 1 || name.hasSuffix("_norm.weight") || !name.hasSuffix(".weight")
            || floats.contains(where: name.hasSuffix)
        {
            return (.quantized(.f32), nil)
        }
        // The head decides between all words: 4 bits there cost more than in any layer.
        let isVocabulary = name == "token_embd.weight" || name == "output.weight"
        let module = name.split(separator: ".").dropFirst(2).first.map(String.init) ?? ""
        let isKept = isVocabulary || architecture.eightBits.contains(module)
        let wanted = isKept && format != .f16 ? Quantizer.q8_0 : format
        let (format, reason) = Self.fitting(wanted, found.source.rowLength)
        return (.quantized(format), reason)
    }

    /// `wanted`, or the nearest format whose block divides the row.
    private static func fitting(_ wanted: Quantizer, _ length: Int) -> (Quantizer, String?) {
        if length % wanted.blockSize == 0 { return (wanted, nil) }
        let reason = "a row of \(length) is no multiple of \(wanted.blockSize)"
        return (length % 32 == 0 ? .q5_0 : .f16, reason)
    }

    /// A tensor that no rule takes would silently change the model's answers.
    private func refuseUnused() throws(ImportError) {
        for name in checkpoint.names where !used.contains(name) && !isIgnored(name) {
            throw ImportError(
                checkpoint.path, "tensor \(quoted(name)) has no place in the architecture \(architecture.name)",
                "This variant of the model is not supported")
        }
    }

    private func isIgnored(_ name: String) -> Bool {
        if name.hasSuffix(".bias"), isBiasOfNothing(String(name.dropLast(5))) { return true }
        if name.hasSuffix("rotary_emb.inv_freq") { return true }
        return architecture.ignored.contains { name.hasPrefix($0) }
    }

    /// AutoGPTQ saves a bias of zeros where the model has none.
    private func isBiasOfNothing(_ module: String) -> Bool {
        guard checkpoint["\(module).qweight"] != nil, let bias = checkpoint["\(module).bias"] else { return false }
        return bias.bytes.allSatisfy { $0 == 0 }
    }

    /// Tensors that are computed from config.json: how positions are stretched.
    private mutating func addExtras() throws(ImportError) {
        for (name, values) in try config.ropeFactors(of: architecture.name) {
            tensors.append(
                PlannedTensor(
                    name: name, dimensions: [values.count], source: .constant(values), encoding: .quantized(.f32),
                    sourceType: "config.json"))
        }
    }
}

extension String {
    fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}
