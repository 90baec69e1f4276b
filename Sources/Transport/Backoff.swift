/// How long to wait before the next attempt: doubled each time, with jitter, up to a limit.
///
/// Jitter keeps a house full of boards from knocking at a restarted broker in the same instant.
struct Backoff {
    /// Milliseconds of the first and of the longest wait, before jitter.
    let range: ClosedRange<Int>
    /// How much longer the waits are where nothing changes by itself.
    static let slowness = 8
    private var next: Int

    init(range: ClosedRange<Int>) {
        self.range = range
        next = range.lowerBound
    }

    mutating func reset() { next = range.lowerBound }

    /// Whether a connection of so many milliseconds was a good one, so that the waits begin anew behind it: ten seconds,
    /// and twice the next wait.
    ///
    /// Two clients with one id hold their connections for as long as the other waits. Were any time of its own enough,
    /// their waits would begin anew whenever they had grown that long; so both grow to the longest.
    func forgives(_ milliseconds: Int, slowly: Bool) -> Bool {
        let wait = next.multipliedReportingOverflow(by: slowly ? 2 * Self.slowness : 2)
        return milliseconds >= 10_000 && !wait.overflow && milliseconds >= wait.partialValue
    }

    /// Milliseconds to wait now: the plain step ±25%.
    mutating func step(using random: inout some RandomNumberGenerator) -> Int {
        let plain = next
        next = min(range.upperBound, next.multipliedReportingOverflow(by: 2).overflow ? range.upperBound : next * 2)
        return Int.random(in: plain - plain / 4...plain + plain / 4, using: &random)
    }
}
