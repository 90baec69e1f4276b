import Linux

#if canImport(Glibc)
import Glibc
#endif

/// An instruction-set tier: a set of kernels and the processor features it needs.
public enum KernelTier: String, Sendable, CaseIterable {
    /// Portable Swift; runs everywhere and is the oracle of the others.
    case generic
    /// Any ARMv8.0: Pi Zero 2 W, Pi 3, Pi 4 and up.
    case neon
    /// ARMv8.2 with dot products and arithmetic on halves: Pi 5, RK3588.
    case dotprod
    /// ARMv8.6 with 8-bit matrix products: boards with Cortex-A710, A720 and later.
    case i8mm
    /// x86-64 with AVX2, FMA and F16C.
    case avx2
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and VNNI.
    case avx512

    /// The features without which this tier would die on an illegal instruction.
    public var requires: CPUFeatures {
        switch self {
        case .generic: []
        case .neon: [.neon]
        case .dotprod: [.neon, .fp16, .dotprod]
        case .i8mm: [.neon, .fp16, .dotprod, .i8mm]
        case .avx2: [.avx2]
        case .avx512: [.avx2, .avx512vnni]
        }
    }

    /// The tiers compiled into this binary, slowest first.
    public static var compiled: [KernelTier] {
        #if arch(arm64)
        [.generic, .neon, .dotprod, .i8mm]
        #elseif arch(x86_64)
        [.generic, .avx2, .avx512]
        #else
        [.generic]
        #endif
    }

    /// The fastest compiled tier that `features` allow.
    public static func best(for features: CPUFeatures) -> KernelTier {
        compiled.last { features.isSuperset(of: $0.requires) } ?? .generic
    }

    /// The tier to run: what the CPU reports, or a lower one that `MARTLET_TIER` asks for.
    ///
    /// Throws `TierError` when the name is unknown or this CPU lacks the tier.
    public static func choose(
        features: CPUFeatures = .detect(), requested: String? = getenv("MARTLET_TIER").map { String(cString: $0) }
    ) throws(TierError) -> KernelTier {
        guard let requested, !requested.isEmpty else { return best(for: features) }
        let usable = compiled.filter { features.isSuperset(of: $0.requires) }.map(\.rawValue).joined(separator: ", ")
        guard let tier = KernelTier(rawValue: requested) else {
            throw TierError("unknown kernel tier MARTLET_TIER=\(requested)", "Use one of: \(usable).")
        }
        guard compiled.contains(tier), features.isSuperset(of: tier.requires) else {
            throw TierError("this CPU cannot run MARTLET_TIER=\(requested)", "Use one of: \(usable).")
        }
        return tier
    }
}

/// A tier that cannot be had, in one sentence.
public struct TierError: Error, CustomStringConvertible {
    public let description: String
    init(_ what: String, _ todo: String) { description = "\(what). \(todo)" }
}
