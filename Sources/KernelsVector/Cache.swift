// The cache of bytes, widened for the kernels of attention; see the portable twins for shapes.
#if arch(x86_64) || arch(arm64)
import CIntrinsics

/// Widens keys of eight cells at a time, each with its own scale.
@inline(never)  // entry of a tier
public func vectorWidenKeys(
    _ bytes: UnsafePointer<Int8>, _ scales: UnsafePointer<UInt16>, _ dimension: Int, _ blocks: Int,
    _ y: UnsafeMutablePointer<UInt16>
) {
    let groups = (dimension &+ 31) / 32
    for b in 0..<blocks {
        for group in 0..<groups {
            let scale = loadHalves(scales + (b &* groups &+ group) &* 8)
            var at = (b &* dimension &+ group &* 32) &* 8
            let end = (b &* dimension &+ min(dimension, group &* 32 &+ 32)) &* 8
            while at < end {
                storeHalves(product(loadBytes(bytes + at), scale), y + at)
                at &+= 8
            }
        }
    }
}

/// Widens values of one cell at a time; `dimension` is a multiple of 8.
@inline(never)  // entry of a tier
public func vectorWidenValues(
    _ bytes: UnsafePointer<Int8>, _ scales: UnsafePointer<UInt16>, _ dimension: Int, _ count: Int,
    _ y: UnsafeMutablePointer<UInt16>
) {
    let groups = (dimension &+ 31) / 32
    for p in 0..<count {
        for group in 0..<groups {
            let scale = F8(repeating: Float(Float16(bitPattern: scales[p &* groups &+ group])))
            var at = p &* dimension &+ group &* 32
            let end = p &* dimension &+ min(dimension, group &* 32 &+ 32)
            while at < end {
                storeHalves(product(loadBytes(bytes + at), scale), y + at)
                at &+= 8
            }
        }
    }
}
#endif
