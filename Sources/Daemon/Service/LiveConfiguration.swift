import JSON
import Linux
import Synchronization
import Transport

/// The configuration in force, and the reload on its way.
final class LiveConfiguration: Sendable {
    typealias Completion = @Sendable (Result<JSONValue, RequestError>) -> Void

    private struct State {
        var current: Configuration
        var next: Configuration?
        var waiting: [Completion] = []
        var begin: (@Sendable () -> Void)?
        var apply: (@Sendable (Configuration, DaemonError?) -> Void)?
        var wasConnected = false
        var lastProblem: ConnectionFault?
        /// SHA-256 by path, computed here because the configuration does not give it.
        var digests: [String: String] = [:]
        let started = monotonicNanoseconds()
    }

    private let state: Mutex<State>

    init(_ configuration: Configuration) { state = Mutex(State(current: configuration)) }

    var current: Configuration { state.withLock { $0.current } }

    /// Whether the broker was reached at least once.
    var wasConnected: Bool { state.withLock { $0.wasConnected } }

    func noteConnection() { state.withLock { $0.wasConnected = true } }

    /// What interrupted the connection last.
    var lastProblem: ConnectionFault? { state.withLock { $0.lastProblem } }

    func note(_ fault: ConnectionFault) { state.withLock { $0.lastProblem = fault } }

    func setDigest(_ digest: String, of path: String) { state.withLock { $0.digests[path] = digest } }

    func digest(ofModel name: String) -> String? {
        state.withLock { state in
            state.current.models.first { $0.name == name }.flatMap { state.digests[$0.path] }
        }
    }

    func uptimeSeconds(_ time: TimeSource) -> Int {
        let started = state.withLock { $0.started }
        return Int(clamping: (max(time.monotonic(), started) - started) / 1_000_000_000)
    }

    /// What a reload request sets off.
    func onReload(_ begin: @escaping @Sendable () -> Void) { state.withLock { $0.begin = begin } }

    /// What is done when the engine has taken a new configuration over, or could not; it calls `answer`.
    func onFinish(_ apply: @escaping @Sendable (Configuration, DaemonError?) -> Void) {
        state.withLock { $0.apply = apply }
    }

    /// Asks for a reload; `completion` hears how it went.
    func requestReload(_ completion: @escaping Completion) {
        let begin = state.withLock { state in
            state.waiting.append(completion)
            return state.begin
        }
        begin?()
    }

    /// A checked configuration waits for the engine.
    func setNext(_ configuration: Configuration) { state.withLock { $0.next = configuration } }

    /// The engine is done with it.
    func finishReload(_ failure: DaemonError?) {
        let (next, apply) = state.withLock { state in
            let next = state.next
            state.next = nil
            if failure == nil, let next { state.current = next }
            return (next, state.apply)
        }
        if let next { apply?(next, failure) }
    }

    /// Tells everyone who asked for a reload how it went.
    func answer(_ result: Result<JSONValue, RequestError>) {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for completion in waiting { completion(result) }
    }
}
