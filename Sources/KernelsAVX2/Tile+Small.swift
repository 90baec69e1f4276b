#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Tiles of the formats of Blocks+Small.swift.

/// Weights times their scales, 0…45: they have one scale then, the block's, and only the minima differ in a group.
private enum TileQ2_K: TileDecoder {
    static var hasHalfMinima: Bool { true }
    @inline(__always)  // the body of the unpack loop, as below
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        let (block, sub) = (row + (group >> 3) &* BlockQ2_K.bytes, group & 7)
        // Words times words: two bytes' products with a scale stay apart.
        let first = _mm_set1_epi16(Int16((block + sub &* 2).load(as: UInt8.self) & 0x0F))
        let last = _mm_set1_epi16(Int16((block + (sub &* 2 &+ 1)).load(as: UInt8.self) & 0x0F))
        return _mm256_mullo_epi16(weightsQ2_K(block, sub), martlet_join128(first, last))
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + (group >> 3) &* BlockQ2_K.bytes
        return (half(block + BlockQ2_K.d), minimum(block, (group & 7) &* 2))
    }
    @inline(__always)
    static func lastMinimum(_ row: UnsafeRawPointer, _ group: Int) -> Float {
        minimum(row + (group >> 3) &* BlockQ2_K.bytes, (group & 7) &* 2 &+ 1)
    }
    @inline(__always)
    private static func minimum(_ block: UnsafeRawPointer, _ index: Int) -> Float {
        -half(block + BlockQ2_K.dmin) * Float((block + index).load(as: UInt8.self) >> 4)
    }
}

private enum Tile256<Format: Block256>: TileDecoder {
    @inline(__always)
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> I256 {
        Format.weights(row + (group >> 3) &* Format.bytes, group & 7)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + (group >> 3) &* Format.bytes
        let (first, last) = Format.scales(block)
        let (scales, at) = (group & 7 < 4 ? first : last, (group & 3) &* 2)
        let d = Format.d(block)
        return (d * Float(signedByte(scales, at)), d * Float(signedByte(scales, at &+ 1)))
    }
}

/// Unpacks up to sixteen rows of Q2_K blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ2_K.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q3_K blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowQ3_K>.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q6_K blocks.
@inline(never)  // entry of a tier
public func avx2UnpackQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowQ6_K>.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of IQ4_XS blocks.
@inline(never)  // entry of a tier
public func avx2UnpackIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowIQ4_XS>.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of MXFP4 blocks.
@inline(never)  // entry of a tier
public func avx2UnpackMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowMXFP4>.self, w, rowBytes, rows, k, tile, meta) }
#endif
