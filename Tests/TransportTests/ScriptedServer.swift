import Dispatch
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// Accepts connections, answers the first packet of each with the same bytes, and closes it.
final class ScriptedServer: Sendable {
    let port: Int
    private let descriptor: Int32
    private let scripts: [[Step]]
    private let accepted = Mutex(0)
    var connections: Int { accepted.withLock { $0 } }

    /// What is sent when a packet of a kind has come, as its number (1: CONNECT, 3: PUBLISH), made of that packet.
    struct Step: Sendable {
        let after: UInt8
        let answer: @Sendable ([UInt8]) -> [UInt8]
    }

    /// The same answer to the CONNECT of every connection, which the client ends.
    convenience init(_ answer: [UInt8]) throws { try self.init([[Step(after: 1) { _ in answer }]]) }

    /// One script for each connection; all but the last are ended when theirs is done.
    init(_ scripts: [[Step]]) throws {
        self.scripts = scripts
        port = try #require(PrivateBroker.freePort())
        descriptor = try SilentServer.listener(port)
        DispatchQueue.global().async { [descriptor, weak self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                // The listener is shut down when the server goes.
                guard connection >= 0 else { break }
                self?.serve(connection)
                close(connection)
            }
            close(descriptor)
        }
    }

    deinit { shutdown(descriptor, Int32(SHUT_RDWR)) }

    private func serve(_ connection: Int32) {
        let number = accepted.withLock { accepted in
            defer { accepted += 1 }
            return accepted
        }
        var bytes: [UInt8] = []
        for step in scripts[min(number, scripts.count - 1)] {
            guard let packet = next(step.after, connection, &bytes) else { return }
            let answer = step.answer(packet)
            _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
        }
        guard number >= scripts.count - 1 else { return }
        // Until the client leaves: a close with unread bytes would reset the connection and take the answer with it.
        var packet = [UInt8](repeating: 0, count: 4096)
        var wait = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
        while poll(&wait, 1, 2000) > 0, read(connection, &packet, packet.count) > 0 {}
    }

    /// The next packet of this kind; others are passed over. Packets are shorter than 128 bytes but CONNECT, which is
    /// taken as it comes.
    private func next(_ kind: UInt8, _ connection: Int32, _ bytes: inout [UInt8]) -> [UInt8]? {
        while true {
            while bytes.count >= 2, bytes.count >= 2 + Int(bytes[1]) || bytes[0] >> 4 == 1 {
                let packet = bytes[0] >> 4 == 1 ? bytes : Array(bytes.prefix(2 + Int(bytes[1])))
                bytes.removeFirst(packet.count)
                if packet[0] >> 4 == kind { return packet }
            }
            var more = [UInt8](repeating: 0, count: 4096)
            let count = read(connection, &more, more.count)
            guard count > 0 else { return nil }
            bytes += more.prefix(count)
        }
    }
}
