import Glibc
import JSON
import Linux
import Transport

/// One run of the demo: broker, daemon, an independent client, and what that client sees.
///
/// Ownership: `leave` must be called; then the daemon, the broker and their folders are gone.
final class Demo {
    private let broker: PrivateBroker?
    private let url: String
    private let device: String
    /// Topic the events are under; with the device's name in it in somebody's broker.
    private let home: String
    private let client: MQTTClient
    private let inbox: DemoInbox
    private let daemon: DemoDaemon
    private let screen: DemoScreen
    private var tally = DemoTally()
    /// Requests without an answer yet, by topic.
    private var waiting: [String: (request: DemoData.Request, sent: UInt64)] = [:]
    /// Summaries without an answer yet, by task.
    private var expectedSummaries: [String: Int] = [:]
    private var isReady = false
    private var retainedTopics: Set<String> = []
    private var token: UInt64 = 0
    private var lastResult: UInt64 = 0

    /// Seconds without a result after which the demo gives up: the slowest board needs about a minute for a summary.
    private static let patience = 180.0

    private var base: String { "martlet/\(device)" }

    init(model: String, broker url: String?, threads: Int) throws {
        device = url == nil ? "demo" : "demo-\(getpid())"
        home = url == nil ? "home" : "demo/\(device)"
        screen = DemoScreen()
        inbox = try DemoInbox()
        try Interruption.watch()
        broker = url == nil ? try PrivateBroker() : nil
        self.url = url ?? broker?.url ?? ""
        var options = try MQTTOptions(url: self.url)
        options.clientID = "\(device)-viewer"
        options.cleanStart = true
        options.sessionExpirySeconds = 0
        options.backoffMilliseconds = 200...2000
        client = try MQTTClient(options)
        try client.subscribe([MQTTSubscription(filter: "martlet/\(device)/#", qos: 1)])
        daemon = try DemoDaemon(
            configuration: DemoConfiguration(
                device: device, url: self.url, model: model, threads: threads, home: home
            ).text, password: options.password)
        try inbox.start(client)
        screen.opening(model: model, broker: url == nil ? "a private mosquitto, \(self.url)" : options.host)
    }

    /// Ends the daemon if it still runs, and leaves nothing in somebody's broker.
    func leave() {
        try? daemon.stop()
        for topic in retainedTopics where broker == nil {
            token += 1
            try? client.publish(MQTTMessage(topic: topic, payload: [], qos: 1, retain: true), token: token)
        }
        client.stop(drainFor: .seconds(2))
        broker?.stop()
    }

    /// The whole demo; throws when anything that should have come back did not.
    func play(events: Int?) throws {
        let started = monotonicNanoseconds()
        try wait(for: "the daemon to connect") { self.isReady }
        screen.ready(after: Double(monotonicNanoseconds() - started) / 1e9)
        try classify(Array(DemoData.requests().prefix(events ?? .max)))
        // A short demo takes one window of each series.
        for readings in [DemoData.office(), DemoData.thermometer()] {
            try summarize(readings, count: events == nil ? readings.payloads.count : readings.window)
        }
        // The next report counts everything above.
        let reports = tally.healthReports
        try wait(for: "a health report") { self.tally.healthReports > reports }
        daemon.sampleMemory()
        tally.memory = daemon.peak
        try daemon.stop()
        screen.table(tally)
        if let error = tally.firstError {
            throw CommandError(
                .internalError, "\(tally.errors) events were answered with an error: \(error). See above")
        }
    }

    // MARK: Publishing

    /// One request at a time, so that the time to the answer is what a user would wait.
    private func classify(_ requests: [DemoData.Request]) throws {
        screen.heading("classify: \(DemoData.labels.joined(separator: ", "))")
        let started = monotonicNanoseconds()
        for (index, request) in requests.enumerated() {
            let topic = "\(home)/request/\(index)"
            waiting[topic] = (request, monotonicNanoseconds())
            try publish(topic, request.text)
            try wait(for: "the answer to \"\(request.text)\"") { self.waiting.isEmpty }
        }
        tally.classifySeconds = Double(monotonicNanoseconds() - started) / 1e9
    }

