import Glibc

/// A flag another thread can wait for with a time limit.
///
/// A pipe, because poll(2) needs no pinned memory and measures its limit by the monotonic clock; a pthread condition
/// would need both.
final class PipeSignal: Sendable {
    private let readEnd: Int32
    private let writeEnd: Int32

    /// To be waited for together with others: readable while the flag is up.
    var descriptor: Int32 { readEnd }

    /// nil when the process has no file descriptors left.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        readEnd = ends[0]
        writeEnd = ends[1]
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Raises the flag; it stays up until `clear`.
    func set() {
        var byte: UInt8 = 1
        // A full pipe is a raised flag too.
        _ = write(writeEnd, &byte, 1)
    }

    func clear() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(readEnd, &bytes, bytes.count) > 0 {}
    }

    /// Waits until the flag is up; false when the time is over first.
    func wait(milliseconds: Int) -> Bool {
        let start = ContinuousClock.now
        var left = milliseconds
        while true {
            var request = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
            let count = poll(&request, 1, Int32(clamping: max(0, left)))
            if count > 0 { return true }
            left = milliseconds - start.duration(to: .now).inMilliseconds
            // A signal ends poll early with EINTR: wait for the rest.
            if count == 0 || left <= 0 { return false }
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded down; clamped so that no input traps.
    var inMilliseconds: Int {
        let (seconds, attoseconds) = components
        let whole = seconds.multipliedReportingOverflow(by: 1000)
        guard !whole.overflow else { return seconds < 0 ? Int.min : Int.max }
        return Int(clamping: whole.partialValue &+ attoseconds / 1_000_000_000_000_000)
    }
}
