// Rotary position embedding: pairs of elements turned in place by an angle each.

/// Rotates pairs of neighbours, x[2i] and x[2i + 1].
///
/// - `cosines`, `sines`: of each pair's angle, `pairs` of them.
public func genericRotateNeighbours(
    _ x: UnsafeMutablePointer<Float>, _ cosines: UnsafePointer<Float>, _ sines: UnsafePointer<Float>, _ pairs: Int
) {
    for i in 0..<pairs {
        let (a, b) = (x[2 &* i], x[2 &* i &+ 1])
        x[2 &* i] = a * cosines[i] - b * sines[i]
        x[2 &* i &+ 1] = a * sines[i] + b * cosines[i]
    }
}

/// Rotates pairs that are halves apart, x[i] and x[`pairs` + i]; see `genericRotateNeighbours`.
public func genericRotateHalves(
    _ x: UnsafeMutablePointer<Float>, _ cosines: UnsafePointer<Float>, _ sines: UnsafePointer<Float>, _ pairs: Int
) {
    for i in 0..<pairs {
        let (a, b) = (x[i], x[pairs &+ i])
        x[i] = a * cosines[i] - b * sines[i]
        x[pairs &+ i] = a * sines[i] + b * cosines[i]
    }
}
