import Glibc
import Linux
import Logging
import Spool
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Daemon

/// Passwords and keys come from files, the environment or systemd, and never go anywhere but to the broker.
@Suite(.serialized) struct Secrets {
    private let secret = "geheim-0815-ÜmläutÉ"
    private let wrong = "falsch-4711-ÜmläutÉ"

    private func text(_ folder: TemporaryFolder, port: Int, _ more: String = "") -> String {
        let login = "username = \"martlet\"\npassword_file = \"\(folder.path("password"))\"\n"
        return oneDoor("mqtt://127.0.0.1:\(port)", broker: login + more)
    }

    private func context(credentials: String? = nil) -> ConfigurationContext {
        var context = ConfigurationContext(
            hostname: "pi", isReadable: { access($0, R_OK) == 0 || $0 == "/m.gguf" },
            readFile: { FileTree.machine.text($0) })
        context.credentialsFolder = credentials
        return context
    }

    /// A whole life with a broker that wants a password: refused, corrected by a reload, restarted, stopped.
    @Test func noLogStatusTopicOrAnswerEverHoldsThePassword() throws {
        let folder = try TemporaryFolder()
        let broker = try BrokerHarness(users: ["martlet": secret, "observer": "observer"], in: folder)
        try folder.write(wrong + "\n", to: "password")
        let context = context()
        let source = text(folder, port: broker.port)
        let load: @Sendable () throws(ConfigurationError) -> Configuration = { () throws(ConfigurationError) in
            try Configuration.parse(Array(source.utf8), file: "m.toml", context: context)
        }
        let configuration = try load()
        #expect(configuration.broker.password == wrong)
        var options = configuration.mqttOptions
        options.backoffMilliseconds = 20...50
        let recorder = LineRecorder()
        let gate = Gate()
        var parts = DaemonParts(
            transport: try MQTTClient(options), spool: try .inMemory(),
            makeRunner: { (models, _) throws(DaemonError) in FakeRunner(models, gate: gate) },
            logger: recorder.logger)
        parts.loadConfiguration = load
        let daemon = Daemon(configuration, parts)
        try daemon.start()
        try wait { recorder.all.contains("no connection to the broker (access)") }
        #expect(recorder.all.contains("password_file"), "the remedy is named")

        try folder.write(secret + "\n", to: "password")
        let observer = try broker.subscriber("#", ["-v", "-u", "observer", "-P", "observer"])
        daemon.reload()
        try wait { observer.output.contains("martlet/pi/status online") }
        for verb in ["ping", "reload", "classify", "nonsense"] {
            try broker.publish("martlet/pi/request/\(verb)", "{\"text\":\"x\"}", ["-u", "observer", "-P", "observer"])
            try wait { observer.output.contains("martlet/pi/response/\(verb) {") }
        }
        broker.kill()
        try wait { !daemon.parts.transport.isConnected }
        try broker.start()
        try wait { daemon.parts.transport.isConnected }
        daemon.sampleHealth()
        daemon.publishInfo()
        daemon.stop()
        for output in [recorder.all, observer.output, observer.errors, "\(configuration.warnings)"] {
            #expect(!output.contains(secret) && !output.contains(wrong))
            #expect(!output.contains("geheim") && !output.contains("falsch"), "\(output)")
        }
        #expect(recorder.all.contains("connected to the broker"), "the log was recorded")
    }

    @Test func aPasswordInTheConfigurationIsRefusedWithoutBeingRepeated() throws {
        let folder = try TemporaryFolder()
        try folder.write(secret, to: "password")
        let good = text(folder, port: 1)
        for bad in [
            good.replacing("mqtt://127", with: "mqtt://martlet:\(secret)@127"),
            text(folder, port: 1, "password = \"\(secret)\""),
            good.replacing("password_file", with: "passwordfile"),
            // Errors elsewhere, and TOML that breaks right there.
            text(folder, port: 1, "protocol = 7"), text(folder, port: 1, "password = \"\(secret)"),
        ] {
            let found = problems(bad, context: context())
            #expect(!found.isEmpty && !found.joined().contains("geheim"), "\(found)")
        }
        let inURL = problems(good.replacing("mqtt://127", with: "mqtt://martlet:\(secret)@127"), context: context())
        #expect(inURL.contains { $0.contains("the url holds a password") && $0.contains("password_file") })
    }

    @Test func systemdsCredentialsAreFoundByTheirNames() throws {
        let folder = try TemporaryFolder()
        for (name, text) in [("mqtt-password", secret), ("mqtt-ca", "ca"), ("mqtt-cert", "c"), ("mqtt-key", "k")] {
            try folder.write(text, to: name)
        }
        let plain = text(folder, port: 1).split(separator: "\n").filter { !$0.hasPrefix("password_file") }
            .joined(separator: "\n")
        let open = try parse(plain, context: context(credentials: folder.root)).broker
        #expect(open.password == secret && open.caFile == nil && open.certFile == nil)
        let secure = plain.replacing("mqtt://", with: "mqtts://")
        let broker = try parse(secure, context: context(credentials: folder.root)).broker
        #expect(broker.caFile == folder.path("mqtt-ca") && broker.certFile == folder.path("mqtt-cert"))
        #expect(broker.keyFile == folder.path("mqtt-key"))
        // What the configuration names goes first, and the environment before all.
        try folder.write("named", to: "other")
        let named = secure.replacing(
            "username",
            with: "password_file = \"\(folder.path("other"))\"\nca_file = \"\(folder.path("other"))\"\nusername")
        var context = context(credentials: folder.root)
        #expect(try parse(named, context: context).broker.password == "named")
        #expect(try parse(named, context: context).broker.caFile == folder.path("other"))
        context.environmentPassword = "environment"
        #expect(try parse(named, context: context).broker.password == "environment")
    }

    @Test func theLeastVersionOfTLSIsRead() throws {
        let folder = try TemporaryFolder()
        try folder.write(secret, to: "password")
        func version(_ value: String) throws -> MQTTOptions.TLS.Version? {
            let secure = text(folder, port: 1, "tls_version = \(value)").replacing("mqtt://", with: "mqtts://")
            return try parse(secure, context: context()).mqttOptions.tls?.oldest
        }
        #expect(try version("\"1.3\"") == .v13 && version("1.3") == .v13 && version("\"1.2\"") == .v12)
        #expect(throws: (any Error).self) { try version("\"1.1\"") }
        let plain = problems(text(folder, port: 1, "tls_version = \"1.3\""), context: context())
        #expect(plain.contains { $0.contains("tls_version needs TLS") })
    }
}
