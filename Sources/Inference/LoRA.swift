import GGUF
import Kernels
import QuantBlocks

/// A low-rank adapter of a model: what it adds to some matrices, mapped from its own file.
///
/// A matrix W becomes W + scale · alpha / rank · B A, with A (rank, columns) and B (rows, rank); W stays as it is, so
/// tasks with other adapters, or none, share it.
public final class LoRAAdapter: Sendable {
    public let file: GGUFFile
    /// What its tensors say of each matrix: in the order of the model's.
    let parts: [Part]
    private let ownFingerprint = Fingerprint()

    /// What is added to one matrix.
    struct Part: Sendable {
        /// Which: `Matrix.slot`.
        let slot: Int
        let a: Matrix
        let b: Matrix
        /// alpha / rank
        let scale: Float

        var rank: Int { a.rows }
    }

    /// Tells its file from another.
    var fingerprint: String { ownFingerprint.of(file) }

    /// Maps and checks the adapter at `path` against `model`.
    ///
    /// Throws `GGUFError` for a file that is not GGUF, `ModelError` for one that does not fit.
    public init(path: String, for model: Model) throws {
        file = try GGUFFile(path: path)
        guard file.string("general.type") == "adapter", file.string("adapter.type") == "lora" else {
            throw ModelError(file, "it is not a LoRA adapter", "Convert the adapter to GGUF again.")
        }
        let architecture = file.string("general.architecture") ?? "none"
        guard architecture == model.config.architecture else {
            throw ModelError(
                file, "it adapts \(architecture) and the model is \(model.config.architecture)",
                "Choose the adapter's own model.")
        }
        let alpha = Float(file.float("adapter.lora.alpha") ?? 0)
        guard alpha.isFinite else {
            throw ModelError(file, "adapter.lora.alpha is not a number", "Convert the adapter again.")
        }
        parts = try Self.parts(file, alpha, model)
    }

    private static func parts(_ file: GGUFFile, _ alpha: Float, _ model: Model) throws(ModelError) -> [Part] {
        var finder = TensorFinder(file: file, table: model.table)
        var parts: [Part] = []
        for tensor in file.tensors where tensor.name.hasSuffix(".lora_a") {
            let name = String(tensor.name.dropLast(".lora_a".count))
            guard let base = model.file.tensor(named: name), base.dimensions.count == 2,
                let slot = model.weights.slots[name]
            else {
                throw ModelError(
                    file, "it adapts \(name), which the model does not have or cannot adapt",
                    "Choose the adapter's own model.")
            }
            guard tensor.dimensions.count == 2, 1...4096 ~= tensor.dimensions[1] else {
                throw ModelError(file, "tensor \(tensor.name) is no matrix", "Convert the adapter again.")
            }
            let rank = tensor.dimensions[1]
            let a = try finder.matrix(tensor: name + ".lora_a", rows: rank, columns: base.dimensions[0])
            let b = try finder.matrix(tensor: name + ".lora_b", rows: base.rows, columns: rank)
            guard !a.format.usesQuantizedActivations, !b.format.usesQuantizedActivations else {
                throw ModelError(
                    file, "it is quantised, which costs more than it saves", "Convert the adapter to F16.")
            }
            parts.append(Part(slot: slot, a: a, b: b, scale: (alpha == 0 ? Float(rank) : alpha) / Float(rank)))
        }
        guard !parts.isEmpty else {
            throw ModelError(file, "there is no matrix in it", "Convert the adapter again.")
        }
        try finder.refuseUnused()
        return parts.sorted { $0.slot < $1.slot }
    }
}

/// An adapter and how strongly it acts.
public struct ScaledAdapter: Sendable, Equatable {
    public let adapter: LoRAAdapter
    public let scale: Float

    public init(_ adapter: LoRAAdapter, scale: Float = 1) {
        self.adapter = adapter
        self.scale = scale
    }

    public static func == (left: ScaledAdapter, right: ScaledAdapter) -> Bool {
        left.adapter === right.adapter && left.scale == right.scale
    }
}

extension Model {
    /// Opens adapters of this model as users name them: `FILE`, or `FILE=SCALE` for one that is to act more or less.
    ///
    /// Throws as `LoRAAdapter.init`, and `ModelError` for a scale that is none.
    public func adapters(_ names: [String]) throws -> [ScaledAdapter] {
        try names.map { name in
            let (path, scale) = LoRAAdapter.split(name)
            guard let scale else {
                throw ModelError("cannot use the adapter \(name): its scale is not a number. Write FILE or FILE=0.5")
            }
            return ScaledAdapter(try LoRAAdapter(path: path, for: self), scale: scale)
        }
    }
}

