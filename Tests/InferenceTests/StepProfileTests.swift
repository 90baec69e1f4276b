import Inference
import Linux
import TestModels
import Testing

/// The profile of a session's steps: nothing is lost, nothing is counted twice, and nobody's numbers change.
@Suite struct StepProfileTests {
    private let tokens = (0..<48).map { Int32(3 + $0 * 4) }

    private func decode(_ session: Session, _ count: Int) throws {
        for index in 0..<count {
            try session.evaluate([tokens[index]])
            _ = session.logits()
        }
    }

    @Test(arguments: [1, 2, 3], [true, false])
    func kindsAddUpToTheWallTime(threads: Int, prefill: Bool) throws {
        let session = try Session(model: try TinyModel().model, context: 256, threads: threads)
        session.startProfile()
        let start = monotonicNanoseconds()
        if prefill { try session.evaluate(tokens) } else { try decode(session, 40) }
        let wall = Double(monotonicNanoseconds() - start)
        let profile = try #require(session.endProfile())
        #expect(profile.threads == threads)
        let sum = StepProfile.Kind.allCases.reduce(0) { $0 + profile.nanoseconds($1) }
        #expect(abs(sum / profile.nanoseconds - 1) < 0.01)
        // Started before and ended after our own clock, by whatever a busy machine puts in between.
        #expect(sum >= wall * 0.99 && sum < wall * 1.05 + 50e6)
        let steps: [StepProfile.Kind] = [.prepare, .project, .attend, .attnOutput, .gate, .ffnDown]
        for kind in steps { #expect(profile.nanoseconds(kind) > 0, "\(kind)") }
        #expect((profile.nanoseconds(.head) > 0) == !prefill)
    }

    @Test func bytesAreThoseOfTheModel() throws {
        let model = try TinyModel().model
        let session = try Session(model: model, context: 256, threads: 2)
        session.startProfile()
        try decode(session, 10)
        let profile = try #require(session.endProfile())
        let read = StepProfile.Kind.allCases.reduce(0.0) {
            $0 + (profile.bytesPerSecond($1) ?? 0) * profile.nanoseconds($1) / 1e9
        }
        #expect(abs(read / Double(model.bytesPerToken * 10) - 1) < 1e-9)
        for kind in [StepProfile.Kind.rest, .prepare, .attend, .wait] { #expect(profile.bytesPerSecond(kind) == nil) }
        let twice = profile + profile
        #expect(twice.nanoseconds == 2 * profile.nanoseconds)
        let (once, again) = (try #require(profile.bytesPerSecond(.gate)), try #require(twice.bytesPerSecond(.gate)))
        #expect(abs(again / once - 1) < 1e-9)
    }

    @Test func resultsAreTheSameAndAProfileIsOverWhenItEnds() throws {
        let session = try Session(model: try TinyModel().model, context: 256, threads: 2)
        #expect(session.endProfile() == nil)
        try session.evaluate(tokens)
        let expected = Array(session.logits())
        session.truncate(to: 0)
        session.startProfile()
        session.startProfile()
        try session.evaluate(tokens)
        #expect(Array(session.logits()) == expected)
        #expect(session.endProfile() != nil)
        #expect(session.endProfile() == nil)
        session.startProfile()
        session.threads = 1
        try decode(session, 2)
        #expect(session.endProfile()?.threads == 1)
    }
}
