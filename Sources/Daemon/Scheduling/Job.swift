import JSON
import Linux
import Spool

/// Where an answer is to go besides the task's own topic.
public struct ReplyAddress: Sendable, Equatable {
    /// MQTT 5 response topic, or the verb's `response/` topic.
    var topic: String
    /// MQTT 5 correlation data, returned as it came.
    var correlationData: [UInt8]?
    /// The `transaction` of a JSON request, returned as it came.
    var transaction: JSONValue?
    /// Whether a reply to a request is expected, with `status` and `data`, or the plain envelope of an event.
    var isRequest = false

    var bytes: Int { topic.utf8.count + (correlationData?.count ?? 0) + (transaction?.text.utf8.count ?? 0) }
}

/// One thing for the engine to do, and all that is needed to publish its answer.
public struct Job: Sendable {
    public enum Work: Sendable {
        case classify(String, ClassifierSpec)
        case summarize(ClosedWindow, SummarySpec)
        case extract(String, ExtractSpec)
        case generate(GenerationSpec)
        case embed(String, model: String)
    }

    /// What asked for it.
    enum Origin: Sendable {
        /// An MQTT message for a task; `spooled` when its event waits in the spool for the result.
        case event(spooled: Bool)
        /// The end of a summary's window.
        case window
        /// A message on `request/<verb>`: only the requester gets the answer.
        case request
    }

    /// ULID; the same after a restart.
    var id: String
    /// The task as it was configured when the event came; nil for requests without one.
    var task: TaskSection?
    var topic: String
    var received: Timestamp
    /// Monotonic nanoseconds at which it was ready to compute.
    var ready: UInt64
    /// Monotonic nanoseconds.
    var deadline: UInt64?
    /// 0…9.
    var priority: Int
    var origin: Origin
    var reply: ReplyAddress?
    var work: Work
    /// The process died over it before: it is computed by itself, so that no other event dies with it.
    var isSuspect = false

    /// Events that wait in the spool for this job's answer.
    var spooledKeys: [SpooledEvent.Key] {
        if case .summarize(let window, _) = work { return window.keys }
        guard case .event(spooled: true) = origin, let task else { return [] }
        return [SpooledEvent.Key(id: id, task: task.name)]
    }

    /// What it holds in memory while it waits, roughly.
    ///
    /// With what came in a request beside the text: a thousand requests may each bring a prompt or a transaction of
    /// `max_payload`. What a task configures is there once for all its jobs.
    var bytes: Int {
        let overhead = 512 + topic.utf8.count + (reply?.bytes ?? 0)
        let isOwn = task == nil
        switch work {
        case .classify(let text, let spec):
            let labels = isOwn ? spec.labels.reduce(spec.prompt?.utf8.count ?? 0) { $0 + $1.utf8.count + 16 } : 0
            return overhead + text.utf8.count + labels
        case .summarize(let window, let spec):
            return overhead + window.bytes + (isOwn ? spec.prompt?.utf8.count ?? 0 : 0)
        case .extract(let text, let spec):
            return overhead + text.utf8.count + (isOwn ? spec.schema.utf8.count + (spec.prompt?.utf8.count ?? 0) : 0)
        case .generate(let spec): return overhead + spec.prompt.utf8.count
        case .embed(let text, _): return overhead + text.utf8.count
        }
    }

    var model: String {
        switch work {
        case .classify(_, let spec): spec.model
        case .summarize(_, let spec): spec.model
        case .extract(_, let spec): spec.model
        case .generate(let spec): spec.model
        case .embed(_, let model): model
        }
    }
}
