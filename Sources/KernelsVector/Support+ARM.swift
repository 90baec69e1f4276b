#if arch(arm64)
import CIntrinsics

/// Eight floats in two registers; LLVM splits every operation on them into a pair, which also hides latency.
typealias F8 = SIMD8<Float>

@inline(__always)  // two load instructions
func loadFloats(_ address: UnsafePointer<Float>) -> F8 { UnsafeRawPointer(address).loadUnaligned(as: F8.self) }

@inline(__always)  // two store instructions
func storeFloats(_ value: F8, _ address: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(address).storeBytes(of: value, as: F8.self)
}

/// Four floats of which each will be repeated: here a multiply-add takes a lane of a register.
typealias Four = SIMD4<Float>

@inline(__always)  // a load instruction
func four(_ address: UnsafePointer<Float>) -> Four { UnsafeRawPointer(address).loadUnaligned(as: Four.self) }

// Arithmetic by intrinsics: LLVM takes Swift's operators on eight floats apart in longer expressions.
@inline(__always)  // two instructions each, as the next
func fma(_ a: F8, _ b: F8, _ c: F8) -> F8 {
    F8(lowHalf: vfmaq_f32(c.lowHalf, a.lowHalf, b.lowHalf), highHalf: vfmaq_f32(c.highHalf, a.highHalf, b.highHalf))
}

@inline(__always)
func sum(_ a: F8, _ b: F8) -> F8 {
    F8(lowHalf: vaddq_f32(a.lowHalf, b.lowHalf), highHalf: vaddq_f32(a.highHalf, b.highHalf))
}

@inline(__always)
func difference(_ a: F8, _ b: F8) -> F8 {
    F8(lowHalf: vsubq_f32(a.lowHalf, b.lowHalf), highHalf: vsubq_f32(a.highHalf, b.highHalf))
}

@inline(__always)
func product(_ a: F8, _ b: F8) -> F8 {
    F8(lowHalf: vmulq_f32(a.lowHalf, b.lowHalf), highHalf: vmulq_f32(a.highHalf, b.highHalf))
}

@inline(__always)
func quotient(_ a: F8, _ b: F8) -> F8 {
    F8(lowHalf: vdivq_f32(a.lowHalf, b.lowHalf), highHalf: vdivq_f32(a.highHalf, b.highHalf))
}

/// a · 2^n, with n in the low bits of `exponent`.
@inline(__always)  // four instructions
func raised(_ a: F8, _ exponent: F8) -> F8 {
    F8(
        lowHalf: martlet_raise(a.lowHalf, exponent.lowHalf), highHalf: martlet_raise(a.highHalf, exponent.highHalf))
}

/// Lane by lane through the instruction: Swift's own pointwise functions compile to compares and selects.
@inline(__always)
func pointwiseMax(_ a: F8, _ b: F8) -> F8 {
    F8(lowHalf: vmaxq_f32(a.lowHalf, b.lowHalf), highHalf: vmaxq_f32(a.highHalf, b.highHalf))
}

@inline(__always)
func pointwiseMin(_ a: F8, _ b: F8) -> F8 {
    F8(lowHalf: vminq_f32(a.lowHalf, b.lowHalf), highHalf: vminq_f32(a.highHalf, b.highHalf))
}

/// Eight halves widened: fcvtl and fcvtl2, which every ARMv8.0 has.
@inline(__always)  // the load of every attention loop
func loadHalves(_ address: UnsafePointer<UInt16>) -> F8 {
    let bits = UnsafeRawPointer(address).loadUnaligned(as: SIMD8<UInt16>.self)
    return F8(lowHalf: martlet_widen_low(bits), highHalf: martlet_widen_high(bits))
}

/// Eight bytes as floats.
@inline(__always)  // five conversions
func loadBytes(_ address: UnsafePointer<Int8>) -> F8 {
    let words = vmovl_s8(UnsafeRawPointer(address).loadUnaligned(as: SIMD8<Int8>.self))
    return F8(
        lowHalf: vcvtq_f32_s32(vmovl_s16(vget_low_s16(words))), highHalf: vcvtq_f32_s32(vmovl_high_s16(words)))
}

/// Eight numbers of bfloat16 widened.
@inline(__always)  // two instructions
func loadBrains(_ address: UnsafeRawPointer) -> F8 {
    let words = address.loadUnaligned(as: SIMD8<UInt16>.self)
    return F8(lowHalf: martlet_raise_low(words), highHalf: martlet_raise_high(words))
}

@inline(__always)  // two conversions
func widened(_ a: SIMD4<Float>) -> SIMD4<Double> {
    SIMD4(lowHalf: vcvt_f64_f32(vget_low_f32(a)), highHalf: vcvt_high_f64_f32(a))
}

/// Narrows eight floats to halves, to the nearest even: fcvtn and fcvtn2.
@inline(__always)  // two conversions and a store
func storeHalves(_ value: F8, _ address: UnsafeMutablePointer<UInt16>) {
    let halves = martlet_narrow(value.lowHalf, value.highHalf)
    UnsafeMutableRawPointer(address).storeBytes(of: halves, as: SIMD8<UInt16>.self)
}

@inline(__always)  // once a row
func sum(_ a: F8) -> Float { vaddvq_f32(a.lowHalf + a.highHalf) }
#endif
