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
    private let answer: [UInt8]
    private let accepted = Mutex(0)
    var connections: Int { accepted.withLock { $0 } }

    init(_ answer: [UInt8]) throws {
        self.answer = answer
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
        accepted.withLock { $0 += 1 }
        var packet = [UInt8](repeating: 0, count: 4096)
        guard read(connection, &packet, packet.count) > 0 else { return }
        _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
        // Until the client leaves: a close with unread bytes would reset the connection and take the answer with it.
        var wait = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
        while poll(&wait, 1, 2000) > 0, read(connection, &packet, packet.count) > 0 {}
    }
}
