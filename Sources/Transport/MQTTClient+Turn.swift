import CMosquitto
import Glibc

/// The other side sends no more. Glibc's header hides it from Swift; the same on all architectures we run on.
private let POLLRDHUP: Int32 = 0x2000

extension MQTTClient {
    /// Messages that are taken up before they are stored together; a broker may have `receiveMaximum` on their way.
    static let mostTogether = 64
    /// Bytes of them, after which they are stored at once.
    static let mostBytesTogether = 256 << 10
    /// Bytes that a message is counted for beside its topic and payload, so that empty ones cannot pile up.
    static let messageOverhead = 256

    /// One turn of the network: waits, reads what has arrived, has it stored, and only then writes.
    ///
    /// In place of `mosquitto_loop`, which may write an acknowledgement in the call that read its message: messages
    /// that arrived together could not be stored together then, and every one would cost a write to the card. And it
    /// writes to a connection that the broker has closed before reading what the broker said last: acknowledgements of
    /// results above all, which would be published again.
    ///
    /// Returns a code of libmosquitto; `errno` is the one that belongs to it.
    func turn(_ handle: MQTTHandle, milliseconds: Int) -> Int32 {
        guard let ready = wait(handle, milliseconds: milliseconds) else { return MOSQ_ERR_NO_CONN.code }
        guard ready else { return write(handle) }
        let code = read(handle)
        let failure = errno
        // Also when reading failed: what was read is here, and stored it need not come again.
        let isStored = pause()
        defer {
            // The caller's, who says it as the reason of a failure.
            let failure = errno
            acknowledgementsLeft()
            errno = failure
        }
        errno = failure
        guard code == MOSQ_ERR_SUCCESS.code, isStored else { return code }
        return write(handle)
    }

    private func write(_ handle: MQTTHandle) -> Int32 {
        if mosquitto_want_write(handle.pointer), !hasEnded(handle) {
            let code = mosquitto_loop_write(handle.pointer, 1)
            guard code == MOSQ_ERR_SUCCESS.code else { return code }
        }
        return mosquitto_loop_misc(handle.pointer)
    }

    /// Whether there is something to read; nil when the connection is gone.
    private func wait(_ handle: MQTTHandle, milliseconds: Int) -> Bool? {
        let socket = mosquitto_socket(handle.pointer)
        guard socket >= 0 else { return nil }
        let wanted = mosquitto_want_write(handle.pointer) ? POLLIN | POLLOUT : POLLIN
        var requests = [
            pollfd(fd: socket, events: Int16(wanted), revents: 0),
            pollfd(fd: work.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        // A signal is no reason to end: the next turn waits again.
        let count = poll(&requests, 2, Int32(clamping: milliseconds))
        guard count >= 0 || errno == EINTR else { return nil }
        guard count > 0 else { return false }
        if requests[1].revents != 0 { work.clear() }
        let events = Int32(requests[0].revents)
        return events & (POLLIN | POLLHUP | POLLERR | POLLNVAL) != 0
    }

    /// Reads packets as long as there are any.
    private func read(_ handle: MQTTHandle) -> Int32 {
        for _ in 0..<Self.mostTogether {
            // Reads one packet, or more when several are unacknowledged; never waits.
            let code = mosquitto_loop_read(handle.pointer, 1)
            let failure = errno
            guard code == MOSQ_ERR_SUCCESS.code, !state.withLock({ $0.refusing }) else {
                errno = failure
                return code
            }
            let socket = mosquitto_socket(handle.pointer)
            guard socket >= 0, isReadable(socket) else { break }
        }
        return MOSQ_ERR_SUCCESS.code
    }

    private func isReadable(_ socket: Int32) -> Bool {
        var request = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, 0) > 0
    }

    /// Whether the broker has closed the connection: then there may be something to read, and writing would only fail
    /// before it is read.
    private func hasEnded(_ handle: MQTTHandle) -> Bool {
        var request = pollfd(fd: mosquitto_socket(handle.pointer), events: Int16(POLLRDHUP), revents: 0)
        return poll(&request, 1, 0) > 0 && Int32(request.revents) & (POLLRDHUP | POLLHUP | POLLERR) != 0
    }
}
