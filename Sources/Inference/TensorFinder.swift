import GGUF
import Kernels
import QuantBlocks

/// Looks tensors up by name, checks what is found, and remembers what was asked for.
struct TensorFinder {
    let file: GGUFFile
    let table: KernelTable
    private var read: Set<String> = []

    init(file: GGUFFile, table: KernelTable) {
        self.file = file
        self.table = table
    }

    /// Whether there is a tensor of this name.
    func has(_ name: String) -> Bool { file.tensor(named: name) != nil }

    /// `NAME.weight` with the bias `NAME.bias` if there is one; `rows` nil: as many as there are.
    ///
    /// - Parameter stacked: how many such matrices lie one behind the other in a tensor of three dimensions.
    mutating func matrix(
        _ name: String, rows: Int?, columns: Int, stacked: Int = 1
    ) throws(ModelError) -> Matrix {
        let tensor = try tensor(name + ".weight")
        let shape = tensor.dimensions
        let count = shape.dropFirst().reduce(1, *)
        let isStack = stacked > 1 ? shape.count == 3 && shape[2] == stacked : shape.count == 2 || shape.last == 1
        guard shape.count >= 2, isStack, shape[0] == columns, rows.map({ $0 * stacked == count }) ?? true else {
            let expected =
                "\(columns) × \(rows.map(String.init) ?? "vocabulary")" + (stacked > 1 ? " × \(stacked)" : "")
            throw ModelError(
                file,
                "tensor \(name).weight is \(shape.map(String.init).joined(separator: " × ")) instead of \(expected)",
                "Fetch the file again.")
        }
        guard let format = WeightFormat(rawValue: tensor.type.rawValue), let base = tensor.bytes.baseAddress else {
            let known = WeightFormat.allCases.map { "\($0)".uppercased() }.joined(separator: ", ")
            throw ModelError(
                file, "weight type \(tensor.type.name) of \(name) is not supported yet", "Use one of: \(known).")
        }
        let layout: RowLayout = tensor.isInterleaved ? .interleaved : .consecutive
        return Matrix(
            bytes: base, rows: count, columns: columns, rowByteCount: tensor.rowByteCount,
            format: format, layout: layout, kernels: table[format, layout],
            bias: has(name + ".bias") ? try vector(name + ".bias", count: count) : nil)
    }

    /// A vector of floats; `counts` are the lengths it may have.
    mutating func vector(_ name: String, counts: [Int]) throws(ModelError) -> Vector {
        let tensor = try tensor(name)
        let count = tensor.dimensions.reduce(1, *)
        guard counts.contains(count), tensor.type == .f32 else {
            throw ModelError(
                file, "tensor \(name) is not \(counts[0]) floats of type F32", "Convert the model again.")
        }
        // GGUF aligns tensors to at least four bytes only by convention; a misaligned float would be undefined.
        guard let base = tensor.bytes.baseAddress, UInt(bitPattern: base) % 4 == 0 else {
            throw ModelError(file, "tensor \(name) is not aligned to 4 bytes", "Convert the model again.")
        }
        return Vector(floats: base.assumingMemoryBound(to: Float.self), count: count)
    }

    mutating func vector(_ name: String, count: Int) throws(ModelError) -> Vector {
        try vector(name, counts: [count])
    }

    /// A vector that not every model has.
    mutating func vectorIfAny(_ name: String, counts: [Int]) throws(ModelError) -> Vector? {
        has(name) ? try vector(name, counts: counts) : nil
    }

    /// `NAME.weight` and `NAME.bias`, where a norm has one.
    mutating func norm(_ name: String, _ width: Int) throws(ModelError) -> Norm {
        Norm(
            weight: try vector(name + ".weight", count: width),
            bias: try vectorIfAny(name + ".bias", counts: [width]))
    }

    mutating func normIfAny(_ name: String, _ width: Int) throws(ModelError) -> Norm? {
        has(name + ".weight") ? try norm(name, width) : nil
    }

    /// Notes a tensor that is known and not needed.
    mutating func skip(_ name: String) { read.insert(name) }

    private mutating func tensor(_ name: String) throws(ModelError) -> GGUFTensor {
        guard let tensor = file.tensor(named: name) else {
            throw ModelError(file, "tensor \(name) is missing", "Convert the model again.")
        }
        read.insert(name)
        return tensor
    }

    /// A head is a piece of work: bands that reach over two heads could not be taken by one thread.
    func refuseCutHeads(_ config: ModelConfig) throws(ModelError) {
        for tensor in file.tensors where tensor.isInterleaved && PackedModel.isCut(tensor, config) {
            throw ModelError(
                file, "tensor \(tensor.name) interleaves rows that do not belong together",
                "Pack the model again: martlet model pack.")
        }
    }

    /// A tensor that the plan does not read would silently change the model's answers (a bias, a norm, an expert).
    func refuseUnused() throws(ModelError) {
        for tensor in file.tensors where !read.contains(tensor.name) {
            throw ModelError(file, "tensor \(tensor.name) is not part of this architecture", "Choose another model.")
        }
    }
}
