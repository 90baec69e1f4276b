// The same facts as boards/*/board.toml, compiled in so that the daemon needs no files beside its binary. A test
// compares the two. Rejected: embedding the TOML as a resource, which brings Foundation's Bundle.
extension Board {
    /// Every known board.
    public static let all: [Board] = [
        Board(
            id: "pi-zero-2w", name: "Raspberry Pi Zero 2 W", models: ["Raspberry Pi Zero 2"],
            cores: 4, performanceCores: 4, memoryMB: 512...512, tier: "neon", thermalZone: "cpu-thermal",
            maxTemperatureC: 75, memoryLimitMB: 120, recommendedModel: "smollm2-135m-instruct-q4_1",
            recommendedContext: 1024, memoryHighPercent: 70, memoryMaxPercent: 85),
        Board(
            id: "pi-3", name: "Raspberry Pi 3", models: ["Raspberry Pi 3", "Raspberry Pi Compute Module 3"],
            cores: 4, performanceCores: 4, memoryMB: 512...1024, tier: "neon", thermalZone: "cpu-thermal",
            maxTemperatureC: 75, memoryLimitMB: 160, recommendedModel: "smollm2-135m-instruct-q4_1",
            recommendedContext: 1024, memoryHighPercent: 70, memoryMaxPercent: 85),
        Board(
            id: "pi-4", name: "Raspberry Pi 4", models: ["Raspberry Pi 4", "Raspberry Pi Compute Module 4"],
            cores: 4, performanceCores: 4, memoryMB: 1024...8192, tier: "neon", thermalZone: "cpu-thermal",
            maxTemperatureC: 78, memoryLimitMB: 200, recommendedModel: "smollm2-135m-instruct-q4_1",
            recommendedContext: 2048, memoryHighPercent: 70, memoryMaxPercent: 80),
        Board(
            id: "pi-5", name: "Raspberry Pi 5", models: ["Raspberry Pi 5", "Raspberry Pi Compute Module 5"],
            cores: 4, performanceCores: 4, memoryMB: 1024...16384, tier: "dotprod", thermalZone: "cpu-thermal",
            maxTemperatureC: 78, memoryLimitMB: 200, recommendedModel: "gemma-3-270m-it-q4_k_m",
            recommendedContext: 2048, memoryHighPercent: 70, memoryMaxPercent: 80),
        Board(
            id: "orange-pi-5", name: "Orange Pi 5 (RK3588)",
            models: ["Orange Pi 5", "Xunlong Orange Pi 5", "RK3588S OPi 5", "RK3588 OPi 5"],
            cores: 8, performanceCores: 4, memoryMB: 4096...32768, tier: "dotprod", thermalZone: "soc-thermal",
            maxTemperatureC: 78, memoryLimitMB: 200, recommendedModel: "gemma-3-270m-it-q4_k_m",
            recommendedContext: 2048, memoryHighPercent: 50, memoryMaxPercent: 60),
        Board(
            id: "x86-64", name: "x86-64 gateway", models: [],
            cores: 2, performanceCores: 2, memoryMB: 1024...1_048_576, tier: "avx2", thermalZone: nil,
            maxTemperatureC: 85, memoryLimitMB: 200, recommendedModel: "smollm2-135m-instruct-q4_1",
            recommendedContext: 2048, memoryHighPercent: 50, memoryMaxPercent: 60),
    ]
}
