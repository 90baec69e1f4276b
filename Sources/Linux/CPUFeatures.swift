import CLinux

/// The instruction-set features that decide which kernel tier may run here.
public struct CPUFeatures: OptionSet, Sendable, CustomStringConvertible {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let neon = CPUFeatures(rawValue: 1 << 0)
    public static let fp16 = CPUFeatures(rawValue: 1 << 1)
    public static let dotprod = CPUFeatures(rawValue: 1 << 2)
    public static let i8mm = CPUFeatures(rawValue: 1 << 3)
    public static let avx2 = CPUFeatures(rawValue: 1 << 8)
    public static let avx512vnni = CPUFeatures(rawValue: 1 << 9)

    private static let names: [(CPUFeatures, String)] = [
        (.neon, "neon"), (.fp16, "fp16"), (.dotprod, "dotprod"), (.i8mm, "i8mm"),
        (.avx2, "avx2"), (.avx512vnni, "avx512vnni"),
    ]

    public var description: String {
        Self.names.filter { contains($0.0) }.map(\.1).joined(separator: " ")
    }

    /// What the processor and the kernel report: HWCAP on ARM, CPUID and XCR0 on x86-64.
    public static func detect() -> CPUFeatures {
        var features: CPUFeatures = []
        #if arch(arm64)
        // Bits of AT_HWCAP and AT_HWCAP2 from the kernel's arch/arm64/include/uapi/asm/hwcap.h.
        let hwcap = martlet_hwcap()
        let hwcap2 = martlet_hwcap2()
        if hwcap & (1 << 1) != 0 { features.insert(.neon) }
        if hwcap & (1 << 10) != 0 { features.insert(.fp16) }
        if hwcap & (1 << 20) != 0 { features.insert(.dotprod) }
        if hwcap2 & (1 << 13) != 0 { features.insert(.i8mm) }
        #elseif arch(x86_64)
        var one: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        var seven = one
        let known = withUnsafeMutableBytes(of: &one) {
            martlet_cpuid(1, 0, $0.baseAddress?.assumingMemoryBound(to: UInt32.self))
        }
        let extended = withUnsafeMutableBytes(of: &seven) {
            martlet_cpuid(7, 0, $0.baseAddress?.assumingMemoryBound(to: UInt32.self))
        }
        guard known, extended, one.2 & (1 << 27) != 0 else { return features }
        let saved = martlet_xgetbv()
        let fma = one.2 & (1 << 12) != 0
        let f16c = one.2 & (1 << 29) != 0
        guard saved & 0x6 == 0x6, fma, f16c, seven.1 & (1 << 5) != 0 else { return features }
        features.insert(.avx2)
        let avx512: UInt32 = (1 << 16) | (1 << 17) | (1 << 30) | (1 << 31)  // F, DQ, BW, VL
        if saved & 0xE6 == 0xE6, seven.1 & avx512 == avx512, seven.2 & (1 << 11) != 0 {
            features.insert(.avx512vnni)
        }
        #endif
        return features
    }
}
