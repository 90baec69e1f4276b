import Catalogue
import GGUF
import Glibc
import Health
import Inference
import Linux
import Transport

/// What the reader needs to know about the world around the file; injectable for tests.
public struct ConfigurationContext: Sendable {
    public var hostname: String
    /// `MARTLET_MQTT_PASSWORD`, if set.
    public var environmentPassword: String?
    /// Where systemd puts the service's credentials, if it has any.
    public var credentialsFolder: String?
    /// Whether a file can be read.
    public var isReadable: @Sendable (String) -> Bool
    /// The text of a small file, or nil.
    public var readFile: @Sendable (String) -> String?
    /// The file that a model's path means, which may be a name of the catalogue.
    public var resolveModel: @Sendable (String) throws(CatalogueError) -> String
    /// The shape of a model file, stretched if asked to; nil where it cannot be looked into.
    public var shape: @Sendable (String, RopeStretch?) throws(ModelError) -> ModelConfig? = { _, _ in nil }

    public init(
        hostname: String, environmentPassword: String? = nil,
        isReadable: @escaping @Sendable (String) -> Bool, readFile: @escaping @Sendable (String) -> String?,
        resolveModel: @escaping @Sendable (String) throws(CatalogueError) -> String = { $0 }
    ) {
        self.hostname = hostname
        self.environmentPassword = environmentPassword
        self.isReadable = isReadable
        self.readFile = readFile
        self.resolveModel = resolveModel
    }

    /// This machine and its environment.
    public static func machine() -> ConfigurationContext {
        var context = plainMachine()
        context.credentialsFolder = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
        return context
    }

    private static func plainMachine() -> ConfigurationContext {
        var name = [UInt8](repeating: 0, count: 256)
        // Unsafe at this edge only: gethostname fills the array during the call.
        name.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            _ = gethostname(base.assumingMemoryBound(to: CChar.self), buffer.count - 1)
        }
        var context = ConfigurationContext(
            hostname: String(decoding: name.prefix { $0 != 0 }, as: UTF8.self),
            environmentPassword: getenv("MARTLET_MQTT_PASSWORD").map { String(cString: $0) },
            isReadable: { access($0, R_OK) == 0 && !FileTree().isFolder($0) },
            readFile: { FileTree().text($0) },
            resolveModel: { path throws(CatalogueError) in
                guard let cache = PackedModel.folder else { return path }
                return try ModelStore(cache: cache).resolve(path) { Suggestion.nearest(to: $0, in: $1) }
            })
        context.shape = { path, stretch throws(ModelError) in
            guard let file = try? GGUFFile(path: path) else { return nil }
            return try ModelConfig(file, stretch: stretch)
        }
        return context
    }
}

/// What this build can run; what it cannot is named in one line instead of being silently ignored.
enum Supported {
    static let kinds: Set<TaskSection.Kind> = [.classify, .summarize, .extract]
}

extension Configuration {
    /// Reads and checks the file at `path`.
    ///
    /// Throws every problem at once; warnings alone do not throw and stand in `warnings`.
    public static func load(
        path: String, context: ConfigurationContext = .machine()
    ) throws(ConfigurationError) -> Configuration {
        let bytes: [UInt8]
        do {
            let file = try MappedFile(path: path)
            // The pointer does not keep the mapping; the parser refuses what is larger than its cap by itself.
            bytes = withExtendedLifetime(file) { Array(file.bytes.prefix(2 << 20)) }
        } catch {
            let problem = ConfigurationProblem(
                severity: .error, file: path, line: 0, message: "cannot read the configuration: \(error.reason)",
                suggestion: "Give the path of a TOML file with --config")
            throw ConfigurationError(problems: [problem], isNotFound: error.isNotFound)
        }
        return try parse(bytes, file: path, context: context)
    }

    /// Checks a configuration already in memory; `file` is only for messages.
    public static func parse(
        _ bytes: [UInt8], file: String, context: ConfigurationContext
    ) throws(ConfigurationError) -> Configuration {
        let problems = ProblemList(file: file)
        var configuration: Configuration?
        do {
            let root = TableReader(
                name: "the file", entries: try TOMLDocument.parse(bytes), line: 1, problems: problems)
            configuration = ConfigurationReader(problems: problems, context: context, file: file).read(root)
        } catch {
            problems.error(
                error.line, "not valid TOML: \(error.message)",
                error.column > 0 ? "Correct the syntax near column \(error.column)" : "Give a TOML file")
        }
        let found = problems.sorted
        guard var configuration, !found.contains(where: { $0.severity == .error }) else {
            throw ConfigurationError(problems: found)
        }
        configuration.warnings = found
        return configuration
    }
}

