import Glibc
import Kernels

/// Keys and values of every layer, as halves, in one lazily backed mapping.
///
/// The kernel hands out a page when it is first written, so a context of 2,048 costs only the cells in use
/// (22.5 KiB each for SmolLM2-135M).
///
/// - Keys: (layer, head, cell / 8, element, cell % 8): eight cells side by side, so that a score needs no sum across
///   lanes.
/// - Values: (layer, head, cell, element).
/// - A layer with a convolution keeps what it convolves as the values of one head: cells are cut back and branch into
///   trees, which a running state could not.
///
/// Elements are padded to a multiple of eight; padding stays zero. Ownership: the session; pointers must not outlive it.
final class KVCache {
    let cells: Int
    private let layers: [Layer]
    private let base: UnsafeMutablePointer<UInt16>
    private let byteCount: Int

    /// Where a layer's keys and values are, in elements.
    struct Layer {
        /// Heads with keys; of as many values, or one of a convolution's.
        let heads: Int
        let keyLength: Int
        let valueHeads: Int
        let valueLength: Int
        let keys: Int
        let values: Int

        /// Elements a cell takes.
        var cellLength: Int { heads * keyLength + valueHeads * valueLength }
    }

    static func padded(_ length: Int) -> Int { (length + 7) / 8 * 8 }

    /// Bytes of a cache if every cell is used.
    static func byteCount(_ config: ModelConfig, context: Int) -> Int {
        layOut(config, cells: padded(context)).reduce(0) { $0 + $1.cellLength } * padded(context) * 2
    }

    private static func layOut(_ config: ModelConfig, cells: Int) -> [Layer] {
        var end = 0
        return config.layers.map { layer in
            let heads = layer.isConvolution ? 0 : config.headCountKV
            let valueHeads = layer.isConvolution ? 1 : heads
            let keyLength = padded(config.headLength)
            let valueLength = padded(layer.isConvolution ? config.embeddingLength : config.valueLength)
            let keys = end
            let values = keys + heads * keyLength * cells
            end = values + valueHeads * valueLength * cells
            return Layer(
                heads: heads, keyLength: keyLength, valueHeads: valueHeads, valueLength: valueLength, keys: keys,
                values: values)
        }
    }

    /// Throws `InferenceError` when the address space is not to be had.
    init(_ config: ModelConfig, context: Int) throws(InferenceError) {
        cells = Self.padded(context)
        // All factors are capped by ModelConfig and Session: the product stays far below 2^63.
        layers = Self.layOut(config, cells: cells)
        byteCount = Self.byteCount(config, context: context)
        let map = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let map, map != MAP_FAILED else {
            throw InferenceError(
                "a context of \(context) needs \(byteCount >> 20) MiB of address space, which the system refused. "
                    + "Use a smaller context.")
        }
        base = map.bindMemory(to: UInt16.self, capacity: byteCount / 2)
    }

    deinit { munmap(base, byteCount) }

    /// Keys of one head: (cells / 8, padded head length, 8).
    func keys(_ layer: Int, _ head: Int) -> UnsafeMutablePointer<UInt16> {
        let layer = layers[layer]
        return base + (layer.keys &+ head &* layer.keyLength &* cells)
    }

    /// Values of one head: (cells, padded value length).
    func values(_ layer: Int, _ head: Int) -> UnsafeMutablePointer<UInt16> {
        let layer = layers[layer]
        return base + (layer.values &+ head &* layer.valueLength &* cells)
    }

    /// Copies the first `count` cells out, so that a template's state can be put back later.
    func copy(_ count: Int) -> [UInt16] {
        let cells = Self.padded(count)
        let length = layers.reduce(0) { $0 + $1.cellLength } * cells
        return [UInt16](unsafeUninitializedCapacity: length) { buffer, written in
            guard var to = buffer.baseAddress else { return }
            forEachHead { head, length in
                to.update(from: head, count: cells * length)
                to += cells * length
            }
            written = length
        }
    }

    /// Puts a copy of `count` cells back.
    func restore(_ copy: [UInt16], _ count: Int) {
        let cells = Self.padded(count)
        copy.withUnsafeBufferPointer { buffer in
            guard var from = buffer.baseAddress, buffer.count == layers.reduce(0, { $0 + $1.cellLength }) * cells
            else { return }
            forEachHead { head, length in
                head.update(from: from, count: cells * length)
                from += cells * length
            }
        }
    }

    /// Visits every head's keys and values, and what it has of each cell.
    private func forEachHead(_ body: (UnsafeMutablePointer<UInt16>, Int) -> Void) {
        for (index, layer) in layers.enumerated() {
            for head in 0..<layer.heads { body(keys(index, head), layer.keyLength) }
            for head in 0..<layer.valueHeads { body(values(index, head), layer.valueLength) }
        }
    }
}

/// Why a computation cannot be done: one sentence, then what to do.
public struct InferenceError: Error, CustomStringConvertible, Sendable {
    public let description: String
    init(_ description: String) { self.description = description }
}
