import QuantBlocks

// Interleaved rows, portably: every block is put together again as the file had it, then decoded as ever. Slow, and
// the oracle of the tiers' own kernels. The other direction is `martlet model pack`.

/// How one row's block is put into a record, lane `lane` of sixteen, and taken out again.
protocol BlockInterleaver: InterleavedFormat {
    associatedtype Decoder: GroupDecoder
    static var blockBytes: Int { get }
    static func scatter(_ block: UnsafeRawPointer, _ record: UnsafeMutableRawPointer, _ lane: Int)
    static func gather(_ record: UnsafeRawPointer, _ lane: Int, _ block: UnsafeMutableRawPointer)
}

/// Reads a row of a band.
enum InterleavedRows<Block: BlockInterleaver>: RowsDecoder {
    @inline(__always)  // the body of loops over groups
    static func decode(
        _ w: UnsafeRawPointer, _ rowBytes: Int, _ r: Int, _ index: Int, _ q: UnsafeMutablePointer<Int8>
    ) -> Group {
        let band = w + r / tileRows &* tileRows &* rowBytes
        let record = band + index / Block.groups &* Block.recordBytes
        var storage: (SIMD64<UInt8>, SIMD64<UInt8>, SIMD64<UInt8>, SIMD64<UInt8>) = (.zero, .zero, .zero, .zero)
        return withUnsafeMutableBytes(of: &storage) { bytes in
            guard let block = bytes.baseAddress else { return Group(low: 0, high: 0, minimum: 0) }
            Block.gather(record, r % tileRows, block)
            return Block.Decoder.decode(block, index % Block.groups, q)
        }
    }
}

/// Interleaves sixteen rows of `k` weights: rows (16, rowBytes) to a band.
@inline(__always)  // specialised by each entry
func interleave<Block: BlockInterleaver>(
    _: Block.Type, _ rows: UnsafeRawPointer, _ rowBytes: Int, _ k: Int, _ band: UnsafeMutableRawPointer
) {
    for b in 0..<(k / (32 &* Block.groups)) {
        for lane in 0..<tileRows {
            Block.scatter(rows + (lane &* rowBytes &+ b &* Block.blockBytes), band + b &* Block.recordBytes, lane)
        }
    }
}

@inline(__always)  // copies, as the rest
private func copy<T>(_: T.Type, _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer) {
    to.storeBytes(of: from.loadUnaligned(as: T.self), as: T.self)
}

/// Words of `codes` (four weights each) to and from their columns.
@inline(__always)
private func scatterWords(_ codes: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ lane: Int, _ count: Int) {
    for c in 0..<count { copy(UInt32.self, codes + c &* 4, to + (c &* 64 &+ lane &* 4)) }
}

@inline(__always)
private func gatherWords(_ from: UnsafeRawPointer, _ lane: Int, _ codes: UnsafeMutableRawPointer, _ count: Int) {
    for c in 0..<count { copy(UInt32.self, from + (c &* 64 &+ lane &* 4), codes + c &* 4) }
}

/// A bit of weight `j` of a group: (byte, bit) in the lane's word.
@inline(__always)
private func fifthBitPlace(_ j: Int) -> (byte: Int, bit: Int) { (j & 3, (j & 15) >> 2 &+ (j >> 4) &* 4) }

@inline(__always)
private func scatterBits(_ bits: UInt32) -> UInt32 {
    var word: UInt32 = 0
    for j in 0..<32 {
        let (byte, bit) = fifthBitPlace(j)
        word |= (bits &>> UInt32(truncatingIfNeeded: j) & 1) &<< UInt32(truncatingIfNeeded: byte &* 8 &+ bit)
    }
    return word
}

@inline(__always)
private func gatherBits(_ word: UInt32) -> UInt32 {
    var bits: UInt32 = 0
    for j in 0..<32 {
        let (byte, bit) = fifthBitPlace(j)
        bits |= (word &>> UInt32(truncatingIfNeeded: byte &* 8 &+ bit) & 1) &<< UInt32(truncatingIfNeeded: j)
    }
    return bits
}

// MARK: Blocks of 32

/// A format whose blocks are | halves | fifth bits, perhaps | codes |.
protocol Interleaver32: BlockInterleaver {}

extension Interleaver32 {
    static var blockBytes: Int { halves &* 2 &+ bitBytes / 16 &+ codeBytes / 16 }

    @inline(__always)
    static func scatter(_ block: UnsafeRawPointer, _ record: UnsafeMutableRawPointer, _ lane: Int) {
        for h in 0..<halves { copy(UInt16.self, block + h &* 2, record + (h &* 32 &+ lane &* 2)) }
        if bitBytes > 0 {
            let word = scatterBits(block.loadUnaligned(fromByteOffset: halves &* 2, as: UInt32.self))
            record.storeBytes(of: word, toByteOffset: bits(0) &+ lane &* 4, as: UInt32.self)
        }
        scatterWords(block + (halves &* 2 &+ bitBytes / 16), record + codes(0), lane, codeBytes / 64)
    }

