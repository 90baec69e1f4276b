import GGUF
import Kernels

/// Reads a tensor through once, decoded, looking for numbers that are not finite.
struct WeightFormatScan {
    private let tensor: GGUFTensor
    private let dequantize: DequantizeKernel

    /// Nil for formats without kernels.
    init?(_ tensor: GGUFTensor) {
        guard let format = WeightFormat(rawValue: tensor.type.rawValue) else { return nil }
        self.tensor = tensor
        dequantize = format.dequantize(tensor.isInterleaved ? .interleaved : .consecutive)
    }

    func allFinite() -> Bool {
        guard let base = tensor.bytes.baseAddress else { return true }
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: tensor.rowLength) { row in
            guard let start = row.baseAddress else { return true }
            for index in 0..<tensor.rows {
                dequantize(base, tensor.rowByteCount, index, tensor.rowLength, start)
                // One sum tells: it is finite only if every weight is (weights are far from overflowing it).
                var sum: Float = 0
                for j in 0..<tensor.rowLength { sum += abs(start[j]) }
                if !sum.isFinite { return false }
            }
            return true
        }
    }
}
