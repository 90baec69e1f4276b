import Glibc
import Linux

extension Daemon {
    /// How long a stop may take: systemd kills after TimeoutStopSec, 90 s by default.
    public struct StopLimits: Sendable {
        /// For what is queued. What is not answered by then stays in the spool or gets a failure.
        public var drain: Duration = .seconds(5)
        /// For the answer being computed.
        public var engine: Duration = .seconds(3)
        /// For results and the farewell to reach the broker.
        public var publish: Duration = .seconds(2)

        public init() {}
    }

    /// Stops in the reverse order of the way a message takes: no more in, answer what waits, send it, say goodbye.
    ///
    /// Blocks; call it once, and not on Swift's cooperative threads.
    public func stop(_ limits: StopLimits = StopLimits()) {
        parts.notifier.stopping()
        log.notice("stopping")
        intake.close()
        wait(atMost: limits.drain) { scheduler.isIdle }
        let left = scheduler.stop()
        if !engine.stop(within: limits.engine) { log.warning("the engine is left computing") }
        abandon(left)
        outbox.retain("\(base)/status", Array("offline".utf8))
        outbox.pump()
        wait(atMost: limits.publish) { outbox.isEmpty || !parts.transport.isConnected }
        parts.transport.stop(drainFor: limits.publish)
        // What went out without an acknowledgement is spooled for the next start.
        outbox.stop()
        outbox.removeAcknowledged()
        parts.spool.close()
        // Not a death, also where the engine was left computing.
        for place in [WorkLedger.Place.intake, .engine] { parts.ledger?.end(at: place) }
        log.notice("stopped")
    }

    /// Spooled events are taken up by the next run; for the others this is the last chance of an envelope.
    private func abandon(_ jobs: [Job]) {
        for job in jobs where job.spooledKeys.isEmpty { publisher.publish(job, failure: .stopped) }
        for window in windows.removeAll() where window.keys.isEmpty {
            publisher.publish(intake.job(of: window), failure: .stopped)
        }
    }

    private func wait(atMost limit: Duration, until isDone: () -> Bool) {
        let deadline = monotonicNanoseconds() &+ limit.nanoseconds  // cannot wrap: limits are seconds
        while !isDone(), monotonicNanoseconds() < deadline { usleep(10_000) }
    }
}
