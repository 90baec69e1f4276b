import Inference
import TestModels
import Testing

/// What the governor changes while a session runs.
@Suite struct LimitTests {
    private func logits(_ session: Session, _ tokens: [Int32]) throws -> [Float] {
        session.truncate(to: 0)
        try session.evaluate(tokens)
        return Array(session.logits())
    }

    @Test func threadsAndBatchChangeNothingButTheSpeed() throws {
        let session = try Session(model: try TinyModel().model, context: 64, threads: 3, batch: 32)
        let tokens = (0..<24).map { Int32(3 + $0 * 4) }
        let expected = try logits(session, tokens)
        for threads in [1, 3, 2] {
            session.threads = threads
            #expect(session.threads == threads)
            // Passes of at least two tokens: a single one takes the vector kernels, which add in another order.
            for batch in [32, 8, 4] {
                session.promptBatch = batch
                #expect(try logits(session, tokens) == expected, "\(threads) threads, \(batch) at a time")
            }
        }
        session.threads = 99
        session.promptBatch = 0
        #expect(session.threads == 3 && session.promptBatch == 1)
    }

    @Test func aShortContextRefusesWithItsReasonAndKeepsWhatIsThere() throws {
        let session = try Session(model: try TinyModel().model, context: 64, threads: 1)
        try session.evaluate([1, 30, 45, 46])
        session.usableContext = 6
        let error = #expect(throws: InferenceError.self) { try session.evaluate([1, 2, 3]) }
        #expect(error?.description.contains("7 tokens do not fit the 6 that memory allows now") == true)
        try session.evaluate([77, 80])
        #expect(session.count == 6)
        session.usableContext = 1000
        #expect(session.usableContext == 64)
        try session.evaluate([1, 2, 3])
    }
}
