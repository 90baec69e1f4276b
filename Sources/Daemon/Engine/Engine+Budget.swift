import Glibc
import Health
import Linux

extension Engine {
    /// Rests as long as the governor asks for after `work` nanoseconds of computing. On the engine thread only.
    func rest(after work: UInt64) {
        if let budget { sleep(nanoseconds: budget.rest(after: work)) }
    }

    /// Paused means heat far above the limit: jobs wait, or expire, until it has cooled down.
    func waitWhilePaused() {
        while self.budget?.level == .paused, !isCancelled { sleep(nanoseconds: 250_000_000) }
    }

    /// In pieces, so that a stop is not held up.
    private func sleep(nanoseconds: UInt64) {
        var left = nanoseconds
        while left > 0, !isCancelled {
            let piece = min(left, 250_000_000)
            usleep(UInt32(piece / 1000))
            left -= piece
        }
    }
}
