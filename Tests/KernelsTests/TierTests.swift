import Kernels
import Linux
import Testing

@Suite struct TierTests {
    @Test func theCPUsBestTierIsChosenWithoutARequest() throws {
        let features = CPUFeatures.detect()
        let tier = try KernelTier.choose(features: features, requested: nil)
        #expect(features.isSuperset(of: tier.requires))
        #expect(tier == KernelTier.best(for: features))
    }

    @Test func aProcessorWithoutFeaturesGetsThePortableTier() throws {
        let tier = try KernelTier.choose(features: [], requested: nil)
        #expect(tier == .generic)
    }

    @Test func aLowerTierCanBeForced() throws {
        let tier = try KernelTier.choose(requested: "generic")
        #expect(tier == .generic)
    }

    @Test func aTierTheCPULacksIsRefusedInOneLine() {
        let other = KernelTier.compiled.last ?? .generic
        let error = #expect(throws: TierError.self) {
            try KernelTier.choose(features: [], requested: other.rawValue)
        }
        #expect(error?.description == "this CPU cannot run MARTLET_TIER=\(other.rawValue). Use one of: generic.")
    }

    @Test func anUnknownTierIsRefusedWithTheKnownOnes() {
        let error = #expect(throws: TierError.self) { try KernelTier.choose(features: [], requested: "mmx") }
        #expect(error?.description == "unknown kernel tier MARTLET_TIER=mmx. Use one of: generic.")
    }
}