    @inline(__always)
    static func gather(_ record: UnsafeRawPointer, _ lane: Int, _ block: UnsafeMutableRawPointer) {
        for h in 0..<halves { copy(UInt16.self, record + (h &* 32 &+ lane &* 2), block + h &* 2) }
        if bitBytes > 0 {
            let word = record.loadUnaligned(fromByteOffset: bits(0) &+ lane &* 4, as: UInt32.self)
            block.storeBytes(of: gatherBits(word), toByteOffset: halves &* 2, as: UInt32.self)
        }
        gatherWords(record + codes(0), lane, block + (halves &* 2 &+ bitBytes / 16), codeBytes / 64)
    }
}

extension InterleavedQ4_0: Interleaver32 { typealias Decoder = DecodeQ4_0 }
extension InterleavedQ4_1: Interleaver32 { typealias Decoder = DecodeQ4_1 }
extension InterleavedQ5_0: Interleaver32 { typealias Decoder = DecodeQ5_0 }
extension InterleavedQ5_1: Interleaver32 { typealias Decoder = DecodeQ5_1 }
extension InterleavedQ8_0: Interleaver32 { typealias Decoder = DecodeQ8_0 }
extension InterleavedIQ4_NL: Interleaver32 { typealias Decoder = DecodeIQ4_NL }

// MARK: Blocks of 256

/// Four bits of weight `j` of a group, in the codes of its lane.
@inline(__always)
private func nibblePlace(_ j: Int, _ lane: Int) -> (byte: Int, shift: UInt8) {
    ((j & 15) >> 2 &* 64 &+ lane &* 4 &+ j & 3, UInt8(truncatingIfNeeded: (j >> 4) &* 4))
}

/// Sets `width` bits at `shift` of the byte at `address`.
@inline(__always)
private func set(_ address: UnsafeMutableRawPointer, _ value: UInt8, _ shift: UInt8, _ mask: UInt8) {
    let old = address.load(as: UInt8.self) & ~(mask &<< shift)
    address.storeBytes(of: old | (value & mask) &<< shift, as: UInt8.self)
}

/// Q4_K and Q5_K: | d | dmin | scales (12) | fifth bits (0 or 32) | nibbles (128) |.
protocol InterleaverScaled: BlockInterleaver {}

extension InterleaverScaled {
    static var blockBytes: Int { 16 &+ bitBytes / 2 &+ 128 }
    private static var qs: Int { 16 &+ bitBytes / 2 }

    @inline(__always)
    static func scatter(_ block: UnsafeRawPointer, _ record: UnsafeMutableRawPointer, _ lane: Int) {
        copy(UInt16.self, block, record + lane &* 2)
        copy(UInt16.self, block + 2, record + (32 &+ lane &* 2))
        for g in 0..<8 {
            let (scale, minimum) = scaleAndMinimum(block + BlockQ4_K.scales, g)
            (record + (scales(g) &+ lane)).storeBytes(of: scale, as: UInt8.self)
            (record + (scales(g) &+ 16 &+ lane)).storeBytes(of: minimum, as: UInt8.self)
            var fifth: UInt32 = 0
            for j in 0..<32 {
                let byte = (block + (qs &+ (g >> 1) &* 32 &+ j)).load(as: UInt8.self)
                let (at, shift) = nibblePlace(j, lane)
                set(record + (codes(g) &+ at), g & 1 == 0 ? byte : byte >> 4, shift, 0x0F)
                guard bitBytes > 0 else { continue }
                let bit = (block + (BlockQ5_K.qh &+ j)).load(as: UInt8.self) &>> UInt8(truncatingIfNeeded: g) & 1
                fifth |= UInt32(bit) &<< UInt32(truncatingIfNeeded: j)
            }
            if bitBytes > 0 {
                record.storeBytes(of: scatterBits(fifth), toByteOffset: bits(g) &+ lane &* 4, as: UInt32.self)
            }
        }
    }

