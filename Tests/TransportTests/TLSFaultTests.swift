import Glibc
import TestSupport
import Testing

@testable import Transport

/// What is wrong with TLS is told apart, and what was renewed is read again.
@Suite(.serialized) struct TLSFaultTests {
    private let certificates: MQTTTLSTests.Certificates
    private func path(_ name: String) -> String { certificates.folder.path(name) }

    init() throws {
        certificates = try MQTTTLSTests.Certificates()
        // Of yesterday and of tomorrow: `x509 -days` only knows the future, `ca` takes both ends.
        for (name, from, to) in [
            ("expired", "20200101000000Z", "20200102000000Z"), ("future", "20900101000000Z", "20910101000000Z"),
        ] {
            try certificates.folder.write("", to: "index.txt")
            try certificates.folder.write("1000\n", to: "serial")
            try Child.run([
                "openssl", "ca", "-batch", "-notext", "-md", "sha256", "-policy", "any", "-config",
                try configuration(), "-startdate", from, "-enddate", to, "-in", path("server.csr"), "-out",
                path("\(name).pem"),
            ])
            try certificates.folder.write(certificates.folder.bytes("server.key"), to: "\(name).key")
        }
    }

    private func configuration() throws -> String {
        try certificates.folder.write(
            """
            [ca]
            default_ca = test
            [test]
            database = \(path("index.txt"))
            serial = \(path("serial"))
            new_certs_dir = \(certificates.folder.root)
            certificate = \(path("ca.pem"))
            private_key = \(path("ca.key"))
            unique_subject = no
            x509_extensions = names
            [any]
            commonName = supplied
            [names]
            subjectAltName = IP:127.0.0.1,DNS:localhost
            """, to: "ca.conf")
        return path("ca.conf")
    }

    private var trusting: MQTTOptions.TLS { .init(caFile: path("ca.pem")) }

    private func problem(_ port: Int, _ tls: MQTTOptions.TLS) throws -> ConnectionProblem {
        let options = MQTTOptions(host: "127.0.0.1", port: port).with { $0.tls = tls }
        return try #require(MQTTClient.probe(options))
    }

    @Test func theFaultsOfABrokersCertificateAreToldApart() throws {
        for (name, tls, words) in [
            ("expired", trusting, "has expired"), ("future", trusting, "not valid yet"),
            ("elsewhere", trusting, "is not for 127.0.0.1"),
            ("server", MQTTOptions.TLS(caFile: path("other.pem")), "authority that we do not trust"),
            ("server", MQTTOptions.TLS(), "authority that we do not trust"),
        ] {
            let broker = try certificates.broker(name)
            defer { broker.stop() }
            let problem = try problem(broker.port, tls)
            #expect(problem.fault == .tls && problem.retry == .soon, "\(name): \(problem)")
            #expect(problem.reason.contains(words), "\(name): \(problem)")
        }
    }

    @Test func aBrokerThatWantsAnotherCertificateIsUnderstood() throws {
        let broker = try certificates.broker("server", clients: true)
        let without = try problem(broker.port, trusting)
        #expect(without.fault == .tls && without.reason.contains("wants a certificate of ours"), "\(without)")
        // Signed by somebody the broker does not know.
        let stranger = try problem(
            broker.port, .init(caFile: path("ca.pem"), certFile: path("other.pem"), keyFile: path("other.key")))
        #expect(stranger.fault == .tls && stranger.reason.contains("not accept our certificate"), "\(stranger)")
        let old = try problem(
            broker.port, .init(caFile: path("ca.pem"), certFile: path("expired.pem"), keyFile: path("expired.key")))
        #expect(old.fault == .tls && old.reason.contains("our certificate"), "\(old)")
        // A key that belongs to another certificate.
        let mixed = try problem(
            broker.port, .init(caFile: path("ca.pem"), certFile: path("client.pem"), keyFile: path("server.key")))
        #expect(mixed.fault == .tls && mixed.reason.contains("key_file"), "\(mixed)")
    }

    /// OpenSSL's own server, because mosquitto cannot be told to offer old versions only.
    private func server(_ version: String, _ more: [String] = []) throws -> (process: Child, port: Int) {
        let port = try #require(PrivateBroker.freePort())
        let child = try Child(
            ["openssl", "s_server", "-accept", "127.0.0.1:\(port)", "-cert", path("server.pem"), "-key"]
                + [path("server.key"), version, "-www"] + more)
        #expect(eventually { child.output.contains("ACCEPT") }, "\(child.errors)")
        return (child, port)
    }

