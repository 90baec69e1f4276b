import GGUF
import Kernels
import Linux

extension Session {
    /// Bytes per second at which all threads together read the model's pages: the bound of decode.
    ///
    /// Measured on the weights themselves, so it needs no memory of its own and sees the same caches as decode.
    /// The best of `passes`, because a bound is what the machine can do.
    public func measureBandwidth(passes: Int = 3) -> Double {
        let bytes = model.file.mapped.bytes
        guard let base = bytes.baseAddress, bytes.count > 0 else { return 0 }
        var best = 0.0
        for _ in 0..<max(1, passes) {
            state.counters[0] = 0
            var job = ReadJob(base: base, count: bytes.count, counter: WorkCounter(state.counters), sum: 0)
            let start = monotonicNanoseconds()
            pool.run(&job) { _, raw in
                let job = raw.assumingMemoryBound(to: ReadJob.self)
                let sum = job.pointee.read()
                // Kept, so that the reads cannot be optimised away; which thread's sum survives does not matter.
                job.pointee.sum = sum
            }
            best = max(best, Double(bytes.count) / Double(max(1, monotonicNanoseconds() - start)) * 1e9)
        }
        return best
    }
}

/// One pass over the mapping, a mebibyte a piece.
private struct ReadJob {
    let base: UnsafeRawPointer
    let count: Int
    let counter: WorkCounter
    var sum: UInt64

    func read() -> UInt64 {
        let band = 1 << 20
        var total = SIMD8<UInt64>.zero
        while let piece = counter.next(below: (count + band - 1) / band) {
            let start = piece * band
            let end = min(start + band, count) - 255
            var offset = start
            var (a, b, c, d) = (total, SIMD8<UInt64>.zero, SIMD8<UInt64>.zero, SIMD8<UInt64>.zero)
            while offset < end {
                a ^= base.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
                b ^= base.loadUnaligned(fromByteOffset: offset &+ 64, as: SIMD8<UInt64>.self)
                c ^= base.loadUnaligned(fromByteOffset: offset &+ 128, as: SIMD8<UInt64>.self)
                d ^= base.loadUnaligned(fromByteOffset: offset &+ 192, as: SIMD8<UInt64>.self)
                offset &+= 256
            }
            total = (a ^ b) ^ (c ^ d)
        }
        return total.wrappedSum()
    }
}
