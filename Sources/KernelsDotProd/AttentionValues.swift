#if arch(arm64)
import CIntrinsics
import KernelsARM
import QuantBlocks

// Weighted sums of cached values in halves: an instruction takes eight values where floats take four, widened first.
//
// A sum of halves runs over eight positions and is then added to floats, so its error is that of a rounding or two of
// the cache itself, however long the context. Eight, because a window begins at a multiple of eight: longer runs would
// make a token's state depend on its batch. Weights are shares of one: no sum leaves the range of halves.
// Rejected: scores in halves. They are not shares; some models' exceed what halves hold (65,504), and an error of a
// unit in the last place of a large score is an error of its share.

/// Positions whose products are summed in halves.
private let run = 8

/// Sums in halves of a row over 8 × `count` neighbouring values.
private protocol Columns {
    static var count: Int { get }
    init()
    /// Adds the values at `address` times lane `i` of the weights.
    mutating func add(_ address: UnsafePointer<UInt16>, _ weights: uint16x8_t, _ i: Int)
    /// Adds them to `out`.
    func finish(_ out: UnsafeMutablePointer<Float>)
}

@inline(__always)  // the inner loop
private func add(_ sum: uint16x8_t, _ values: uint16x8_t, _ weights: uint16x8_t, _ i: Int) -> uint16x8_t {
    switch i {  // a constant once this is inlined
    case 0: martlet_half_lane0(sum, values, weights)
    case 1: martlet_half_lane1(sum, values, weights)
    case 2: martlet_half_lane2(sum, values, weights)
    case 3: martlet_half_lane3(sum, values, weights)
    case 4: martlet_half_lane4(sum, values, weights)
    case 5: martlet_half_lane5(sum, values, weights)
    case 6: martlet_half_lane6(sum, values, weights)
    default: martlet_half_lane7(sum, values, weights)
    }
}

@inline(__always)  // a load instruction
private func load(_ address: UnsafePointer<UInt16>) -> uint16x8_t {
    UnsafeRawPointer(address).loadUnaligned(as: uint16x8_t.self)
}

@inline(__always)  // once a run
private func finish(_ sum: uint16x8_t, _ out: UnsafeMutablePointer<Float>) {
    storeFloats4(loadFloats4(out) + martlet_widen_low(sum), out)
    storeFloats4(loadFloats4(out + 4) + martlet_widen_high_sum(sum), out + 4)
}

private struct Columns8: Columns {
    static var count: Int { 8 }
    private var a = uint16x8_t.zero

    @inline(__always)
    init() {}

    @inline(__always)  // the inner loop
    mutating func add(_ address: UnsafePointer<UInt16>, _ weights: uint16x8_t, _ i: Int) {
        a = KernelsDotProd.add(a, load(address), weights, i)
    }

    @inline(__always)
    func finish(_ out: UnsafeMutablePointer<Float>) {
        KernelsDotProd.finish(a, out)
    }
}

private struct Columns32: Columns {
    static var count: Int { 32 }
    private var (a, b) = (uint16x8_t.zero, uint16x8_t.zero)
    private var (c, d) = (uint16x8_t.zero, uint16x8_t.zero)

    @inline(__always)
    init() {}

    @inline(__always)  // the inner loop; rows share the loads
    mutating func add(_ address: UnsafePointer<UInt16>, _ weights: uint16x8_t, _ i: Int) {
        a = KernelsDotProd.add(a, load(address), weights, i)
        b = KernelsDotProd.add(b, load(address + 8), weights, i)
        c = KernelsDotProd.add(c, load(address + 16), weights, i)
        d = KernelsDotProd.add(d, load(address + 24), weights, i)
    }

    @inline(__always)
    func finish(_ out: UnsafeMutablePointer<Float>) {
        KernelsDotProd.finish(a, out)
        KernelsDotProd.finish(b, out + 8)
        KernelsDotProd.finish(c, out + 16)
        KernelsDotProd.finish(d, out + 24)
    }
}

/// Eight weights of a row, narrowed; the last ones of fewer than eight.
@inline(__always)  // once for all columns of eight positions
private func weights8(_ address: UnsafePointer<Float>) -> uint16x8_t {
    martlet_narrow(loadFloats4(address), loadFloats4(address + 4))
}

@inline(__always)  // at most once a row
private func weights8(_ address: UnsafePointer<Float>, first count: Int) -> uint16x8_t {
    var (low, high) = (float32x4_t.zero, float32x4_t.zero)
    for i in 0..<min(count, 4) { low[i] = address[i] }
    for i in 4..<max(count, 4) { high[i &- 4] = address[i] }
    return martlet_narrow(low, high)
}

