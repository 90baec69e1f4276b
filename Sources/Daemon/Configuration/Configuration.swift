import Inference
import JSON

/// Everything a configuration file says, checked and with defaults filled in.
public struct Configuration: Sendable {
    public var device: Device
    public var broker: Broker
    public var models: [ModelSection]
    public var tasks: [TaskSection]
    public var health: HealthSection
    public var limits: LimitsSection
    public var requests = RequestsSection()
    /// Doubtful but not wrong; shown by `config check` and logged at start.
    public var warnings: [ConfigurationProblem] = []

    /// `martlet/<device>`, the root of every topic this daemon publishes.
    public var baseTopic: String { "martlet/\(device.id)" }

    public func task(named name: String) -> TaskSection? { tasks.first { $0.name == name } }

    public struct Device: Sendable, Equatable {
        /// `[a-zA-Z0-9_-]`, 1…64 characters.
        public var id: String
        /// `auto`, or the name of a folder under `boards/`.
        public var board: String
    }

    public struct Broker: Sendable, Equatable {
        public var host: String
        public var port: Int
        public var tls: Bool
        public var username: String?
        /// From `MARTLET_MQTT_PASSWORD` or `password_file`; never printed.
        public var password: String?
        public var caFile: String?
        public var certFile: String?
        public var keyFile: String?
        /// 5 or 311.
        public var protocolVersion: Int
        public var clientID: String
        public var sessionExpiry: Duration
        /// The oldest version of TLS that is accepted: 1.3, or else 1.2.
        public var requiresTLS13 = false

        /// What the broker knows our session by; it cannot change under a running daemon.
        struct Session: Equatable {
            var protocolVersion: Int
            var clientID: String
            var sessionExpiry: Duration
        }

        var session: Session {
            get { Session(protocolVersion: protocolVersion, clientID: clientID, sessionExpiry: sessionExpiry) }
            set {
                (protocolVersion, clientID) = (newValue.protocolVersion, newValue.clientID)
                sessionExpiry = newValue.sessionExpiry
            }
        }
    }

    /// What may be asked for on the request topics.
    public struct RequestsSection: Sendable, Equatable {
        /// Whether there are request topics at all.
        public var isEnabled = true
        /// Whether a request may load a model: off, because it names files and takes memory.
        public var modelLoad = false
        /// Where answers may go when a message asks for them elsewhere than `…/response/`: topic filters.
        public var responseTopics = ["#"]
    }

    public struct ModelSection: Sendable, Equatable {
        public var name: String
        public var path: String
        /// Lower-case hexadecimal.
        public var sha256: String?
        /// Tokens.
        public var context: Int
        /// 0: the performance cores.
        public var threads: Int
        /// `f16` or `q8_0`.
        public var kvCache: String
        public var lora: [String]
        /// How conversations are written, by name; nil: as the model file says.
        public var chatTemplate: String?
        /// Whether a copy with interleaved rows is made in the cache folder, for speed.
        public var pack = true
        /// Whether `context` is the file's, to be kept or refused, or the default, which a small model lowers.
        public var isContextGiven = false
        /// How positions are stretched for a given context beyond the training.
        public var ropeScaling = RopeScaling.none
    }

    public struct HealthSection: Sendable, Equatable {
        public var interval: Duration = .seconds(30)
        public var homeassistant = true
        public var discoveryPrefix = "homeassistant"
    }

    public struct LimitsSection: Sendable, Equatable {
        /// Bytes of anonymous memory; nil: the board's default.
        public var memory: Int?
        /// °C; nil: the board's default.
        public var maxTemperature: Double?
        /// Bytes on disk.
        public var spool = 64 << 20
        /// Events waiting.
        public var queue = 1000
        /// Bytes of one message.
        public var maxPayload = 256 << 10
    }
}

/// One `[[task]]`.
public struct TaskSection: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case classify, summarize, extract, detect
    }

    /// When a summary's window closes. `onTopic` and requests close it early in every case.
    public enum Window: Sendable, Equatable {
        case time(Duration)
        case count(Int)
        case onTopic(String)
    }

    public var name: String
    public var kind: Kind
    /// Name of a `[[model]]`.
    public var model: String
    /// Valid MQTT topic filters.
    public var subscribe: [String]
    /// Nil: the payload as text.
    public var text: EventTemplate?
    public var labels: [String] = []
    public var prompt: String?
    /// Adapters of its own, as `ModelSection.lora`; nil: the model's.
    public var lora: [String]?
    public var minConfidence = 0.0
    public var otherwise = "uncertain"
    /// 0…9, higher first.
    public var priority = 5
    public var deadline: Duration?
    /// Only for summaries.
    public var window: Window?
    public var maxTokens = 60
    /// Whether results are published retained.
    public var retain = false
    /// Only for detectors.
    public var value: JSONPointer?
    public var explain = false
    /// Only for extraction: the JSON Schema's text, which is known to compile.
    public var schema: String?
}
