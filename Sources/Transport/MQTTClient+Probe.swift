import CMosquitto
import Synchronization

extension MQTTClient {
    /// The version of libmosquitto in use, for example `2.0.11`.
    public static var libraryVersion: String {
        var (major, minor, revision): (Int32, Int32, Int32) = (0, 0, 0)
        mosquitto_lib_version(&major, &minor, &revision)
        return "\(major).\(minor).\(revision)"
    }

    /// Connects once and leaves; nil when the broker accepted us, else why not, as a sentence.
    ///
    /// Uses a client id of its own and a clean session, so that a daemon that runs with these options is not
    /// disturbed; sends no last will.
    public static func probe(_ options: MQTTOptions, timeout: Duration = .seconds(10)) -> String? {
        var options = options
        options.clientID = ""
        options.cleanStart = true
        options.will = nil
        guard let answered = PipeSignal() else { return "cannot make a pipe: too many open files" }
        // nil: no answer yet; some(nil): connected.
        let answer = Mutex<String??>(nil)
        do {
            let client = try MQTTClient(options)
            try client.start(onMessage: { _ in .accepted }) { event in
                switch event {
                case .connected: answer.withLock { $0 = $0 ?? .some(nil) }
                case .disconnected(let reason): answer.withLock { $0 = $0 ?? reason }
                default: return
                }
                answered.set()
            }
            _ = answered.wait(milliseconds: timeout.inMilliseconds)
            client.stop(drainFor: .zero)
        } catch {
            return error.description
        }
        let place = "\(options.host):\(options.port)"
        return answer.withLock { $0 } ?? "the broker at \(place) did not answer in \(timeout.inMilliseconds / 1000) s"
    }
}
