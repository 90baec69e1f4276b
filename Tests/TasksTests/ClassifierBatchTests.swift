import Inference
import TestModels
import Testing

@testable import Tasks

/// Several events in a pass must be what each of them is alone.
@Suite struct ClassifierBatchTests {
    private let labels = ["routine", "unusual", "emergency"]

    private func classifier(
        _ model: Model, context: Int = 512, threads: Int = 1, batch: Int = 256, calibration: Calibration = Calibration()
    ) throws -> Classifier {
        let session = try Session(model: model, context: context, threads: threads, batch: batch)
        return try Classifier(SharedSession(session), labels: labels, calibration: calibration)
    }

    private func scores(_ results: [Result<Classification, TaskError>]) throws -> [[Double]] {
        try results.map { try $0.get().scores.map(\.score) }
    }

    private func scoresOneByOne(_ classifier: Classifier, _ events: [String]) throws -> [[Double]] {
        try events.map { try classifier.classify($0).scores.map(\.score) }
    }

    private let events = [
        "The smoke alarm in the kitchen went off", "Door closed", "", "CO2 in the garden shed 1728 ppm",
        "Motion in the bathroom at 01:35, nobody home", "Door closed", "on",
        "Window in the study open for 213 minutes, and the heating of the room has been running for all of that time",
        "Water leak detected in the garage", "Attic temperature 21.7 C, humidity 45 %", "Plug in the hall draws 1498 W",
    ]

    @Test func eventsTogetherHaveTheScoresOfEventsAlone() throws {
        let model = try realModel()
        let alone = try scoresOneByOne(try classifier(model, threads: 2), events)
        for threads in [1, 2] {
            let together = try classifier(model, threads: threads)
            #expect(try scores(together.classify(events)) == alone, "bit by bit, \(threads) threads")
            #expect(try scores(together.classify(events.reversed())) == alone.reversed(), "in any order")
        }
    }

    @Test(arguments: [24, 32, 64, 100, 256]) func passesOfAnySizeGiveTheSameScores(batch: Int) throws {
        let model = try TinyModel().model
        let alone = try scoresOneByOne(try classifier(model), events)
        let together = try classifier(model, threads: 2, batch: batch)
        for (ours, theirs) in zip(try scores(together.classify(events)), alone) {
            // An event larger than the batch takes several passes, whose rounding is another.
            for (a, b) in zip(ours, theirs) { #expect(abs(a - b) < 1e-3) }
        }
    }

    @Test func aBatchComputesWhatItsEventsHaveThemselves() throws {
        let classifier = try classifier(try TinyModel().model, context: 512)
        let session = classifier.shared.session
        try classifier.prepare()
        classifier.shared.release()
        let first = try classifier.classify(["on", "off", "open"]).map { try $0.get().tokens }
        #expect(first.map(\.cached) == [Int](repeating: classifier.prefixTokenCount, count: 3))
        let before = session.evaluated
        let tokens = try classifier.classify(events).map { try $0.get().tokens }
        #expect(session.evaluated - before == tokens.reduce(0) { $0 + $1.prompt - $1.cached })
        #expect(tokens == (try events.map { try classifier.classify($0).tokens }))
    }

    @Test func onlyTheFirstEventPaysForThePrefix() throws {
        let classifier = try classifier(try TinyModel().model, calibration: .none)
        let tokens = try classifier.classify(["on", "off"]).map { try $0.get().tokens }
        #expect(tokens.map(\.cached) == [0, classifier.prefixTokenCount])
        #expect(classifier.classify([]).isEmpty)
    }

    @Test func theRunningMeanFollowsEventsInTheirOrder() throws {
        let model = try TinyModel().model
        let calibration = Calibration(contentFree: ["N/A"], followsEvents: true)
        let alone = try scoresOneByOne(try classifier(model, calibration: calibration), events)
        #expect(try scores(try classifier(model, calibration: calibration).classify(events)) == alone)
    }

    @Test func anEventThatFailsDoesNotSpoilItsNeighbours() throws {
        let classifier = try classifier(try TinyModel().model)
        let alone = try scoresOneByOne(classifier, ["on", "off", "open", "shut"])
        let long = String(repeating: "too long ", count: 30)
        // Memory became short after the classifier was made: there is room for short events only.
        classifier.shared.session.usableContext = classifier.prefixTokenCount + classifier.suffixTokenCount + 40
        let results = classifier.classify(["on", long, "off", "open", long, "shut"])
        #expect(throws: TaskError.self) { try results[1].get() }
        #expect(throws: TaskError.self) { try results[4].get() }
        #expect(try scores([0, 2, 3, 5].map { results[$0] }) == alone)
    }

    @Test func aShortOfMemorySessionComputesFewerTogether() throws {
        let model = try TinyModel().model
        let alone = try scoresOneByOne(try classifier(model), events)
        let classifier = try classifier(model)
        classifier.shared.session.promptBatch = 8
        #expect(try scores(classifier.classify(events)) == alone)
    }
}