extension LoRAAdapter {
    /// The path and the scale of `FILE` or `FILE=SCALE`; nil for a scale that is not a number. A path with `=` in it needs
    /// a scale behind it.
    public static func split(_ name: String) -> (path: String, scale: Float?) {
        guard let equals = name.lastIndex(of: "=") else { return (name, 1) }
        let scale = Float(String(name[name.index(after: equals)...]))
        return (String(name[..<equals]), scale.flatMap { $0.isFinite ? $0 : nil })
    }
}

/// The steps of a layer whose inputs adapters read, in order, and the head.
enum AdaptedInput: Int {
    case mixer, mixerOutput, feedForward, feedForwardDown

    static let perLayer = 4
}

/// The adapters in use, laid out for the forward pass: what is added to each matrix, and which A read each input.
///
/// Ownership: the session; made anew when the adapters change.
final class AdapterTable {
    /// A matrix's share of one adapter.
    struct Entry {
        let a: Matrix
        let b: Matrix
        let scale: Float
        /// Where A's products stand among those of the layer.
        let offset: Int
    }

    /// Ordered by slot.
    let entries: UnsafeMutablePointer<Entry>
    /// Of each slot the first entry, and the end of the last.
    let slots: UnsafeMutablePointer<Int32>
    /// Of each input the slots that read it: first and end. The head's stands last.
    let inputs: UnsafeMutablePointer<Int32>
    /// Products of A of one layer at most: the ranks of all its entries.
    let width: Int
    /// Products of A of every token of a batch (batch, width), and of a single token on each thread (threads, width).
    let products: UnsafeMutablePointer<Float>
    let single: UnsafeMutablePointer<Float>

    init(_ adapters: [ScaledAdapter], _ model: Model, batch: Int, threads: Int) {
        let weights = model.weights
        let slotCount = weights.slotInputs.count
        let parts = adapters.flatMap { scaled in
            scaled.adapter.parts.map { (part: $0, scale: $0.scale * scaled.scale) }
        }
        entries = .allocate(capacity: max(1, parts.count))
        slots = .allocate(capacity: slotCount + 1)
        let inputCount = model.config.blockCount * AdaptedInput.perLayer + 1
        inputs = .allocate(capacity: inputCount + 1)
        var (count, offset, widest, layer) = (0, 0, 0, -1)
        var input = 0
        inputs[0] = 0
        for slot in 0..<slotCount {
            slots[slot] = Int32(count)
            while input < weights.slotInputs[slot] {
                input += 1
                inputs[input] = Int32(slot)
            }
            if layer != weights.slotInputs[slot] / AdaptedInput.perLayer {
                layer = weights.slotInputs[slot] / AdaptedInput.perLayer
                offset = 0
            }
            for (part, scale) in parts where part.slot == slot {
                (entries + count).initialize(to: Entry(a: part.a, b: part.b, scale: scale, offset: offset))
                offset += part.rank
                count += 1
            }
            widest = max(widest, offset)
        }
        slots[slotCount] = Int32(count)
        while input < inputCount {
            input += 1
            inputs[input] = Int32(slotCount)
        }
        width = widest
        products = .allocate(capacity: batch * max(1, widest))
        single = .allocate(capacity: threads * max(1, widest))
    }

    deinit {
        entries.deallocate()
        for words in [slots, inputs] { words.deallocate() }
        for floats in [products, single] { floats.deallocate() }
    }

    /// to (width) = scale · A × x, for every A that reads input `index`.
    func narrow(_ index: Int, _ x: UnsafeMutablePointer<Float>, _ scratch: Activations, to: UnsafeMutablePointer<Float>)
    {
        let (first, end) = (Int(slots[Int(inputs[index])]), Int(slots[Int(inputs[index &+ 1])]))
        var input = scratch
        input.x = x
        for entry in first..<end {
            let entry = entries[entry]
            let products = to + entry.offset
            entry.a.multiply(0, entry.a.rows, input, to: products)
            for r in 0..<entry.a.rows { products[r] *= entry.scale }
        }
    }

    /// y (rows) += B × products, for rows `first ..< first + rows` of the matrix in `slot`.
    func widen(
        _ slot: Int, _ first: Int, _ rows: Int, _ products: UnsafeMutablePointer<Float>, _ scratch: Activations,
        to y: UnsafeMutablePointer<Float>
    ) {
        var input = scratch
        withUnsafeTemporaryAllocation(of: Float.self, capacity: tileRows) { buffer in
            guard let sums = buffer.baseAddress else { return }
            for entry in Int(slots[slot])..<Int(slots[slot &+ 1]) {
                let entry = entries[entry]
                input.x = products + entry.offset
                var row = 0
                while row < rows {
                    let some = min(tileRows, rows &- row)
                    entry.b.multiply(first &+ row, some, input, to: sums)
                    for r in 0..<some { y[row &+ r] += sums[r] }
                    row &+= some
                }
            }
        }
    }
}
