import Histogram
import Linux
import Synchronization

/// Latencies of the last quarter to half hour, in about 12 KB.
///
/// Two histograms are filled together and emptied in turn: the older one always covers at least a whole period, so
/// quantiles neither freeze on ancient events nor start from nothing.
final class LatencyHistogram: Sendable {
    struct Quantiles: Equatable {
        /// Milliseconds.
        let p50: Double
        let p95: Double
        let p99: Double
    }

    static let period: Duration = .seconds(900)
    /// Tenths of a millisecond up to an hour; longer is recorded as an hour.
    private static let longest: UInt64 = 36_000_000

    private struct State: Sendable {
        var older = LatencyHistogram.empty()
        var newer = LatencyHistogram.empty()
        var turned: UInt64
    }

    private let state: Mutex<State>
    private let time: TimeSource

    init(time: TimeSource) {
        self.time = time
        state = Mutex(State(turned: time.monotonic()))
    }

    private static func empty() -> Histogram<UInt32> {
        Histogram<UInt32>(highestTrackableValue: longest, numberOfSignificantValueDigits: .two)
    }

    func record(milliseconds: Double) {
        // Never above the range, so that recording cannot fail; NaN and negatives count as nothing.
        let value = milliseconds.isFinite ? UInt64(min(max(milliseconds * 10, 1), Double(Self.longest))) : Self.longest
        let now = time.monotonic()
        state.withLock { state in
            if now > state.turned + Self.period.nanoseconds {
                state.older = state.newer
                state.newer = Self.empty()
                state.turned = now
            }
            _ = state.older.record(value)
            _ = state.newer.record(value)
        }
    }

    /// Nil until something was recorded.
    var quantiles: Quantiles? {
        state.withLock { state in
            guard state.older.totalCount > 0 else { return nil }
            func value(_ percentile: Double) -> Double { Double(state.older.valueAtPercentile(percentile)) / 10 }
            return Quantiles(p50: value(50), p95: value(95), p99: value(99))
        }
    }
}
