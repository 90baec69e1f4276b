import Kernels
import Quantizers

/// Encodes the rows of one tensor after another on a few threads, and measures what encoding cost.
///
/// Memory: one chunk of encoded rows for all threads, and two rows of floats for each, whatever the tensor's size.
/// A pool of threads of its own, not Swift's cooperative one: seconds of arithmetic there would starve other tasks.
// @unchecked because members touch only their own slots and the rows they took from the counter.
final class TensorEncoder: @unchecked Sendable {
    /// Squares of the weights and of what encoding changed; whether a weight was no usable number.
    struct Sums {
        var squares = 0.0
        var errors = 0.0
        var worst: Float = 0
        var isUnusable = false
    }

    /// Weights of a chunk, unless one row has more.
    static let chunkWeights = 1 << 20
    /// The longest row of any model is a few hundred thousand weights; this bounds the scratch.
    static let longestRow = 1 << 24

    private let pool: WorkerPool
    private let counter: UnsafeMutablePointer<UInt32>
    private var sums: [Sums]
    /// Rows of floats, two for each member.
    private var scratch: UnsafeMutablePointer<Float>
    private var scratchRow = 0
    private var bytes: [UInt8] = []
    private var job = Job()

    /// What the members work on.
    private struct Job {
        var source = RowSource(segments: [], rowLength: 0)
        var encoding = PlannedTensor.Encoding.quantized(.f32)
        var first = 0
        var count = 0
        var rowBytes = 0
        /// Rows that a member takes at a time.
        var step = 1
        var out: UnsafeMutableRawPointer?
    }

    init(threads: Int) {
        pool = WorkerPool(count: threads)
        counter = .allocate(capacity: 1)
        counter.initialize(to: 0)
        sums = [Sums](repeating: Sums(), count: pool.count)
        scratch = .allocate(capacity: 1)
    }

    deinit {
        counter.deallocate()
        scratch.deallocate()
    }

    /// Encodes `tensor` and hands its bytes to `write` in order, a chunk at a time.
    func encode<Failure: Error>(
        _ tensor: PlannedTensor, write: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> Sums {
        let format = tensor.encoding.format
        let length = tensor.source.rowLength
        let rowBytes = length / format.blockSize * format.bytesPerBlock
        let chunk = max(1, Self.chunkWeights / max(1, length))
        reserve(length)
        for member in sums.indices { sums[member] = Sums() }
        job.source = tensor.source
        job.encoding = tensor.encoding
        job.rowBytes = rowBytes
        job.step = max(1, 4096 / max(1, length))
        for first in stride(from: 0, to: tensor.source.rowCount, by: chunk) {
            let count = min(chunk, tensor.source.rowCount - first)
            (job.first, job.count) = (first, count)
            if bytes.count != count * rowBytes { bytes = [UInt8](repeating: 0, count: count * rowBytes) }
            bytes.withUnsafeMutableBytes { run(into: $0.baseAddress) }
            try write(bytes)
        }
        job.source = RowSource(segments: [], rowLength: 0)
        return sums.reduce(Sums()) { all, one in
            Sums(
                squares: all.squares + one.squares, errors: all.errors + one.errors, worst: max(all.worst, one.worst),
                isUnusable: all.isUnusable || one.isUnusable)
        }
    }

    private func reserve(_ length: Int) {
        guard length > scratchRow else { return }
        scratch.deallocate()
        scratch = .allocate(capacity: 2 * length * pool.count)
        scratchRow = length
    }

    private func run(into out: UnsafeMutableRawPointer?) {
        job.out = out
        counter.pointee = 0
        pool.run(Unmanaged.passUnretained(self).toOpaque()) { member, raw in
            // Unretained: `run` returns before its caller does.
            Unmanaged<TensorEncoder>.fromOpaque(raw)._withUnsafeGuaranteedRef { $0.work(member) }
        }
        job.out = nil
    }

    private func work(_ member: Int) {
        guard let out = job.out else { return }
        let counter = WorkCounter(counter)
        let row = scratch + 2 * scratchRow * member
        var mine = sums[member]
        while let piece = counter.next(below: (job.count + job.step - 1) / job.step) {
            for index in piece * job.step..<min(job.count, (piece + 1) * job.step) {
                encode(job.first + index, row, out + index * job.rowBytes, &mine)
            }
        }
        sums.withUnsafeMutableBufferPointer { $0[member] = mine }
    }

    private func encode(
        _ index: Int, _ row: UnsafeMutablePointer<Float>, _ out: UnsafeMutableRawPointer, _ sums: inout Sums
    ) {
        let length = job.source.rowLength
        job.source.read(index, into: row)
        // The error is that of the model, so the kernels decode, not a second decoder of ours.
        guard let decoder = WeightFormat(rawValue: job.encoding.format.ggml.rawValue),
            (0..<length).allSatisfy({ abs(row[$0]) <= Quantizer.largestWeight })
        else {
            sums.isUnusable = true
            return
        }
        switch job.encoding {
        case .quantized(let format): format.encode(row, length, out)
        case .lossless(let format):
            let (segment, inside) = job.source.locate(index)
            if case .packed(let matrix) = segment.rows { matrix.encode(inside, format, out) }
        }
        let back = row + scratchRow
        decoder.dequantize(.consecutive)(out, job.rowBytes, 0, length, back)
        for j in 0..<length {
            let (value, error) = (Double(row[j]), row[j] - back[j])
            sums.squares += value * value
            sums.errors += Double(error) * Double(error)
            sums.worst = max(sums.worst, abs(error))
        }
    }
}
