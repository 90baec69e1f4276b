import Glibc
import Synchronization
import Transport

/// A private mosquitto and the independent clients mosquitto_pub and mosquitto_sub against it.
public final class BrokerHarness: Sendable {
    public let broker: PrivateBroker

    public init(_ settings: PrivateBroker.Settings = PrivateBroker.Settings()) throws {
        broker = try PrivateBroker(settings)
    }

    /// A broker that only lets in `users`, each with a password; their file is made in `folder`. `lines` go into its
    /// configuration.
    public convenience init(users: [String: String], in folder: TemporaryFolder, _ lines: [String] = []) throws {
        let file = folder.path("passwords")
        try folder.write("", to: "passwords")
        for (user, password) in users { try Child.run(["mosquitto_passwd", "-b", file, user, password]) }
        var settings = PrivateBroker.Settings()
        settings.allowAnonymous = false
        settings.extraLines = ["password_file \(file)"] + lines
        try self.init(settings)
    }

    public var port: Int { broker.port }
    public func stop() { broker.stop() }
    public func kill() { broker.kill() }
    public func start() throws { try broker.start() }

    public func restart() throws {
        broker.stop()
        try broker.start()
    }

    /// Options for a client of this broker, with short back-offs so that tests need not wait.
    public func options(_ clientID: String, version: MQTTOptions.ProtocolVersion = .v5) -> MQTTOptions {
        var options = MQTTOptions(host: "127.0.0.1", port: port)
        options.clientID = clientID
        options.protocolVersion = version
        options.backoffMilliseconds = 50...400
        return options
    }

    /// Publishes with mosquitto_pub; `more` are further options of it.
    public func publish(_ topic: String, _ payload: String, _ more: [String] = []) throws {
        try publish(topic, bytes: Array(payload.utf8), more)
    }

    public func publish(_ topic: String, bytes: [UInt8], _ more: [String] = []) throws {
        let place = ["-h", "127.0.0.1", "-p", String(port), "-V", "mqttv5"]
        try Child.run(["mosquitto_pub"] + place + ["-t", topic, "-s"] + more, input: bytes)
    }

    /// Starts mosquitto_sub on `filter` and waits until it is subscribed.
    public func subscriber(_ filter: String, _ more: [String] = []) throws -> Child {
        // -d prints the SUBACK, so that the test knows when publishing may begin.
        let place = ["-h", "127.0.0.1", "-p", String(port), "-V", "mqttv5"]
        let child = try Child(["stdbuf", "-oL", "mosquitto_sub", "-d"] + place + ["-t", filter] + more)
        guard eventually(seconds: 10, { child.output.contains("Subscribed (mid") }) else {
            throw Failure("mosquitto_sub did not subscribe: \(child.output) \(child.errors)")
        }
        return child
    }
}

/// Records what a transport reports, for tests to wait for.
public final class Recorder: Sendable {
    private let state = Mutex<(messages: [MQTTMessage], events: [TransportEvent])>(([], []))

    public init() {}

    public var messages: [MQTTMessage] { state.withLock { $0.messages } }
    public var events: [TransportEvent] { state.withLock { $0.events } }
    public var connections: Int { events.filter { if case .connected = $0 { true } else { false } }.count }
    public var reasons: [String] {
        events.compactMap { if case .disconnected(let problem) = $0 { problem.reason } else { nil } }
    }
    public var problems: [ConnectionProblem] {
        events.compactMap { if case .disconnected(let problem) = $0 { problem } else { nil } }
    }
    public var published: [UInt64] {
        events.compactMap { if case .published(let token) = $0 { token } else { nil } }
    }

    public func add(_ message: MQTTMessage) { state.withLock { $0.messages.append(message) } }
    public func add(_ event: TransportEvent) { state.withLock { $0.events.append(event) } }

    /// Starts `transport` with handlers that record and accept everything.
    public func start(_ transport: some MessageTransport) throws {
        try transport.start(
            onMessage: { message in
                self.add(message)
                return .accepted
            }, onEvent: { self.add($0) })
    }

    /// Starts `transport` and waits for its connection.
    public func connect(_ transport: some MessageTransport) throws {
        try start(transport)
        guard eventually(seconds: 10, { transport.isConnected }) else { throw Failure("not connected: \(reasons)") }
    }
}