    @inline(__always)
    static func gather(_ record: UnsafeRawPointer, _ lane: Int, _ block: UnsafeMutableRawPointer) {
        copy(UInt16.self, record + lane &* 2, block)
        copy(UInt16.self, record + (32 &+ lane &* 2), block + 2)
        for g in 0..<8 {
            let scale = (record + (scales(g) &+ lane)).load(as: UInt8.self)
            let minimum = (record + (scales(g) &+ 16 &+ lane)).load(as: UInt8.self)
            setScaleAndMinimum(block + BlockQ4_K.scales, g, scale, minimum)
            var fifth: UInt32 = 0
            if bitBytes > 0 {
                fifth = gatherBits(record.loadUnaligned(fromByteOffset: bits(g) &+ lane &* 4, as: UInt32.self))
            }
            for j in 0..<32 {
                let (at, shift) = nibblePlace(j, lane)
                let nibble = (record + (codes(g) &+ at)).load(as: UInt8.self) &>> shift
                let to = block + (qs &+ (g >> 1) &* 32 &+ j)
                set(to, nibble, UInt8(truncatingIfNeeded: (g & 1) &* 4), 0x0F)
                guard bitBytes > 0 else { continue }
                let bit = UInt8(truncatingIfNeeded: fifth &>> UInt32(truncatingIfNeeded: j) & 1)
                set(block + (BlockQ5_K.qh &+ j), bit, UInt8(truncatingIfNeeded: g), 1)
            }
        }
    }
}

/// The inverse of `scaleAndMinimum`, which says where the six bits stand.
@inline(__always)
private func setScaleAndMinimum(
    _ scales: UnsafeMutableRawPointer, _ index: Int, _ scale: UInt8, _ minimum: UInt8
) {
    if index < 4 {
        set(scales + index, scale, 0, 63)
        set(scales + (index &+ 4), minimum, 0, 63)
    } else {
        set(scales + (index &+ 4), scale, 0, 0x0F)
        set(scales + (index &+ 4), minimum, 4, 0x0F)
        set(scales + (index &- 4), scale >> 4, 6, 3)
        set(scales + index, minimum >> 4, 6, 3)
    }
}

extension InterleavedQ4_K: InterleaverScaled { typealias Decoder = DecodeQ4_K }
extension InterleavedQ5_K: InterleaverScaled { typealias Decoder = DecodeQ5_K }

extension InterleavedQ6_K: BlockInterleaver {
    typealias Decoder = DecodeQ6_K
    static var blockBytes: Int { BlockQ6_K.bytes }

    /// Where weight `j` of group `g` stands in a block: (byte of ql, shift, byte of qh, shift).
    @inline(__always)
    private static func place(_ g: Int, _ j: Int) -> (ql: Int, low: UInt8, qh: Int, high: UInt8) {
        let within = g & 3
        return (
            (g >> 2) &* 64 &+ (within & 1) &* 32 &+ j, UInt8(truncatingIfNeeded: (within >> 1) &* 4),
            BlockQ6_K.qh &+ (g >> 2) &* 32 &+ j, UInt8(truncatingIfNeeded: within &* 2)
        )
    }

    /// Where its two high bits stand in a record.
    @inline(__always)
    private static func highPlace(_ g: Int, _ j: Int, _ lane: Int) -> (byte: Int, shift: UInt8) {
        (bits(g) &+ (j >> 4) &* 64 &+ lane &* 4 &+ j & 3, UInt8(truncatingIfNeeded: (j & 15) >> 2 &* 2))
    }

    @inline(__always)
    static func scatter(_ block: UnsafeRawPointer, _ record: UnsafeMutableRawPointer, _ lane: Int) {
        copy(UInt16.self, block + BlockQ6_K.d, record + lane &* 2)
        for g in 0..<8 {
            for half in 0..<2 {
                let from = block + (BlockQ6_K.scales &+ g &* 2 &+ half)
                copy(UInt8.self, from, record + (scales(g) &+ half &* 16 &+ lane))
            }
            for j in 0..<32 {
                let from = place(g, j)
                let (at, shift) = nibblePlace(j, lane)
                set(record + (codes(g) &+ at), (block + from.ql).load(as: UInt8.self) &>> from.low, shift, 0x0F)
                let to = highPlace(g, j, lane)
                set(record + to.byte, (block + from.qh).load(as: UInt8.self) &>> from.high, to.shift, 3)
            }
        }
    }

    @inline(__always)
    static func gather(_ record: UnsafeRawPointer, _ lane: Int, _ block: UnsafeMutableRawPointer) {
        copy(UInt16.self, record + lane &* 2, block + BlockQ6_K.d)
        for g in 0..<8 {
            for half in 0..<2 {
                let to = block + (BlockQ6_K.scales &+ g &* 2 &+ half)
                copy(UInt8.self, record + (scales(g) &+ half &* 16 &+ lane), to)
            }
            for j in 0..<32 {
                let to = place(g, j)
                let (at, shift) = nibblePlace(j, lane)
                set(block + to.ql, (record + (codes(g) &+ at)).load(as: UInt8.self) &>> shift, to.low, 0x0F)
                let from = highPlace(g, j, lane)
                set(block + to.qh, (record + from.byte).load(as: UInt8.self) &>> from.shift, to.high, 3)
            }
        }
    }
}
