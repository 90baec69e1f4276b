#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Tiles of the formats of Blocks+Small.swift: see Tile.swift.

/// Weights times their scales, 0…45: they have one scale then, the block's, and only the minima differ in a group.
private enum TileQ2_K: TileDecoder {
    static var hasHalfMinima: Bool { true }
    @inline(__always)  // the body of the unpack loop, as below
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> Weights32 {
        weightsQ2_K(row + (group >> 3) &* BlockQ2_K.bytes, group & 7)
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

/// The same less 16, which the product's sums begin with: 16 bits then hold eight products.
private enum TileLowQ2_K: TileDecoder {
    static var hasHalfMinima: Bool { true }
    @inline(__always)
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> Weights32 {
        shifted(TileQ2_K.weights(row, group), 16)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) { TileQ2_K.meta(row, group) }
    @inline(__always)
    static func lastMinimum(_ row: UnsafeRawPointer, _ group: Int) -> Float { TileQ2_K.lastMinimum(row, group) }
}

private enum Tile256<Format: Block256>: TileDecoder {
    @inline(__always)
    static func weights(_ row: UnsafeRawPointer, _ group: Int) -> Weights32 {
        Format.weights(row + (group >> 3) &* Format.bytes, group & 7)
    }
    @inline(__always)
    static func meta(_ row: UnsafeRawPointer, _ group: Int) -> (Float, Float) {
        let block = row + (group >> 3) &* Format.bytes
        let (first, last) = Format.scales(block)
        let (scales, d) = (group & 7 < 4 ? first : last, Format.d(block))
        guard Format.hasHalves else { return (d * Float(signedByte(scales, group & 3)), 0) }
        let at = (group & 3) &* 2
        return (d * Float(signedByte(scales, at)), d * Float(signedByte(scales, at &+ 1)))
    }
}

/// Unpacks up to sixteen rows of Q2_K blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileLowQ2_K.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q3_K blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowQ3_K>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q6_K blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowQ6_K>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of IQ4_XS blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowIQ4_XS>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of MXFP4 blocks to columns.
@inline(never)  // entry of a tier
public func neonUnpackMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowMXFP4>.self, ColumnTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q2_K blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ2_K.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q3_K blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowQ3_K>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q6_K blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowQ6_K>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of IQ4_XS blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowIQ4_XS>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of MXFP4 blocks to quads.
@inline(never)  // entry of a tier
public func neonUnpackQuadsMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowMXFP4>.self, QuadTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q2_K blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(TileQ2_K.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q3_K blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowQ3_K>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of Q6_K blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowQ6_K>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of IQ4_XS blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile256<RowIQ4_XS>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }

/// Unpacks up to sixteen rows of MXFP4 blocks to octets.
@inline(never)  // entry of a tier
public func neonUnpackOctetsMXFP4(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ tile: UnsafeMutableRawPointer,
    _ meta: UnsafeMutablePointer<Float>
) { unpack(Tile32<RowMXFP4>.self, OctetTile.self, w, rowBytes, rows, k, tile, meta) }
#endif
