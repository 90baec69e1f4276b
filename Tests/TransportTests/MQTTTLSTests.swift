import TestSupport
import Testing

@testable import Transport

/// TLS against a mosquitto with certificates made on the spot.
@Suite(.serialized) struct MQTTTLSTests {
    struct Certificates {
        let folder: TemporaryFolder

        init() throws {
            folder = try TemporaryFolder()
            let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            func path(_ name: String) -> String { folder.path(name) }
            for (name, subject) in [("ca", "/CN=test authority"), ("other", "/CN=other authority")] {
                try Child.run(
                    ["openssl", "req", "-x509", "-days", "2", "-subj", subject] + key
                        + ["-keyout", path("\(name).key"), "-out", path("\(name).pem")])
            }
            try folder.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n", to: "san")
            try folder.write("subjectAltName=DNS:elsewhere.example\n", to: "wrong-san")
            for (name, names) in [("server", "san"), ("elsewhere", "wrong-san"), ("client", "san")] {
                try Child.run(
                    ["openssl", "req", "-new", "-subj", "/CN=\(name)"] + key
                        + ["-keyout", path("\(name).key"), "-out", path("\(name).csr")])
                try Child.run([
                    "openssl", "x509", "-req", "-days", "2", "-in", path("\(name).csr"), "-CA", path("ca.pem"),
                    "-CAkey",
                    path("ca.key"), "-CAcreateserial", "-extfile", path(names), "-out", path("\(name).pem"),
                ])
            }
        }

        func broker(_ name: String, clients: Bool = false) throws -> BrokerHarness {
            var settings = PrivateBroker.Settings()
            settings.extraLines = [
                "cafile \(folder.path("ca.pem"))", "certfile \(folder.path("\(name).pem"))",
                "keyfile \(folder.path("\(name).key"))", "require_certificate \(clients)",
            ]
            return try BrokerHarness(settings)
        }
    }

    private func attempt(_ harness: BrokerHarness, _ tls: MQTTOptions.TLS) throws -> (
        connected: Bool, reasons: [String]
    ) {
        let client = try MQTTClient(harness.options("secure").with { $0.tls = tls })
        defer { client.stop(drainFor: .zero) }
        let recorder = Recorder()
        try client.subscribe([MQTTSubscription(filter: "loop", qos: 1)])
        try recorder.start(client)
        _ = eventually { client.isConnected || recorder.reasons.count >= 2 }
        guard client.isConnected else { return (false, recorder.reasons) }
        try client.publish(MQTTMessage(topic: "loop", payload: [UInt8](repeating: 9, count: 100_000), qos: 1), token: 1)
        return (eventually { recorder.messages.count == 1 && recorder.published == [1] }, recorder.reasons)
    }

    @Test func aTrustedBrokerIsConnectedToAndOthersAreRefusedWithTheReason() throws {
        let certificates = try Certificates()
        let path = certificates.folder.path
        let good = try certificates.broker("server")
        #expect(try attempt(good, .init(caFile: path("ca.pem"))).connected)

        let untrusted = try attempt(good, .init(caFile: path("other.pem")))
        #expect(!untrusted.connected && untrusted.reasons.count >= 2)
        #expect(untrusted.reasons.allSatisfy { $0.contains("TLS failed") && $0.contains("certificate verify failed") })
        // The system's authorities do not know ours either.
        #expect(try !attempt(good, .init()).connected)

        let missing = try attempt(good, .init(caFile: path("nothing.pem")))
        #expect(missing.reasons.first?.contains("nothing.pem") == true)

        let elsewhere = try certificates.broker("elsewhere")
        #expect(try !attempt(elsewhere, .init(caFile: path("ca.pem"))).connected)
        #expect(try attempt(elsewhere, .init(caFile: path("ca.pem"), insecure: true)).connected)
    }

    @Test func aBrokerThatWantsACertificateGetsOurs() throws {
        let certificates = try Certificates()
        let path = certificates.folder.path
        let broker = try certificates.broker("server", clients: true)
        let tls = MQTTOptions.TLS(caFile: path("ca.pem"), certFile: path("client.pem"), keyFile: path("client.key"))
        #expect(try attempt(broker, tls).connected)
        let without = try attempt(broker, .init(caFile: path("ca.pem")))
        #expect(!without.connected && !without.reasons.isEmpty, "\(without.reasons)")
    }
}
