import CMosquitto
import Glibc
import Synchronization

@testable import Daemon
@testable import Transport

extension FuzzTarget {
    /// A PUBLISH packet as a broker sends it, through libmosquitto to the intake: flags, topic, properties, payload.
    static let properties = FuzzTarget(name: "properties", longest: 1 << 10) { _ in
        let lists: [[UInt8]] = [
            [], [0x08, 0, 3] + Array("r/a".utf8) + [0x09, 0, 2, 0xFF, 0], [0x02, 0, 0, 0, 60], [0x01, 1],
            [0x03, 0, 16] + Array("application/json".utf8), [0x26, 0, 1, 0x6B, 0, 1, 0x76, 0x26, 0, 0, 0, 0],
            [0x0B, 5], [0x23, 0, 1], [0x08, 0, 1, 0x23],
            [0x08, 0, 4, 0x61, 0x2F, 0xC3, 0xA9, 0x02, 0, 0, 0, 1, 0x01, 0],
        ]
        let topics = ["door/a", "martlet/pi/request/ping", "last/now", "x"]
        return (0..<20).map { index in
            let (topic, list) = (Array(topics[index % 4].utf8), lists[index % lists.count])
            return [UInt8(index % 8), UInt8(topic.count)] + topic + [UInt8(list.count)] + list + Array(#"{"a":1}"#.utf8)
        }
    } make: {
        let broker = try FuzzBroker()
        return { input in
            do { try broker.deliver(input) } catch { require(false, "the client reaches the broker: \(error)") }
        }
    }
}

/// A broker's end of one connection and the client at the other, on one thread; a connection that the client gave up is
/// replaced by a new one.
private final class FuzzBroker {
    private let listener: CInt
    private let client: MQTTClient
    private var peer: CInt = -1
    private var handle: MQTTHandle?
    /// Counts the messages that end an input.
    private let ends: Ends

