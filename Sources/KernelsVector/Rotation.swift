#if arch(x86_64) || arch(arm64)
// Rotary position embedding, eight pairs at a time. Not fused: bit for bit what the portable twins compute.

/// Eight pairs turned by an angle each.
@inline(__always)  // six instructions
private func turned(_ a: F8, _ b: F8, _ cosines: F8, _ sines: F8) -> (F8, F8) {
    (
        difference(product(a, cosines), product(b, sines)),
        sum(product(a, sines), product(b, cosines))
    )
}

@inline(__always)  // less than eight times a head
private func turned(_ a: Float, _ b: Float, _ cosine: Float, _ sine: Float) -> (Float, Float) {
    (a * cosine - b * sine, a * sine + b * cosine)
}

/// Lanes of `a` and `b` in turn.
@inline(__always)  // one or two shuffles
private func inTurn(_ a: SIMD4<Float>, _ b: SIMD4<Float>) -> F8 {
    var result = F8(lowHalf: a, highHalf: b)
    result.evenHalf = a
    result.oddHalf = b
    return result
}

/// Rotates pairs of neighbours; see the portable twin.
@inline(never)  // entry of a tier
public func vectorRotateNeighbours(
    _ x: UnsafeMutablePointer<Float>, _ cosines: UnsafePointer<Float>, _ sines: UnsafePointer<Float>, _ pairs: Int
) {
    var i = 0
    while i &+ 8 <= pairs {
        let at = x + 2 &* i
        let (first, second) = (loadFloats(at), loadFloats(at + 8))
        let (a, b) = turned(
            F8(lowHalf: first.evenHalf, highHalf: second.evenHalf),
            F8(lowHalf: first.oddHalf, highHalf: second.oddHalf), loadFloats(cosines + i), loadFloats(sines + i))
        storeFloats(inTurn(a.lowHalf, b.lowHalf), at)
        storeFloats(inTurn(a.highHalf, b.highHalf), at + 8)
        i &+= 8
    }
    while i < pairs {
        (x[2 &* i], x[2 &* i &+ 1]) = turned(x[2 &* i], x[2 &* i &+ 1], cosines[i], sines[i])
        i &+= 1
    }
}

/// Rotates pairs that are halves apart; see the portable twin.
@inline(never)  // entry of a tier
public func vectorRotateHalves(
    _ x: UnsafeMutablePointer<Float>, _ cosines: UnsafePointer<Float>, _ sines: UnsafePointer<Float>, _ pairs: Int
) {
    var i = 0
    while i &+ 8 <= pairs {
        let (a, b) = turned(
            loadFloats(x + i), loadFloats(x + (pairs &+ i)), loadFloats(cosines + i), loadFloats(sines + i))
        storeFloats(a, x + i)
        storeFloats(b, x + (pairs &+ i))
        i &+= 8
    }
    while i < pairs {
        (x[i], x[pairs &+ i]) = turned(x[i], x[pairs &+ i], cosines[i], sines[i])
        i &+= 1
    }
}
#endif
