import Testing

@testable import Linux

@Suite struct TimestampTests {
    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000Z"),
        (1_795_230_728_123, "2026-11-21T03:12:08.123Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-1000, "1969-12-31T23:59:59.000Z"),
        (4_102_444_800_007, "2100-01-01T00:00:00.007Z"),
    ])
    func `A timestamp is RFC 3339 with milliseconds in UTC`(milliseconds: Int64, text: String) {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
    }

    @Test func `The outermost values print something and do not trap`() {
        #expect(!Timestamp(milliseconds: .max).description.isEmpty)
        #expect(!Timestamp(milliseconds: .min).description.isEmpty)
    }

    @Test func `Order and clocks`() {
        #expect(Timestamp(milliseconds: 1) < Timestamp(milliseconds: 2))
        #expect(Timestamp.now() > Timestamp(milliseconds: 1_700_000_000_000))
        let first = monotonicNanoseconds()
        #expect(monotonicNanoseconds() >= first)
    }
}