    private final class Ends: Sendable {
        let seen = Atomic(0)
    }
    private static let end = "fuzz/end"

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer -> Bool in
            // Sockets take every kind of address through this one type.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
                guard bind(listener, general, size) == 0, listen(listener, 8) == 0 else { return false }
                return getsockname(listener, general, &size) == 0
            }
        }
        self.listener = listener
        guard bound else { throw FuzzSetupError(description: "cannot listen on loopback") }
        var options = MQTTOptions(host: "127.0.0.1", port: Int(UInt16(bigEndian: address.sin_port)))
        options.clientID = "fuzz"
        options.keepAlive = 0
        options.maxPayload = 256
        client = try MQTTClient(options)
        let house = try FuzzHouse()
        let ends = Ends()
        self.ends = ends
        client.state.withLock { state in
            state.onMessage = { message in
                if message.topic == FuzzBroker.end {
                    ends.seen.add(1, ordering: .relaxed)
                    return .accepted
                }
                FuzzBroker.check(message, house.rules)
                // The spool would fill up: what is durable is the business of other tests.
                var message = message
                message.qos = 0
                return house.take(message)
            }
        }
    }

    deinit {
        disconnect()
        close(listener)
    }

    private static func check(_ message: MQTTMessage, _ rules: ReplyRules) {
        require(message.payload.count <= 256, "a payload is cut at the cap")
        require(message.isTruncated == (message.originalSize > 256), "a cut payload is known as such")
        require(message.correlationData.map { $0.count <= 65535 } ?? true, "binary data has two-byte lengths")
        if let reply = rules.reply(to: message) {
            require(isValidTopic(reply.topic), "answers go to valid topics")
            require(!reply.topic.hasPrefix("martlet/pi/request/"), "no answer is a command")
        }
    }

    /// Hands an input over and waits until the client has taken it apart, or has given up the connection.
    func deliver(_ input: [UInt8]) throws {
        if handle == nil { try connect() }
        guard let handle, input.count >= 3, let packet = Self.publish(input) else { return }
        let end = Array(Self.end.utf8)
        // In one piece: the second of two small ones would wait for the acknowledgement of the first.
        send(packet + [0x30, UInt8(end.count + 3), 0, UInt8(end.count)] + end + [0])
        let before = ends.seen.load(ordering: .relaxed)
        let start = ContinuousClock.now
        while start.duration(to: .now) < .seconds(10) {
            guard mosquitto_loop(handle.pointer, 100, 1) == MOSQ_ERR_SUCCESS.code else { return disconnect() }
            if ends.seen.load(ordering: .relaxed) > before { return drain() }
        }
        require(false, "a packet is read within ten seconds")
    }

    /// Flags (bit 0: QoS 1, 1: retain, 2: DUP), topic, properties, payload. Nil for a property that MQTT does not know:
    /// libmosquitto 2.0.11 of Debian 12 ends the process on it with an assertion (it logs without a client), which is not
    /// ours to mend, and brokers forward none.
    private static func publish(_ input: [UInt8]) -> [UInt8]? {
        let flags = input[0]
        let topic = input.dropFirst(2).prefix(Int(input[1]))
        let rest = input.dropFirst(2 + topic.count)
        let list = Array(rest.dropFirst().prefix(Int(rest.first ?? 0)))
        guard hasKnownProperties(list) else { return nil }
        var body: [UInt8] = [0, UInt8(topic.count)] + topic + (flags & 1 != 0 ? [0, 7] : [])
        body += length(list.count) + list + rest.dropFirst(1 + list.count)
        let first = 0x30 | (flags & 1) << 1 | (flags & 2) >> 1 | (flags & 1 != 0 ? (flags & 4) << 1 : 0)
        return [first] + length(body.count) + body
    }

    /// Whether a list is whole: behind one that is cut libmosquitto reads on into the payload. Section 2.2.2.2 of MQTT 5.
    private static func hasKnownProperties(_ list: [UInt8]) -> Bool {
        var at = 0
        func text() -> Int { at + 2 < list.count ? 2 + Int(list[at + 1]) << 8 + Int(list[at + 2]) : list.count }
        while at < list.count {
            switch list[at] {
            case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A: at += 2
            case 0x13, 0x21, 0x22, 0x23: at += 3
            case 0x02, 0x11, 0x18, 0x27: at += 5
            case 0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F: at += 1 + text()
            case 0x26:
                at += text()
                at += 1 + text()
            case 0x0B:
                repeat { at += 1 } while at < list.count && list[at] & 128 != 0
                at += 1
            default: return false
            }
        }
        return at == list.count
    }

    /// A variable byte integer below 16,384.
    private static func length(_ count: Int) -> [UInt8] {
        count < 128 ? [UInt8(count)] : [UInt8(count & 127 | 128), UInt8(count >> 7 & 127)]
    }

    private func connect() throws {
        let handle = try MQTTHandle(options: client.options, context: Unmanaged.passUnretained(client).toOpaque())
        client.setCallbacks(handle)
        client.state.withLock { state in
            state.handle = handle
            state.refusing = false
        }
        guard handle.connect(client.options) == MOSQ_ERR_SUCCESS.code else {
            throw FuzzSetupError(description: "cannot connect to loopback")
        }
        peer = accept(listener, nil, nil)
        // A reset instead of a goodbye: else thousands of closed connections would use up the ports.
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        // Else what follows CONNACK waits 40 ms for its acknowledgement.
        var now: CInt = 1
        setsockopt(peer, CInt(IPPROTO_TCP), TCP_NODELAY, &now, socklen_t(MemoryLayout.size(ofValue: now)))
        send([0x20, 3, 0, 0, 0])
        self.handle = handle
        let start = ContinuousClock.now
        while !client.isConnected, start.duration(to: .now) < .seconds(10) {
            guard mosquitto_loop(handle.pointer, 100, 1) == MOSQ_ERR_SUCCESS.code else { break }
        }
        require(client.isConnected, "CONNACK is taken")
    }

    private func disconnect() {
        client.state.withLock { state in
            state.handle = nil
            state.connected = false
        }
        if peer >= 0 { close(peer) }
        peer = -1
        handle?.destroy()
        handle = nil
    }

    private func send(_ bytes: [UInt8]) {
        _ = Glibc.send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Throws the client's acknowledgements away.
    private func drain() {
        var bytes = [UInt8](repeating: 0, count: 256)
        while recv(peer, &bytes, bytes.count, Int32(MSG_DONTWAIT)) > 0 {}
    }
}
