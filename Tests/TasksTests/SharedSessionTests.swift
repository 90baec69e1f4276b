import Inference
import TestModels
import TestSupport
import Testing

@testable import Tasks

@Suite struct SharedSessionTests {
    @Test(arguments: [true, false])
    func onlyStatesOfTasksOutliveTheProcess(isTask: Bool) throws {
        let cache = try TemporaryFolder()
        let store = PrefixStore(cache: cache.root, program: "1")
        let session = try Session(model: try TinyModel().model, context: 64, threads: 1)
        let shared = SharedSession(session, store: store)
        let tokens = (0..<40).map { Int32($0 % 9 + 1) }
        #expect(try shared.activate(Prefix(tokens, isSaved: isTask)) == 0)
        #expect(session.count == tokens.count)
        #expect((store.find(tokens, for: session) != nil) == isTask)
        // A request does not look for what a task has kept either.
        let next = SharedSession(try Session(model: session.model, context: 64, threads: 1), store: store)
        #expect(try next.activate(Prefix(tokens, isSaved: true)) == (isTask ? tokens.count : 0))
        next.release()
        #expect(try next.activate(Prefix(tokens)) == 0)
    }

    /// A context that was made smaller: the state that an earlier start kept is refused as its tokens are, and no event is
    /// computed without its prompt.
    @Test func aStateOfALargerContextIsNotTakenForIts() throws {
        let cache = try TemporaryFolder()
        let store = PrefixStore(cache: cache.root, program: "1")
        let model = try TinyModel().model
        let tokens = (0..<40).map { Int32($0 % 9 + 1) }
        let before = SharedSession(try Session(model: model, context: 64, threads: 1), store: store)
        #expect(try before.activate(Prefix(tokens, isSaved: true)) == 0)
        let session = try Session(model: model, context: 32, threads: 1)
        let shared = SharedSession(session, store: store)
        let prefix = Prefix(tokens, isSaved: true)
        for _ in 0..<2 {
            let error = #expect(throws: TaskError.self) { try shared.activate(prefix) }
            #expect(error?.description.contains("40 tokens do not fit a context of 32") == true)
            #expect(session.count == 0)
        }
        // Others of the same session are served as before.
        let short = Prefix(Array(tokens.prefix(20)), isSaved: true)
        #expect(try shared.activate(short) == 0)
        #expect(try shared.activate(short) == 20)
    }
}