    @Test func versionsBelowTheLeastAreRefused() throws {
        let old = try server("-tls1_1", ["-cipher", "DEFAULT@SECLEVEL=0"])
        let refused = try problem(old.port, trusting)
        #expect(refused.fault == .tls && refused.retry == .slowly, "\(refused)")
        #expect(refused.reason.contains("no version of TLS in common"), "\(refused)")

        var strict = trusting
        strict.oldest = .v13
        let middling = try server("-tls1_2")
        let second = try problem(middling.port, strict)
        #expect(second.reason.contains("no version of TLS in common"), "\(second)")
        let harness = try certificates.broker("server")
        let options = harness.options("strict").with { $0.tls = strict }
        #expect(MQTTClient.probe(options) == nil, "mosquitto speaks 1.3")
    }

    @Test func aPortWithoutTLSIsNamed() throws {
        let plain = try ScriptedServer(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
        let problem = try problem(plain.port, trusting)
        #expect(problem.fault == .tls && problem.reason.contains("does not speak TLS"), "\(problem)")
    }

    /// The files are changed under a client that fails, and under one that is connected.
    @Test func renewedCertificatesAreReadAgain() throws {
        let broker = try certificates.broker("server", clients: true)
        for (name, from) in [("mine.pem", "expired.pem"), ("mine.key", "expired.key")] {
            try certificates.folder.write(certificates.folder.bytes(from), to: name)
        }
        let tls = MQTTOptions.TLS(caFile: path("ca.pem"), certFile: path("mine.pem"), keyFile: path("mine.key"))
        // A back-off that the test would not live to see the end of: only `renew` can end it.
        let options = broker.options("renewer").with {
            $0.tls = tls
            $0.backoffMilliseconds = 600_000...600_000
        }
        let client = try MQTTClient(options)
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "loop", qos: 1)])
        try recorder.start(client)
        #expect(eventually { recorder.problems.count == 1 })
        for (name, from) in [("mine.pem", "client.pem"), ("mine.key", "client.key")] {
            try certificates.folder.write(certificates.folder.bytes(from), to: name)
        }
        client.renew(options)
        #expect(eventually { client.isConnected }, "\(recorder.events)")
        #expect(recorder.connections == 1)

        // Nothing has changed: the connection stays.
        client.renew(options)
        #expect(!eventually(seconds: 0.3) { recorder.problems.count > 1 }, "\(recorder.events)")

        // Another file: what is on its way arrives once, and the session is there again.
        try certificates.folder.write(certificates.folder.bytes("server.pem"), to: "mine.pem")
        try certificates.folder.write(certificates.folder.bytes("server.key"), to: "mine.key")
        for token in 1...50 {
            try client.publish(MQTTMessage(topic: "loop", text: "\(token)", qos: 1), token: UInt64(token))
        }
        client.renew(options)
        #expect(eventually { recorder.connections == 2 && recorder.messages.count == 50 }, "\(recorder.events)")
        #expect(recorder.messages.map(\.text) == (1...50).map(String.init))
        #expect(recorder.published == (1...50).map(UInt64.init))
        #expect(recorder.problems.last?.fault == .local && recorder.problems.last?.retry == .atOnce)
        #expect(
            recorder.events.last { if case .connected = $0 { true } else { false } } == .connected(sessionPresent: true)
        )
    }

    @Test func anotherPasswordIsTakenOverByRenewing() throws {
        let folder = try TemporaryFolder()
        let harness = try BrokerHarness(users: ["martlet": "right"], in: folder)
        let wrong = harness.options("guest").with {
            ($0.username, $0.password) = ("martlet", "wrong")
            $0.backoffMilliseconds = 600_000...600_000
        }
        let client = try MQTTClient(wrong)
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try recorder.start(client)
        #expect(eventually { recorder.problems.first?.retry == .slowly })
        client.renew(wrong.with { $0.password = "right" })
        #expect(eventually { client.isConnected }, "\(recorder.events)")
    }

    @Test func whatTheRulesOfABrokerForbidIsFoundByAsking() throws {
        let folder = try TemporaryFolder()
        try folder.write("topic readwrite open/#\n", to: "acl")
        var settings = PrivateBroker.Settings()
        settings.extraLines = ["acl_file \(folder.path("acl"))"]
        let harness = try BrokerHarness(settings)
        let log = MQTTMessage(topic: "martlet/pi/log", text: "?", qos: 1)
        let welcome = MQTTClient.welcome(harness.options("x"), filters: ["open/a", "$share/g/open/b"], message: log)
        #expect(welcome.problem == nil && welcome.refusedFilters.isEmpty)
        #expect(welcome.refusedMessage?.contains("access rules") == true, "\(welcome)")
        let free = MQTTMessage(topic: "open/log", text: "?", qos: 1)
        #expect(MQTTClient.welcome(harness.options("x"), filters: ["open/#"], message: free) == .init(problem: nil))
    }
}
