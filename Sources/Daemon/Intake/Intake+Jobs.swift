import Linux
import Transport

// What events and windows become on their way to the engine.
extension Intake {
    /// The summary of a window, to be computed.
    func job(of window: ClosedWindow, reply: ReplyAddress? = nil) -> Job {
        Job(
            id: window.id, task: window.task, topic: window.topic, received: window.end, ready: time.monotonic(),
            deadline: deadline(of: window.task, received: time.wall()), priority: window.task.priority,
            origin: .window, reply: reply, work: .summarize(window, window.task.summarySpec))
    }

    func job(of event: Event, for task: TaskSection, isSpooled: Bool) -> Job {
        Job(
            id: event.id, task: task, topic: event.topic, received: event.received, ready: time.monotonic(),
            deadline: deadline(of: task, received: event.received), priority: task.priority,
            origin: .event(spooled: isSpooled), reply: event.reply, work: task.work(""))
    }

    /// On the monotonic clock, so that a wall clock set forward at start-up does not expire everything.
    private func deadline(of task: TaskSection, received: Timestamp) -> UInt64? {
        guard let limit = task.deadline else { return nil }
        let age = max(0, time.wall().milliseconds - received.milliseconds)
        let left = max(0, limit.milliseconds - age)
        return time.monotonic() &+ Duration.milliseconds(left).nanoseconds  // cannot wrap: the cap is a day
    }
}
