import Glibc
import Kernels

/// What keys and values are kept as.
public enum KVCacheType: String, Sendable, CaseIterable {
    /// Halves.
    case f16
    /// Bytes with a scale (a half) for every 32 elements of a cell: 53% of the memory, for a little time to widen them.
    case q8_0
}

/// Keys and values of every layer, in one lazily backed mapping.
///
/// The kernel hands out a page when it is first written, so a context of 2,048 costs only the cells in use
/// (22.5 KiB each for SmolLM2-135M as halves).
///
/// - Keys: (layer, head, cell / 8, element, cell % 8): eight cells side by side, so that a score needs no sum across
///   lanes. Scales of bytes: (layer, head, cell / 8, element / 32, cell % 8).
/// - Values: (layer, head, cell, element), and (layer, head, cell, element / 32).
/// - A layer with a convolution keeps what it convolves as the values of one head, as halves: cells are cut back and
///   branch into trees, which a running state could not.
///
/// Elements are padded to a multiple of eight; padding stays zero. Ownership: the session; pointers must not outlive it.
final class KVCache {
    let cells: Int
    let type: KVCacheType
    private let layers: [Layer]
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int

    /// One head's keys, or values: elements of a cell, and where they are, in bytes.
    struct Plane {
        let heads: Int
        /// Padded to eight.
        let length: Int
        let isHalf: Bool
        var start = 0

        /// Bytes of eight cells of one head, and of their scales.
        var elementBytes: Int { 8 * length * (isHalf ? 2 : 1) }
        var scaleBytes: Int { isHalf ? 0 : 8 * ((length + 31) / 32) * 2 }
        /// Bytes a cell takes.
        var cellBytes: Int { heads * (elementBytes + scaleBytes) / 8 }
    }

    struct Layer {
        var keys: Plane
        var values: Plane
    }

    static func padded(_ length: Int) -> Int { (length + 7) / 8 * 8 }

    /// Bytes of a cache if every cell is used.
    static func byteCount(_ config: ModelConfig, context: Int, type: KVCacheType = .f16) -> Int {
        layOut(config, cells: padded(context), type).reduce(0) { $0 + $1.keys.cellBytes + $1.values.cellBytes }
            * padded(context)
    }

    private static func layOut(_ config: ModelConfig, cells: Int, _ type: KVCacheType) -> [Layer] {
        var end = 0
        return config.layers.map { layer in
            let heads = layer.isConvolution ? 0 : config.headCountKV
            var keys = Plane(heads: heads, length: padded(config.headLength), isHalf: type == .f16)
            var values =
                layer.isConvolution
                ? Plane(heads: 1, length: padded(config.embeddingLength), isHalf: true)
                : Plane(heads: heads, length: padded(config.valueLength), isHalf: type == .f16)
            keys.start = end
            values.start = end + keys.cellBytes * cells
            end = values.start + values.cellBytes * cells
            return Layer(keys: keys, values: values)
        }
    }

    /// Throws `InferenceError` when the address space is not to be had.
    init(_ config: ModelConfig, context: Int, type: KVCacheType) throws(InferenceError) {
        cells = Self.padded(context)
        self.type = type
        // All factors are capped by ModelConfig and Session: the product stays far below 2^63.
        layers = Self.layOut(config, cells: cells, type)
        byteCount = Self.byteCount(config, context: context, type: type)
        let map = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let map, map != MAP_FAILED else {
            throw InferenceError(
                "a context of \(context) needs \(byteCount >> 20) MiB of address space, which the system refused. "
                    + "Use a smaller context.")
        }
        base = map
    }

    deinit { munmap(base, byteCount) }

    /// Keys of one head: (cells / 8, padded head length, 8), halves or bytes.
    func keys(_ layer: Int, _ head: Int) -> UnsafeMutableRawPointer { elements(layers[layer].keys, head) }

    /// Values of one head: (cells, padded value length), halves or bytes.
    func values(_ layer: Int, _ head: Int) -> UnsafeMutableRawPointer { elements(layers[layer].values, head) }

    /// Scales of one head's keys: (cells / 8, groups, 8).
    func keyScales(_ layer: Int, _ head: Int) -> UnsafeMutablePointer<UInt16> { scales(layers[layer].keys, head) }

    /// Scales of one head's values: (cells, groups).
    func valueScales(_ layer: Int, _ head: Int) -> UnsafeMutablePointer<UInt16> { scales(layers[layer].values, head) }

    private func elements(_ plane: Plane, _ head: Int) -> UnsafeMutableRawPointer {
        base + (plane.start &+ head &* (plane.elementBytes &+ plane.scaleBytes) &* (cells / 8))
    }

    private func scales(_ plane: Plane, _ head: Int) -> UnsafeMutablePointer<UInt16> {
        (elements(plane, head) + plane.elementBytes &* (cells / 8)).assumingMemoryBound(to: UInt16.self)
    }

    /// Bytes that `count` cells take.
    func byteCount(of count: Int) -> Int {
        layers.reduce(0) { $0 + $1.keys.cellBytes + $1.values.cellBytes } * Self.padded(count)
    }

    /// Copies the first `count` cells out, so that a template's state can be put back later.
    func copy(_ count: Int) -> [UInt8] {
        let length = byteCount(of: count)
        return [UInt8](unsafeUninitializedCapacity: length) { buffer, written in
            guard var to = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            forEachPart(of: Self.padded(count) / 8) { part, bytes in
                to.copyMemory(from: part, byteCount: bytes)
                to += bytes
            }
            written = length
        }
    }

    /// Puts a copy of `count` cells back; false when it is of another kind of cache.
    func restore(_ copy: UnsafeRawBufferPointer, _ count: Int) -> Bool {
        guard copy.count == byteCount(of: count) else { return false }
        guard var from = copy.baseAddress else { return true }
        forEachPart(of: Self.padded(count) / 8) { part, bytes in
            part.copyMemory(from: from, byteCount: bytes)
            from += bytes
        }
        return true
    }

    /// Visits the bytes that the first `blocks` blocks of eight cells take: every head's elements and scales.
    private func forEachPart(of blocks: Int, _ body: (UnsafeMutableRawPointer, Int) -> Void) {
        for layer in layers {
            for plane in [layer.keys, layer.values] {
                for head in 0..<plane.heads {
                    body(elements(plane, head), plane.elementBytes * blocks)
                    if plane.scaleBytes > 0 {
                        body(UnsafeMutableRawPointer(scales(plane, head)), plane.scaleBytes * blocks)
                    }
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