    private func summarize(_ readings: DemoData.Readings, count: Int) throws {
        let windows = count / readings.window
        screen.heading("summarize: \(readings.title), \(windows) windows of \(readings.window) readings")
        expectedSummaries[readings.task] = windows
        for payload in readings.payloads.prefix(windows * readings.window) {
            try publish("\(home)/\(readings.task)", payload)
            tally.readings += 1
        }
        try wait(for: "the summaries of \(readings.task)") { self.expectedSummaries.isEmpty }
    }

    private func publish(_ topic: String, _ text: String) throws {
        token += 1
        while true {
            do throws(TransportError) {
                return try client.publish(MQTTMessage(topic: topic, text: text, qos: 1), token: token)
            } catch .busy {
                for item in try inbox.take(milliseconds: 100) { try handle(item) }
            } catch {
                throw CommandError(.unavailable, "lost the broker at \(client.options.host): \(error). Start it again")
            }
        }
    }

    // MARK: Receiving

    private func wait(for what: String, until done: () -> Bool) throws {
        lastResult = monotonicNanoseconds()
        while !done() {
            for item in try inbox.take(milliseconds: 500) { try handle(item) }
            try daemon.check()
            guard Double(monotonicNanoseconds() - lastResult) / 1e9 < Self.patience else {
                throw CommandError(
                    .internalError,
                    "waited \(Int(Self.patience)) s in vain for \(what): the daemon's last line is: "
                        + "\(daemon.lastLine). Run `martlet doctor`")
            }
        }
    }

    private func handle(_ item: DemoInbox.Item) throws {
        switch item {
        case .message(let message, let time): try handle(message, at: time)
        case .event(.disconnected(let problem)):
            let place = client.options.host
            throw CommandError(.unavailable, "cannot reach the broker at \(place): \(problem.reason). Start it")
        case .event(.subscriptionRefused(let filter, let reason)):
            throw CommandError(.unavailable, "the broker refuses \(filter): \(reason). Allow it in its access rules")
        case .event(.publishRefused(_, let reason)):
            throw CommandError(.unavailable, "the broker refuses an event: \(reason). Allow demo/# in its access rules")
        case .event: break
        }
    }

    private func handle(_ message: MQTTMessage, at time: UInt64) throws {
        let name = message.topic.dropFirst(base.count + 1)
        let isResult = name.hasSuffix("/result")
        if !isResult, name != "log" { retainedTopics.insert(message.topic) }
        if name == "status" {
            isReady = isReady || message.text == "online"
            return
        }
        guard isResult || name == "health" || name == "log" else { return }
        guard let json = try? JSONValue(parsing: message.payload) else {
            throw CommandError(
                .internalError, "\(message.topic) holds no JSON: \(message.text.prefix(80)). Report this")
        }
        daemon.sampleMemory()
        switch name {
        case "health":
            tally.healthReports += 1
            screen.health(json)
        case "log": screen.log(json)
        default: handleResult(json, at: time)
        }
    }

    private func handleResult(_ json: JSONValue, at time: UInt64) {
        lastResult = time
        if let error = json["error"]?.string {
            tally.errors += 1
            tally.firstError = tally.firstError ?? error
        }
        if let topic = json["topic"]?.string, let (request, sent) = waiting.removeValue(forKey: topic) {
            let milliseconds = Double(time - min(time, sent)) / 1e6
            tally.add(request, answer: json["label"]?.string, milliseconds: milliseconds)
            screen.classification(request, json, milliseconds: milliseconds)
        } else if let task = json["task"]?.string, let left = expectedSummaries[task] {
            expectedSummaries[task] = left > 1 ? left - 1 : nil
            tally.summaries += 1
            if json["grounded"]?.bool == true { tally.grounded += 1 }
            screen.summary(json)
        }
    }
}
