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

    /// Milliseconds to wait now: the plain step ±25%.
    mutating func step(using random: inout some RandomNumberGenerator) -> Int {
        let plain = next
        next = min(range.upperBound, next.multipliedReportingOverflow(by: 2).overflow ? range.upperBound : next * 2)
        return Int.random(in: plain - plain / 4...plain + plain / 4, using: &random)
    }
}
