import Linux
import Synchronization
import Testing

@testable import Spool

@Suite struct ULIDTests {
    @Test func idsAscendAlsoWithinAMillisecondAndWhenTheClockIsSetBack() {
        let clock = Mutex<Int64>(1_700_000_000_000)
        let time = TimeSource(monotonic: { 0 }, wall: { Timestamp(milliseconds: clock.withLock { $0 }) })
        let generator = ULID.Generator(time: time)
        var ids: [ULID] = []
        for step in [0, 0, 1, 0, -5000, 0, 20_000] as [Int64] {
            clock.withLock { $0 += step }
            for _ in 0..<100 { ids.append(generator.next()) }
        }
        #expect(ids == ids.sorted())
        #expect(Set(ids).count == ids.count)
        #expect(ids.map(\.description) == ids.map(\.description).sorted())
    }

    @Test func textIsCrockfordsBase32() {
        // From the specification: 01ARZ3NDEKTSV4RRFFQ69G5FAV.
        let id = ULID(high: 0x0156_3E3A_B5D3_D676, low: 0x4C61_EFB9_9302_BD5B)
        #expect(id.description == "01ARZ3NDEKTSV4RRFFQ69G5FAV")
        #expect(ULID(high: .max, low: .max).description == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ")
        #expect(ULID(high: 0, low: 0).description == "00000000000000000000000000")
        #expect(id.timestamp.milliseconds == 1_469_922_850_259)
    }

    @Test func aCounterThatOverflowsCarries() {
        let generator = ULID.Generator(time: TimeSource(monotonic: { 0 }, wall: { Timestamp(milliseconds: -7) }))
        let first = generator.next()
        #expect(first.timestamp.milliseconds == 0)
        #expect(generator.next() > first)
    }
}
