/// Thirty-two weights in registers, and what a search for their scale needs of them.
///
/// Eight lanes at a time: wider Swift vectors compile to scalar loops, and a reduction over plain floats is never
/// vectorised because addition of floats has an order.
struct Lanes {
    typealias Vector = SIMD8<Float>
    var a: Vector
    var b: Vector
    var c: Vector
    var d: Vector

    /// 32 floats at `x`.
    @inline(__always)  // a load of four registers
    init(_ x: UnsafePointer<Float>) {
        let raw = UnsafeRawPointer(x)
        a = raw.loadUnaligned(as: Vector.self)
        b = raw.loadUnaligned(fromByteOffset: 32, as: Vector.self)
        c = raw.loadUnaligned(fromByteOffset: 64, as: Vector.self)
        d = raw.loadUnaligned(fromByteOffset: 96, as: Vector.self)
    }

    /// The least and the greatest weight.
    var range: (low: Float, high: Float) {
        let low = least(least(a, b), least(c, d))
        let high = greatest(greatest(a, b), greatest(c, d))
        var range = (low: low[0], high: high[0])
        for lane in 1..<8 {
            range.low = min(range.low, low[lane])
            range.high = max(range.high, high[lane])
        }
        return range
    }

    /// Σ x and Σ x².
    var sums: (x: Float, xx: Float) {
        (Self.sum(a + b + (c + d)), Self.sum(a * a + b * b + (c * c + d * d)))
    }

    @inline(__always)  // seven additions
    static func sum(_ v: Vector) -> Float {
        ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]))
    }
}

// Swift's own pointwiseMin and pointwiseMax are calls of 125 scalar instructions; these are a comparison and a blend.

@inline(__always)  // two instructions
func least(_ a: Lanes.Vector, _ b: Lanes.Vector) -> Lanes.Vector { a.replacing(with: b, where: b .< a) }

@inline(__always)  // two instructions
func greatest(_ a: Lanes.Vector, _ b: Lanes.Vector) -> Lanes.Vector { a.replacing(with: b, where: b .> a) }

/// Adding and taking away 1.5 · 2²³ leaves a float rounded to the nearest integer, ties to even, if it is below 2²².
let roundingMagic: Float = 12_582_912

/// The nearest level of 0 … `highest` or `lowest` … `highest`, still as a float.
@inline(__always)  // four vector operations in the innermost loop of every search
func level(_ v: Lanes.Vector, _ lowest: Float, _ highest: Float) -> Lanes.Vector {
    let rounding = Lanes.Vector(repeating: roundingMagic)
    let clamped = least(greatest(v, Lanes.Vector(repeating: lowest)), Lanes.Vector(repeating: highest))
    return (clamped + rounding) - rounding
}

/// A float rounded to half precision, the one that a block stores.
@inline(__always)  // one conversion there and back
func rounded(toHalf x: Float) -> Float { Float(Float16(x)) }

@inline(__always)  // two stores
func store(half x: Float, _ out: UnsafeMutableRawPointer) {
    out.storeBytes(of: Float16(x).bitPattern.littleEndian, as: UInt16.self)
}
