import Testing

@testable import Transport

@Suite struct BrokerURLTests {
    @Test func readsHostPortAndTLS() throws {
        let plain = try MQTTOptions(url: "mqtt://localhost")
        #expect(plain.host == "localhost" && plain.port == 1883 && plain.tls == nil)
        let secure = try MQTTOptions(url: "mqtts://broker.example/")
        #expect(secure.host == "broker.example" && secure.port == 8883 && secure.tls != nil)
        let port = try MQTTOptions(url: "MQTT://10.0.0.7:2883")
        #expect(port.host == "10.0.0.7" && port.port == 2883)
        let six = try MQTTOptions(url: "mqtt://[fe80::1]:1884")
        #expect(six.host == "fe80::1" && six.port == 1884)
    }

    @Test func readsCredentialsWithEscapes() throws {
        let options = try MQTTOptions(url: "mqtt://us%40er:p%3A:a@h:1")
        #expect(options.username == "us@er")
        #expect(options.password == "p::a")
        #expect(options.host == "h" && options.port == 1)
        let userOnly = try MQTTOptions(url: "mqtt://user@h")
        #expect(userOnly.username == "user" && userOnly.password == nil)
    }

    @Test(arguments: [
        "", "localhost", "localhost:1883", "http://h", "ws://h", "unix:///x", "mqtt://", "mqtt://:1883", "mqtt://h:0",
        "mqtt://h:65536", "mqtt://h:x", "mqtt://h:", "mqtt://h:+1", "mqtt://[::1", "mqtt://[::1]x", "mqtt://h/topic",
        "mqtt://h?x=1", "mqtt://%zz@h", "mqtt://u:%0@h", "mqtt://%00@h", "mqtt://%ff@h", "mqtt://a b", "mqtt://h\0i",
    ])
    func refusesWhatIsNoURL(_ url: String) {
        #expect(throws: TransportError.self) { try MQTTOptions(url: url) }
    }

    @Test func anErrorDoesNotShowThePassword() {
        do {
            _ = try MQTTOptions(url: "mqtt://user:secret@host:99999")
            Issue.record("the port is out of range")
        } catch {
            #expect(!error.description.contains("secret"))
            #expect(error.description.contains("host:99999"))
        }
    }
}
