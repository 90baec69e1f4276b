import Transport

/// Where an answer may go when a message asks for it on a topic of its choice (MQTT 5's response topic).
///
/// Whoever may publish to one topic could otherwise have us publish to any that the broker allows *us*: commands of other
/// devices, what other tasks read, our own requests.
struct ReplyRules: Sendable {
    /// Bytes of a topic, and of the correlation data that goes with it; both are kept for every waiting event.
    static let longestTopic = 512
    static let mostCorrelation = 1024

    private(set) var requests = Configuration.RequestsSection()
    /// Topics that nobody may have answers on: what a task reads, or an answer would be a sensor's reading to it, and
    /// Home Assistant's. Not what begins with a wildcard: a task that reads everything would leave no topic at all.
    private var closed: [String] = []
    private var base = ""

    init() {}

    init(_ configuration: Configuration) {
        requests = configuration.requests
        base = configuration.baseTopic
        closed = ["\(configuration.health.discoveryPrefix)/#"]
        for task in configuration.tasks {
            closed += task.subscribe.filter { !Intake.isWild($0) }
            if case .onTopic(let topic) = task.window { closed.append(topic) }
        }
    }

    /// Where the sender of a message wants its answer; nil when it does not say, or may not have it there.
    func reply(to message: MQTTMessage) -> ReplyAddress? {
        guard let topic = message.responseTopic, allows(topic) else { return nil }
        guard (message.correlationData?.count ?? 0) <= Self.mostCorrelation else { return nil }
        return ReplyAddress(topic: topic, correlationData: message.correlationData, transaction: nil)
    }

    func allows(_ topic: String) -> Bool {
        guard isValidTopic(topic), topic.utf8.count <= Self.longestTopic, topic.utf8.first != UInt8(ascii: "$") else {
            return false
        }
        // Other devices' too: `martlet/<device>/request/…` is a command wherever it arrives.
        if topicMatches(filter: "martlet/#", topic: topic) {
            let levels = topic.split(separator: "/", omittingEmptySubsequences: false)
            return levels.count > 3 && levels[2] == "response"
        }
        return requests.responseTopics.contains { topicMatches(filter: $0, topic: topic) }
            && !closed.contains { topicMatches(filter: $0, topic: topic) }
    }
}