/// Turns tables into a `Configuration`, reporting what it cannot.
struct ConfigurationReader {
    let problems: ProblemList
    let context: ConfigurationContext
    /// The configuration's own path: what it names relatively stands beside it where the contract says so.
    let file: String

    /// Sections are read in every case, so that the problems of all of them are known.
    func read(_ root: TableReader) -> Configuration? {
        let device = device(root.table("device"))
        let broker = broker(root.table("broker"), device: device.id, hasSection: root.has("broker"))
        let models = models(root)
        let tasks = tasks(root, models: models.map(\.name), device: device.id)
        let health = health(root.table("health"))
        let limits = limits(root.table("limits"))
        let requests = requests(root.table("requests"))
        root.finish(hints: [
            "models": "Did you mean [[model]]?", "tasks": "Did you mean [[task]]?", "mqtt": "Did you mean [broker]?",
        ])
        guard let broker else { return nil }
        return Configuration(
            device: device, broker: broker, models: models, tasks: tasks, health: health, limits: limits,
            requests: requests)
    }

    static func isIdentifier(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    /// The host name with every other character replaced, so that a default can never be invalid.
    private var defaultDeviceID: String {
        let characters = context.hostname.prefix(64).map { Self.isIdentifier(String($0)) ? $0 : "-" }
        return characters.isEmpty ? "martlet" : String(characters)
    }

    private func device(_ table: TableReader) -> Configuration.Device {
        var device = Configuration.Device(id: defaultDeviceID, board: "auto")
        if let id = table.string("id", example: "\"kitchen-pi\"") {
            if Self.isIdentifier(id.value) {
                device.id = id.value
            } else {
                problems.error(
                    id.line, "id \"\(id.value)\" is not a device name",
                    "Use 1 to 64 of the characters a-z A-Z 0-9 _ -, because it becomes a topic level")
            }
        }
        if let board = table.string("board", example: "\"auto\"") {
            let known = ["auto"] + Board.all.map(\.id)
            if known.contains(board.value) {
                device.board = board.value
            } else {
                let near = Suggestion.nearest(to: board.value, in: known)
                problems.error(
                    board.line, "board \"\(board.value)\" is unknown",
                    near.map { "Did you mean \($0)?" } ?? "Write one of \(known.joined(separator: ", "))")
            }
        }
        table.finish(hints: ["name": "Did you mean id?"])
        return device
    }

    private func health(_ table: TableReader) -> Configuration.HealthSection {
        var health = Configuration.HealthSection()
        if let interval = table.duration("interval", in: .seconds(1)...(.seconds(86_400)), example: "30s") {
            health.interval = interval
        }
        health.homeassistant = table.bool("homeassistant") ?? health.homeassistant
        if let prefix = table.string("discovery_prefix", example: "\"homeassistant\"") {
            if isValidTopic(prefix.value), !prefix.value.hasSuffix("/") {
                health.discoveryPrefix = prefix.value
            } else {
                problems.error(
                    prefix.line, "discovery_prefix \"\(prefix.value)\" is not a topic",
                    "Write a topic without wildcards and without a final /, as homeassistant")
            }
        }
        table.finish()
        return health
    }

    private func limits(_ table: TableReader) -> Configuration.LimitsSection {
        var limits = Configuration.LimitsSection()
        if let memory = table.size("memory", in: 16 << 20...64 << 30, example: "200MiB") { limits.memory = memory }
        if let degrees = table.number("max_temperature", in: 30...110) { limits.maxTemperature = degrees }
        if let spool = table.size("spool", in: 1 << 20...64 << 30, example: "64MiB") { limits.spool = spool }
        // Each waiting event may hold some KiB of text.
        if let queue = table.integer("queue", in: 1...100_000) { limits.queue = queue }
        // MQTT itself ends at 256 MiB; a model reads a few thousand tokens.
        if let payload = table.size("max_payload", in: 64...16 << 20, example: "256KiB") { limits.maxPayload = payload }
        table.finish()
        return limits
    }
}

extension FileTree {
    func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(root + path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
