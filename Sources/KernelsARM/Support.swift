#if arch(arm64)
import CIntrinsics
import QuantBlocks

// What the ARM tiers share: how blocks are read, and the loops around the products, which each tier brings.
//
// Everything here is compiled into the tiers with their own instructions, and must leave no symbol of its own there:
// hence `@inlinable @inline(__always)` on all of it, which CI checks with nm.

/// Thirty-two weights of a row as signed bytes.
public struct Weights32 {
    public var low: int8x16_t
    public var high: int8x16_t

    @inlinable @inline(__always)
    public init(low: int8x16_t, high: int8x16_t) {
        self.low = low
        self.high = high
    }
}

@inlinable @inline(__always)  // a load instruction
public func loadBytes(_ address: UnsafeRawPointer) -> int8x16_t { address.loadUnaligned(as: int8x16_t.self) }

@inlinable @inline(__always)  // a load instruction
public func loadFloats4(_ address: UnsafePointer<Float>) -> float32x4_t {
    UnsafeRawPointer(address).loadUnaligned(as: float32x4_t.self)
}

@inlinable @inline(__always)  // a store instruction
public func storeFloats4(_ value: float32x4_t, _ address: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(address).storeBytes(of: value, as: float32x4_t.self)
}

/// d Σ q over half a group for four tokens, from −128 Σ q at `offset` of a panel's scales: see `panelScales`.
@inlinable @inline(__always)  // four instructions, twice a group
public func halfSum(_ scales: UnsafePointer<Float>, _ offset: Int) -> float32x4_t {
    let sums = UnsafeRawPointer(scales + offset).loadUnaligned(as: int32x4_t.self)
    return vcvtq_f32_s32(sums) * loadFloats4(scales) * (-1 / 128)
}

/// The nibbles of sixteen bytes, 0…15: the low ones, then the high ones.
@inlinable @inline(__always)  // three instructions in every block
public func nibbles(_ address: UnsafeRawPointer) -> Weights32 {
    let bits = address.loadUnaligned(as: uint8x16_t.self)
    let low = vreinterpretq_s8_u8(vandq_u8(bits, vdupq_n_u8(15)))
    return Weights32(low: low, high: vreinterpretq_s8_u8(martlet_high_nibbles(bits)))
}

/// Adds 16 to the weights whose bit is set in the 32 bits at `address`.
@inlinable @inline(__always)  // seven instructions in every block of a five-bit format
public func addFifthBits(_ weights: Weights32, _ address: UnsafeRawPointer) -> Weights32 {
    let bits = unsafeBitCast(
        SIMD4<UInt32>(repeating: address.loadUnaligned(as: UInt32.self)), to: uint8x16_t.self)
    let (first, second) = (
        uint8x16_t(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
        uint8x16_t(2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3)
    )
    let each = uint8x16_t(1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128)
    // A set bit makes a byte of −1, so multiplying by −16 adds 16.
    let minusSixteen = vdupq_n_s8(-16)
    let low = vreinterpretq_s8_u8(vtstq_u8(vqtbl1q_u8(bits, first), each))
    let high = vreinterpretq_s8_u8(vtstq_u8(vqtbl1q_u8(bits, second), each))
    return Weights32(
        low: vmlaq_s8(weights.low, low, minusSixteen), high: vmlaq_s8(weights.high, high, minusSixteen))
}
#endif
