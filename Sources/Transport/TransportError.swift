/// Why the transport could not do what was asked.
public enum TransportError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is no connection now; keep the message and publish it after `.connected`.
    case notConnected
    /// Too much is on its way already; keep the message and publish it after the next `.published`.
    case busy
    /// The broker does not take packets of this size; repeating is useless.
    case tooLarge(bytes: Int)
    case invalidTopic(String)
    case invalidFilter(String, reason: String)
    case invalidURL(String, reason: String)
    /// The options cannot work: what and why.
    case options(String)
    /// `start` was called twice or after `stop`.
    case alreadyStarted
    /// The operating system or libmosquitto failed: what and why.
    case system(String)

    public var description: String {
        switch self {
        case .notConnected: "not connected to the broker: the message is kept. It is sent after the next connection"
        case .busy: "too many messages wait for the broker: the message is kept. It is sent when the broker catches up"
        case .tooLarge(let bytes):
            "a message of \(bytes) bytes cannot be published: the broker accepts less. "
                + "Raise max_packet_size in the broker or shorten the message"
        case .invalidTopic(let topic):
            "\"\(topic)\" is not a topic to publish to: it is empty, too long, or has + or #. Correct the topic"
        case .invalidFilter(let filter, let reason):
            "\"\(filter)\" is not a topic filter: \(reason). Correct the filter"
        case .invalidURL(let url, let reason):
            "\"\(url)\" is not a broker URL: \(reason). Use mqtt://host:1883 or mqtts://host:8883"
        case .options(let text): text
        case .alreadyStarted: "the transport was started before: it runs once. Make a new one"
        case .system(let text): text
        }
    }
}
