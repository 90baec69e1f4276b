import Quantizers
import Safetensors

/// A 4-bit matrix as GPTQ stores it: `w[o, i] = scale[g(i), o] · (q[i, o] − zero[g(i), o])`.
///
///     qweight  I32 (in / 8, out)       eight inputs in a word, the first in the lowest bits
///     qzeros   I32 (groups, out / 8)   eight outputs in a word; format 1 stores zero − 1
///     scales   F16 (groups, out)
///     g_idx    I32 (in)                the group of an input; in order unless the checkpoint used act-order
///
/// GGUF's blocks have one scale for 32 inputs that follow each other. So a matrix passes into them without loss when
/// its groups, in some order of the inputs that can be had, are multiples of 32: with all zeros 8 as Q4_0; with
/// −scale · zero a half as Q4_1; else as Q5_0, whose levels −16 … 15 hold every q − zero.
struct GPTQMatrix: Sendable {
    let rows: Int
    let columns: Int
    private let qweight: SafetensorsTensor
    private let qzeros: SafetensorsTensor
    private let scales: SafetensorsTensor
    private let zeroOffset: Int32
    /// The group of each input.
    private(set) var groups: [Int32]
    /// Which input stands in column j; nil for none moved.
    private(set) var columnOrder: [Int32]?

    /// Nil when the tensors do not fit each other or are not 4-bit.
    ///
    /// - Parameter isFormat1: whether zeros are stored less 1, as AutoGPTQ writes them.
    init?(
        qweight: SafetensorsTensor, qzeros: SafetensorsTensor, scales: SafetensorsTensor,
        groupIndex: SafetensorsTensor?,
        isFormat1: Bool
    ) {
        guard qweight.type == .i32, qzeros.type == .i32, scales.isFloat, qweight.shape.count == 2,
            qzeros.shape.count == 2, scales.shape.count == 2, qweight.shape[0] <= 1 << 21
        else { return nil }
        let (inputs, outputs, groupCount) = (qweight.shape[0] * 8, qweight.shape[1], scales.shape[0])
        guard outputs > 0, outputs % 8 == 0, groupCount > 0, inputs >= groupCount,
            scales.shape[1] == outputs, qzeros.shape == [groupCount, outputs / 8]
        else { return nil }
        let size = (inputs + groupCount - 1) / groupCount
        var groups = (0..<inputs).map { Int32($0 / size) }
        if let groupIndex {
            guard groupIndex.type == .i32, groupIndex.shape == [inputs] else { return nil }
            for i in 0..<inputs {
                groups[i] = Int32(bitPattern: groupIndex.word(i, UInt32.self))
                guard groups[i] >= 0, groups[i] < groupCount else { return nil }
            }
        }
        (rows, columns, self.groups) = (outputs, inputs, groups)
        (self.qweight, self.qzeros, self.scales) = (qweight, qzeros, scales)
        zeroOffset = isFormat1 ? 1 : 0
    }

    private func input(_ column: Int) -> Int { columnOrder.map { Int($0[column]) } ?? column }

    /// The level of input `i`, 0…15.
    private func level(_ row: Int, _ i: Int) -> Int32 {
        let word = qweight.word(i / 8 * rows + row, UInt32.self)
        return Int32(word >> UInt32(i % 8 * 4) & 15)
    }

    private func zero(_ row: Int, _ group: Int) -> Int32 {
        let word = qzeros.word(group * (rows / 8) + row / 8, UInt32.self)
        return Int32(word >> UInt32(row % 8 * 4) & 15) + zeroOffset
    }

    private func scale(_ row: Int, _ group: Int) -> Float { scales.float(group * rows + row) }

    /// Row `row` as floats.
    func read(_ row: Int, into out: UnsafeMutablePointer<Float>) {
        var (group, scale, zero) = (-1, Float(0), Int32(0))
        for column in 0..<columns {
            let i = input(column)
            if Int(groups[i]) != group {
                group = Int(groups[i])
                (scale, zero) = (self.scale(row, group), self.zero(row, group))
            }
            out[column] = scale * Float(level(row, i) - zero)
        }
    }

    /// Whether every 32 columns that follow each other have one scale.
    var hasWholeBlocks: Bool {
        guard columns % 32 == 0 else { return false }
        return stride(from: 0, to: columns, by: 32).allSatisfy { first in
            (first..<first + 32).allSatisfy { groups[input($0)] == groups[input(first)] }
        }
    }

    /// An order of the inputs in which groups follow each other, each a multiple of 32; nil when there is none.
    var groupedOrder: [Int32]? {
        let order = (0..<columns).sorted { (groups[$0], $0) < (groups[$1], $1) }.map { Int32($0) }
        var sorted = self
        sorted.columnOrder = order
        return sorted.hasWholeBlocks ? order : nil
    }

    /// The same matrix for inputs in another order.
    func reordered(_ order: [Int32]) -> GPTQMatrix {
        var matrix = self
        matrix.columnOrder = order
        return matrix
    }

    /// The smallest format that holds every weight as it is; nil, and why, when none does.
    func losslessFormat() -> (format: Quantizer?, obstacle: String?) {
        guard hasWholeBlocks else { return (nil, "act-order mixes groups within a block of 32 inputs") }
        var (isSymmetric, hasHalfMinima) = (true, true)
        for group in 0..<scales.shape[0] {
            for row in 0..<rows {
                let scale = scale(row, group)
                guard scale.isFinite, Float(Float16(scale)) == scale else { return (nil, "a scale is no half") }
                let zero = zero(row, group)
                isSymmetric = isSymmetric && zero == 8
                let minimum = -scale * Float(zero)
                hasHalfMinima = hasHalfMinima && Float(Float16(minimum)) == minimum
            }
        }
        return (isSymmetric ? .q4_0 : hasHalfMinima ? .q4_1 : .q5_0, nil)
    }

    /// Row `row` as blocks of `format`, which `losslessFormat` found.
    func encode(_ row: Int, _ format: Quantizer, _ out: UnsafeMutableRawPointer) {
        for block in 0..<columns / 32 {
            let group = Int(groups[input(32 * block)])
            let (scale, zero) = (Float16(scale(row, group)).bitPattern, zero(row, group))
            var levels = Levels()
            for j in 0..<32 { levels[j] = UInt8(truncatingIfNeeded: level(row, input(32 * block + j))) }
            let out = out + block * format.bytesPerBlock
            switch format {
            case .q4_0: writeQ4_0(half: scale, levels, out)
            case .q4_1:
                let minimum = Float16(-self.scale(row, group) * Float(zero)).bitPattern
                writeQ4_1(half: scale, minimum: minimum, levels, out)
            default:
                writeQ5_0(half: scale, levels &+ UInt8(truncatingIfNeeded: 16 - zero), out)
            }
        }
    }
}
