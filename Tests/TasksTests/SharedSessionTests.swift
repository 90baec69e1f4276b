import Inference
import TestModels
import TestSupport
import Testing

@testable import Tasks

@Suite struct SharedSessionTests {
    @Test(arguments: [true, false])
    func onlyStatesOfTasksOutliveTheProcess(isTask: Bool) throws {
        let cache = try TemporaryFolder()
        let store = PrefixStore(cache: cache.root)
        let session = try Session(model: try TinyModel().model, context: 64, threads: 1)
        let shared = SharedSession(session, store: store)
        let tokens = (0..<40).map { Int32($0 % 9 + 1) }
        shared.savesStates = isTask
        #expect(try shared.activate(Prefix(tokens)) == 0)
        #expect(session.count == tokens.count)
        #expect((store.find(tokens, for: session) != nil) == isTask)
    }
}
