import Linux
import Synchronization

/// An id that sorts by time: 48 bits of milliseconds since 1970 and 80 random bits, as 26 characters of Crockford's
/// base 32 (github.com/ulid/spec).
public struct ULID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Milliseconds and the upper 16 random bits.
    let high: UInt64
    /// The lower 64 random bits.
    let low: UInt64

    /// A new id, larger than every one before it in this process.
    public static func next() -> ULID { generator.next() }

    /// When it was made, to the millisecond; a clock that was set back does not show.
    public var timestamp: Timestamp { Timestamp(milliseconds: Int64(high >> 16)) }

    public static func < (left: ULID, right: ULID) -> Bool { (left.high, left.low) < (right.high, right.low) }

    public var description: String {
        String(unsafeUninitializedCapacity: Self.length) { buffer in
            var high = high
            var low = low
            for index in stride(from: Self.length - 1, through: 0, by: -1) {
                buffer[index] = Self.alphabet[Int(low & 31)]
                low = low >> 5 | high << 59
                high >>= 5
            }
            return Self.length
        }
    }

    private static let length = 26
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
    private static let generator = Generator(time: .system)

    /// Makes ids in ascending order, also within a millisecond and when the clock is set back.
    final class Generator: Sendable {
        private let time: TimeSource
        private let last = Mutex(ULID(high: 0, low: 0))

        init(time: TimeSource) { self.time = time }

        func next() -> ULID {
            // 48 bits last until the year 10889; a clock before 1970 counts as 1970.
            let now = UInt64(clamping: time.wall().milliseconds) & (1 << 48 - 1)
            var random = SystemRandomNumberGenerator()
            let fresh = ULID(high: now << 16 | random.next() & 0xFFFF, low: random.next())
            return last.withLock { last in
                if fresh.high >> 16 > last.high >> 16 {
                    last = fresh
                } else {
                    // Same millisecond or an older clock: count up from the last one, carrying into the time if need be.
                    let (low, carry) = last.low.addingReportingOverflow(1)
                    last = ULID(high: last.high &+ (carry ? 1 : 0), low: low)
                }
                return last
            }
        }
    }
}