/// A run of `count` positions, for rows that share the loads of the values; rows beyond `last` repeat that one.
@inline(__always)  // specialised by the entry below
private func sum<C: Columns>(
    _: C.Type, _ weights: UnsafePointer<Float>, _ weightStride: Int, last: Int, _ values: UnsafePointer<UInt16>,
    _ dimension: Int, _ count: Int, _ out: UnsafeMutablePointer<Float>
) {
    let w1 = weights + min(1, last) &* weightStride
    let (w2, w3) = (weights + min(2, last) &* weightStride, weights + min(3, last) &* weightStride)
    var (s0, s1, s2, s3) = (C(), C(), C(), C())
    // A pointer that moves: from computed addresses the compiler makes four pointers and single loads.
    var row = values
    if count == run {
        let (f0, f1, f2, f3) = (weights8(weights), weights8(w1), weights8(w2), weights8(w3))
        for i in 0..<run {
            s0.add(row, f0, i)
            s1.add(row, f1, i)
            s2.add(row, f2, i)
            s3.add(row, f3, i)
            row += dimension
        }
    } else {
        var (f0, f1) = (weights8(weights, first: count), weights8(w1, first: count))
        var (f2, f3) = (weights8(w2, first: count), weights8(w3, first: count))
        for _ in 0..<count {
            s0.add(row, f0, 0)
            s1.add(row, f1, 0)
            s2.add(row, f2, 0)
            s3.add(row, f3, 0)
            row += dimension
            (f0, f1) = (martlet_next_lane(f0), martlet_next_lane(f1))
            (f2, f3) = (martlet_next_lane(f2), martlet_next_lane(f3))
        }
    }
    s0.finish(out)
    if last > 0 { s1.finish(out + dimension) }
    if last > 1 { s2.finish(out + 2 &* dimension) }
    if last > 2 { s3.finish(out + 3 &* dimension) }
}

/// The same for one row.
@inline(__always)  // specialised by the entry below
private func sum<C: Columns>(
    _: C.Type, _ weights: UnsafePointer<Float>, _ values: UnsafePointer<UInt16>, _ dimension: Int, _ count: Int,
    _ out: UnsafeMutablePointer<Float>
) {
    var total = C()
    var row = values
    if count == run {
        let f = weights8(weights)
        for i in 0..<run {
            total.add(row, f, i)
            row += dimension
        }
    } else {
        var f = weights8(weights, first: count)
        for _ in 0..<count {
            total.add(row, f, 0)
            row += dimension
            f = martlet_next_lane(f)
        }
    }
    total.finish(out)
}

/// Sums for up to four rows over the columns of one `C`.
@inline(__always)  // specialised by the entry below
private func column<C: Columns>(
    _: C.Type, _ weights: UnsafePointer<Float>, _ weightStride: Int, _ rows: Int, _ values: UnsafePointer<UInt16>,
    _ count: Int, _ dimension: Int, _ out: UnsafeMutablePointer<Float>
) {
    for r in 0..<min(rows, 4) {
        for j in stride(from: 0, to: C.count, by: 4) { storeFloats4(.zero, out + (r &* dimension &+ j)) }
    }
    for p in stride(from: 0, to: count, by: run) {
        let (length, from) = (min(run, count &- p), values + p &* dimension)
        if rows == 1 {
            sum(C.self, weights + p, from, dimension, length, out)
        } else {
            sum(
                C.self, weights + p, weightStride, last: rows &- 1, from, dimension, length, out)
        }
    }
}

// Public, and functions of their own: of both in one the compiler leaves a specialisation, and of private ones the
// functions themselves, as weak symbols.

/// `dotprodAttentionValues` over 32 neighbouring values of at most four rows.
@inline(never)  // for every 32 values of a head
public func dotprodAttentionValues32(
    _ weights: UnsafePointer<Float>, _ weightStride: Int, _ rows: Int, _ values: UnsafePointer<UInt16>, _ count: Int,
    _ dimension: Int, _ out: UnsafeMutablePointer<Float>
) { column(Columns32.self, weights, weightStride, rows, values, count, dimension, out) }

/// `dotprodAttentionValues` over 8 neighbouring values of at most four rows.
@inline(never)  // for every 8 of the values that are left
public func dotprodAttentionValues8(
    _ weights: UnsafePointer<Float>, _ weightStride: Int, _ rows: Int, _ values: UnsafePointer<UInt16>, _ count: Int,
    _ dimension: Int, _ out: UnsafeMutablePointer<Float>
) { column(Columns8.self, weights, weightStride, rows, values, count, dimension, out) }

/// Weighted sums of cached values; see the portable twin for shapes. The weights of a row add up to one at most.
@inline(never)  // entry of a tier
public func dotprodAttentionValues(
    _ weights: UnsafePointer<Float>, _ weightStride: Int, _ rows: Int, _ values: UnsafePointer<UInt16>, _ count: Int,
    _ dimension: Int, _ out: UnsafeMutablePointer<Float>
) {
    for r in stride(from: 0, to: rows, by: 4) {
        let (row, to) = (weights + r &* weightStride, out + r &* dimension)
        let here = rows &- r
        var j = 0
        while j &+ Columns32.count <= dimension {
            dotprodAttentionValues32(row, weightStride, here, values + j, count, dimension, to + j)
            j &+= Columns32.count
        }
        while j < dimension {
            dotprodAttentionValues8(row, weightStride, here, values + j, count, dimension, to + j)
            j &+= Columns8.count
        }
    }
}
#endif
