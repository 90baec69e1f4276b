import Glibc
import TestSupport
import Testing

@testable import Transport

@Suite struct TransportPartsTests {
    @Test func backoffDoublesToItsLimitWithJitter() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<100 {
            var backoff = Backoff(range: 1000...60_000)
            let plain = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
            for step in plain {
                let wait = backoff.step(using: &random)
                #expect(abs(wait - step) <= step / 4)
            }
            backoff.reset()
            #expect(backoff.step(using: &random) <= 1250)
        }
    }

    @Test func aHugeBackoffDoesNotOverflow() {
        var random = SystemRandomNumberGenerator()
        var backoff = Backoff(range: 1...(Int.max / 2))
        for _ in 0..<100 { #expect(backoff.step(using: &random) > 0) }
        #expect(!backoff.forgives(Int.max, slowly: true))
    }

    /// A night in which the broker is not there: never more than 75 s between two attempts, and no flood of them.
    @Test func attemptsGoOnForHours() {
        var random = SystemRandomNumberGenerator()
        var backoff = Backoff(range: 1000...60_000)
        var (elapsed, attempts) = (0, 0)
        while elapsed < 12 * 3_600_000 {
            let wait = backoff.step(using: &random)
            #expect(wait <= 75_000)
            elapsed += wait
            attempts += 1
        }
        #expect((576...1000).contains(attempts))
    }

    @Test func aGoodConnectionIsForgivenWhatCameBefore() {
        var random = SystemRandomNumberGenerator()
        var backoff = Backoff(range: 1000...60_000)
        #expect(backoff.forgives(10_000, slowly: false) && !backoff.forgives(9999, slowly: false))
        for _ in 0..<10 { _ = backoff.step(using: &random) }
        #expect(backoff.forgives(120_000, slowly: false) && !backoff.forgives(119_999, slowly: false))
        #expect(backoff.forgives(960_000, slowly: true) && !backoff.forgives(959_999, slowly: true))
    }

    /// A day of two clients with one id: whoever comes back throws the other one out.
    @Test(arguments: [true, false]) func twoClientsWithOneIDFightLessAndLess(brokerSaysWhy: Bool) {
        var random = SystemRandomNumberGenerator()
        var backoffs = [Backoff(range: 1000...60_000), Backoff(range: 1000...60_000)]
        var (now, connectedSince, owner, takeovers) = (0, 0, 0, 0)
        while now < 86_400_000 {
            // Before the first takeover each had a long and good connection.
            let lasted = takeovers < 2 ? 3_600_000 : now - connectedSince
            if backoffs[owner].forgives(lasted, slowly: brokerSaysWhy) { backoffs[owner].reset() }
            takeovers += 1
            connectedSince = now
            now += backoffs[owner].step(using: &random) * (brokerSaysWhy ? Backoff.slowness : 1)
            owner = 1 - owner
        }
        #expect(takeovers < (brokerSaysWhy ? 300 : 2400), "\(takeovers) in a day")
    }

    @Test func aPipeSignalStaysUpUntilCleared() throws {
        let signal = try #require(PipeSignal())
        #expect(!signal.wait(milliseconds: 10))
        for _ in 0..<100_000 { signal.set() }
        #expect(signal.wait(milliseconds: 0) && signal.wait(milliseconds: 1000))
        signal.clear()
        #expect(!signal.wait(milliseconds: 10))
    }

    @Test func durationsBecomeMillisecondsWithoutTrapping() {
        #expect(Duration.seconds(2).inMilliseconds == 2000)
        #expect(Duration.milliseconds(-5).inMilliseconds == -5)
        #expect(Duration(secondsComponent: .max, attosecondsComponent: 0).inMilliseconds == .max)
        #expect(Duration.microseconds(1999).inMilliseconds == 1)
    }

    @Test func deliveryMemoryForgetsTheOldest() {
        func mark(_ id: Int, _ text: String = "x") -> DeliveryMark {
            DeliveryMark(packetID: UInt16(id), topic: "t", payload: Array(text.utf8))
        }
        var memory = DeliveryMemory()
        let last = DeliveryMemory.capacity + 488
        for id in 1...last { memory.remember(mark(id)) }
        #expect(!memory.contains(mark(488)) && memory.contains(mark(489)) && memory.contains(mark(last)))
        #expect(!memory.contains(mark(last, "y")))
        memory.remember(mark(last, "y"))
        #expect(memory.contains(mark(last, "y")) && !memory.contains(mark(last)))
        memory.remember(mark(0))
        #expect(!memory.contains(mark(0)))
        memory.forgetAll()
        #expect(!memory.contains(mark(last, "y")))
    }

    @Test func deliveryMemoryKeepsWhatCameLatestUnderAnID() {
        func mark(_ id: Int, _ text: String) -> DeliveryMark {
            DeliveryMark(packetID: UInt16(id), topic: "t", payload: Array(text.utf8))
        }
        var memory = DeliveryMemory()
        for id in 1...DeliveryMemory.capacity { memory.remember(mark(id, "old")) }
        // The oldest id again, as a broker does that takes the lowest free one; then one more than there are places.
        memory.remember(mark(1, "new"))
        for id in 1...100 { memory.remember(mark(DeliveryMemory.capacity + id, "x")) }
        #expect(memory.contains(mark(1, "new")) && !memory.contains(mark(2, "old")))
    }

    @Test func topicAndPayloadCannotTradeBytes() {
        let one = DeliveryMark(packetID: 1, topic: "ab", payload: Array("c".utf8))
        let other = DeliveryMark(packetID: 1, topic: "a", payload: Array("bc".utf8))
        #expect(one != other)
    }

    @Test func aPrivateBrokerCleansUpBehindItself() throws {
        var broker: PrivateBroker? = try PrivateBroker()
        let folder = try #require(broker?.folder)
        let process = try #require(broker?.processID)
        #expect(try Child.run(["ls", folder]).contains("mosquitto.conf"))
        broker = nil
        let (isThere, folderError) = (access(folder, F_OK) == 0, errno)
        #expect(!isThere && folderError == ENOENT)
        let (isRunning, processError) = (kill(process, 0) == 0, errno)
        #expect(!isRunning && processError == ESRCH)
    }

    @Test func aBrokerThatCannotStartSaysWhy() throws {
        var settings = PrivateBroker.Settings()
        settings.extraLines = ["no_such_option 1"]
        let error = #expect(throws: TransportError.self) { try PrivateBroker(settings) }
        #expect(error?.description.contains("mosquitto ended at once") == true)
    }
}
