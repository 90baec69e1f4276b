import Glibc

/// Keys and values of every layer, as halves, in one lazily backed mapping.
///
/// The kernel hands out a page when it is first written, so a context of 2,048 costs only the cells in use
/// (22.5 KiB each for SmolLM2-135M).
///
/// - Keys: (layer, head, cell / 8, element, cell % 8): eight cells side by side, so that a score needs no sum across
///   lanes.
/// - Values: (layer, head, cell, element).
///
/// Elements are padded to a multiple of eight; padding stays zero. Ownership: the session; pointers must not outlive it.
final class KVCache {
    let cells: Int
    let headLength: Int
    private let heads: Int
    private let base: UnsafeMutablePointer<UInt16>
    private let byteCount: Int
    private let layerStride: Int
    private let headStride: Int
    private let valuesOffset: Int

    /// Throws `InferenceError` when the address space is not to be had.
    init(_ config: ModelConfig, context: Int) throws(InferenceError) {
        cells = (context + 7) / 8 * 8
        headLength = (config.headLength + 7) / 8 * 8
        heads = config.headCountKV
        // All factors are capped by ModelConfig and Session: the product stays far below 2^63.
        headStride = cells * headLength
        layerStride = heads * headStride
        valuesOffset = config.blockCount * layerStride
        byteCount = 2 * valuesOffset * MemoryLayout<UInt16>.stride
        let map = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let map, map != MAP_FAILED else {
            throw InferenceError(
                "a context of \(context) needs \(byteCount >> 20) MiB of address space, which the system refused. "
                    + "Use a smaller context.")
        }
        base = map.bindMemory(to: UInt16.self, capacity: 2 * valuesOffset)
    }

    deinit { munmap(base, byteCount) }

    /// Keys of one head: (cells / 8, headLength, 8).
    func keys(_ layer: Int, _ head: Int) -> UnsafeMutablePointer<UInt16> {
        base + (layer &* layerStride &+ head &* headStride)
    }

    /// Values of one head: (cells, headLength).
    func values(_ layer: Int, _ head: Int) -> UnsafeMutablePointer<UInt16> {
        base + (valuesOffset &+ layer &* layerStride &+ head &* headStride)
    }

    /// Copies the first `count` cells out, so that a template's state can be put back later.
    func copy(_ count: Int, layers: Int) -> [UInt16] {
        let length = (count + 7) / 8 * 8 * headLength
        return [UInt16](unsafeUninitializedCapacity: 2 * layers * heads * length) { buffer, written in
            guard var to = buffer.baseAddress else { return }
            for layer in 0..<layers {
                for head in 0..<heads {
                    to.update(from: keys(layer, head), count: length)
                    (to + length).update(from: values(layer, head), count: length)
                    to += 2 * length
                }
            }
            written = 2 * layers * heads * length
        }
    }

    /// Puts a copy of `count` cells back.
    func restore(_ copy: [UInt16], _ count: Int, layers: Int) {
        let length = (count + 7) / 8 * 8 * headLength
        copy.withUnsafeBufferPointer { buffer in
            guard var from = buffer.baseAddress, buffer.count == 2 * layers * heads * length else { return }
            for layer in 0..<layers {
                for head in 0..<heads {
                    keys(layer, head).update(from: from, count: length)
                    values(layer, head).update(from: from + length, count: length)
                    from += 2 * length
                }
            }
        }
    }
}

/// Why a computation cannot be done: one sentence, then what to do.
public struct InferenceError: Error, CustomStringConvertible, Sendable {
    public let description: String
    init(_ description: String) { self.description = description }
}
