/// What the engine may use now; pressure travels through the house as this value.
public struct Budget: Sendable, Equatable {
    /// The governor's level, as published in `engine.governor`.
    public enum Level: String, Codable, Sendable, CaseIterable, Comparable {
        case full, reduced, minimal, paused

        /// Later cases are slower.
        public static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }
        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    public var level: Level
    /// Worker threads; 0 only when paused.
    public var threads: Int
    /// Context cells an event may use.
    public var context: Int
    /// Prompt tokens in one matrix product.
    public var batch: Int
    /// Share of the time the engine may compute, 0…1; the rest it sleeps so that the board cools.
    public var dutyCycle: Double

    public init(level: Level, threads: Int, context: Int, batch: Int, dutyCycle: Double) {
        self.level = level
        self.threads = threads
        self.context = context
        self.batch = batch
        self.dutyCycle = dutyCycle
    }

    /// Nanoseconds to rest after `work` nanoseconds of computing, so that the duty cycle is kept.
    ///
    /// At most 10 s, so that a low duty cycle cannot make one long prompt silence the device for minutes. A paused
    /// budget has no rest: do not start work at all.
    public func rest(after work: UInt64) -> UInt64 {
        guard dutyCycle > 0, dutyCycle < 1 else { return 0 }
        return UInt64(min(Double(work) * (1 - dutyCycle) / dutyCycle, 10_000_000_000))
    }
}

extension Budget {
    /// Everything the limits allow.
    public static func full(_ limits: Limits) -> Budget {
        Budget(
            level: .full, threads: max(1, limits.threads), context: max(1, limits.context),
            batch: max(1, limits.batch), dutyCycle: 1)
    }

    /// The budget at `steps` down the ladder, further cut to what memory asks for.
    ///
    /// Duty cycle first: it keeps each answer as fast as before. Threads next: current and heat grow with them.
    static func ladder(steps: Int, memory: Level, limits: Limits) -> Budget {
        var budget = full(limits)
        let half = max(1, budget.threads / 2)
        switch steps {
        case ...0: break
        case 1: (budget.level, budget.dutyCycle) = (.reduced, 0.75)
        case 2: (budget.level, budget.threads, budget.dutyCycle) = (.reduced, max(half, budget.threads - 1), 0.6)
        case 3: (budget.level, budget.threads, budget.dutyCycle) = (.minimal, half, 0.5)
        case 4: (budget.level, budget.threads, budget.dutyCycle) = (.minimal, 1, 0.3)
        default: (budget.level, budget.threads, budget.dutyCycle) = (.paused, 0, 0)
        }
        if memory >= .reduced { budget.batch = min(32, budget.batch) }
        if memory >= .minimal {
            budget.batch = min(8, budget.batch)
            budget.context = min(512, budget.context)
        }
        budget.level = max(budget.level, memory)
        return budget
    }
}
