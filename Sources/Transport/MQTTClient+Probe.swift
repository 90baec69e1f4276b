import CMosquitto
import Synchronization

extension MQTTClient {
    /// The version of libmosquitto in use, for example `2.0.11`.
    public static var libraryVersion: String {
        var (major, minor, revision): (Int32, Int32, Int32) = (0, 0, 0)
        mosquitto_lib_version(&major, &minor, &revision)
        return "\(major).\(minor).\(revision)"
    }

    /// What a broker allows a client.
    public struct Welcome: Sendable, Equatable {
        /// Why it did not let us in; nil: it did.
        public var problem: ConnectionProblem?
        /// Filters that it did not grant, and why.
        public var refusedFilters: [String: String] = [:]
        /// Why it did not take the message; nil: it did.
        public var refusedMessage: String?
    }

    /// Connects once and leaves; nil when the broker accepted us, else why not.
    public static func probe(_ options: MQTTOptions, timeout: Duration = .seconds(10)) -> ConnectionProblem? {
        welcome(options, timeout: timeout).problem
    }

    /// Connects once, subscribes to `filters`, publishes `message` and leaves. Under MQTT 3.1.1 brokers do not tell that
    /// they drop a message.
    ///
    /// Uses a client id of its own and a clean session, so that a daemon that runs with these options is not
    /// disturbed; sends no last will. Of a shared subscription the filter is asked for alone: as a member of the group
    /// it would take others' messages away.
    public static func welcome(
        _ options: MQTTOptions, filters: [String] = [], message: MQTTMessage? = nil, timeout: Duration = .seconds(10)
    ) -> Welcome {
        var options = options
        options.clientID = ""
        options.cleanStart = true
        options.will = nil
        guard let changed = PipeSignal() else {
            return Welcome(problem: ConnectionProblem(.local, "cannot make a pipe: too many open files"))
        }
        let place = "\(options.host):\(options.port)"
        let silence = "the broker at \(place) did not answer in \(timeout.inMilliseconds / 1000) s"
        let answer = Mutex(Welcome(problem: ConnectionProblem(.network, silence)))
        let isOver = Mutex(false)
        do {
            let client = try MQTTClient(options)
            try client.subscribe(filters.map { MQTTSubscription(filter: String(unshared($0)), qos: 0) })
            try client.start(onMessage: { _ in .accepted }) { event in
                switch event {
                case .connected: answer.withLock { $0.problem = nil }
                case .disconnected(let problem):
                    // Also after it let us in: it may throw us out for what we ask for.
                    answer.withLock { $0.problem = problem }
                    isOver.withLock { $0 = true }
                case .subscriptionRefused(let filter, let reason):
                    answer.withLock { $0.refusedFilters[filter] = reason }
                case .published: break
                case .publishRefused(_, let reason): answer.withLock { $0.refusedMessage = reason }
                }
                changed.set()
            }
            let isAnswered = client.await(message, timeout: timeout, changed) { isOver.withLock { $0 } }
            if !isAnswered {
                let half = "the broker at \(place) let us in and did not answer all we asked for in "
                answer.withLock {
                    $0.problem = $0.problem ?? ConnectionProblem(.network, half + "\(timeout.inMilliseconds / 1000) s")
                }
            }
            client.stop(drainFor: .zero)
        } catch {
            return Welcome(problem: ConnectionProblem(.local, error.description))
        }
        return answer.withLock { $0 }
    }

    /// Publishes `message` once connected, and waits until it and all subscriptions are answered; false when they were
    /// not.
    private func await(
        _ message: MQTTMessage?, timeout: Duration, _ changed: PipeSignal, isOver: () -> Bool
    ) -> Bool {
        let start = ContinuousClock.now
        var message = message
        while start.duration(to: .now) < timeout, !isOver() {
            if isConnected, let next = message {
                message = nil
                try? publish(next, token: 1)
            }
            let isAnswered = state.withLock { $0.connected && $0.subscribing.isEmpty && $0.outstanding.isEmpty }
            if isAnswered, message == nil { return true }
            changed.clear()
            // A granted subscription signals nobody.
            _ = changed.wait(milliseconds: 20)
        }
        return false
    }
}
