import JSON
import Spool
import Synchronization

/// Turns what became of a job into messages: the task's result and state, and the reply to whoever asked.
final class OutcomePublisher: Sendable {
    private let device: String
    private let base: String
    private let outbox: Outbox
    private let log: DaemonLog
    private let latency: LatencyHistogram
    private let speed = Mutex(Speed())

    init(device: String, base: String, outbox: Outbox, latency: LatencyHistogram, log: DaemonLog) {
        self.device = device
        self.base = base
        self.outbox = outbox
        self.latency = latency
        self.log = log
    }

    /// Tokens a second of late; nil until measured.
    var speeds: (prefill: Double?, decode: Double?) { speed.withLock { ($0.prefill, $0.decode) } }

    /// A job that is not computed.
    func publish(_ job: Job, failure: EventFailure, waited milliseconds: Double = 0) {
        let outcome = Outcome(
            job: job, result: .failure(failure), queueMilliseconds: milliseconds, latencyMilliseconds: milliseconds)
        publish([outcome])
    }

    /// What was computed together: its events leave the spool in one transaction.
    func publish(_ outcomes: [Outcome]) {
        let payloads = outcomes.map { Envelope.bytes($0, device: device) }
        var results: [Outbox.ResultMessages] = []
        for (outcome, payload) in zip(outcomes, payloads) {
            note(outcome)
            if case .request = outcome.job.origin { continue }
            guard let task = outcome.job.task else { continue }
            let messages = messages(payload, of: outcome, task: task)
            results.append(Outbox.ResultMessages(messages: messages, keys: outcome.job.spooledKeys))
        }
        outbox.send(results)
        for (outcome, payload) in zip(outcomes, payloads) { tell(outcome, payload) }
    }

    /// All but the result itself.
    private func tell(_ outcome: Outcome, _ payload: [UInt8]) {
        let job = outcome.job
        if case .request = job.origin {
        } else if let task = job.task, let state = StateText.make(outcome) {
            outbox.retain("\(base)/task/\(task.name)/state", Array(state.utf8))
        }
        if let reply = job.reply, reply.isRequest { answer(reply, outcome: outcome, payload: payload) }
        write(outcome)
    }

    private func messages(_ payload: [UInt8], of outcome: Outcome, task: TaskSection) -> [SpooledMessage] {
        var messages = [
            SpooledMessage(
                topic: "\(base)/task/\(task.name)/result", payload: payload, qos: 1, retain: task.retain,
                contentType: "application/json")
        ]
        if let reply = outcome.job.reply, !reply.isRequest {
            messages.append(
                SpooledMessage(
                    topic: reply.topic, payload: payload, qos: 1, correlationData: reply.correlationData,
                    contentType: "application/json"))
        }
        return messages
    }

    private func answer(_ address: ReplyAddress, outcome: Outcome, payload: [UInt8]) {
        switch outcome.result {
        case .success:
            let data = (try? JSONValue(parsing: payload)) ?? .null
            outbox.reply(address, .success(data))
        case .failure(let failure): outbox.reply(address, .failure(RequestError(failure.description)))
        }
    }

    private func note(_ outcome: Outcome) {
        guard case .success(let answer) = outcome.result else { return }
        latency.record(milliseconds: outcome.latencyMilliseconds)
        speed.withLock { $0.add(answer.effort) }
    }

    /// One line an event. The payload's text is not logged: it is private, and the envelope has the topic and id.
    private func write(_ outcome: Outcome) {
        let job = outcome.job
        let name = job.task?.name ?? "request"
        let time = "\(rounded(outcome.latencyMilliseconds)) ms"
        switch outcome.result {
        case .success(.classification(let answer)):
            let verdict = Verdict(answer, task: job.task)
            log.info("\(name): \(verdict.label) (\(rounded(verdict.confidence * 100))%) in \(time) from \(job.topic)")
        case .success(.summary(let answer)):
            log.info("\(name): summary\(answer.grounded ? "" : " (not grounded)") in \(time) from \(job.topic)")
        case .success(.extraction(let answer)):
            log.info("\(name): extracted\(answer.isCut ? " (cut)" : "") in \(time) from \(job.topic)")
        case .success(.embedding(let answer)):
            log.info("\(name): embedded \(answer.effort.tokens.prompt) tokens in \(time)")
        case .success(.text(let answer)):
            log.info("\(name): \(answer.effort.tokens.generated) tokens in \(time)")
        case .failure(let failure):
            log.warning("\(name): \(failure) (\(job.topic))", task: job.task?.name, every: "failure \(name)")
        }
    }

    private func rounded(_ value: Double) -> String {
        var writer = JSONWriter()
        writer.number(value, decimals: 1)
        return writer.text
    }
}

/// Tokens a second, smoothed over the last answers.
struct Speed {
    private(set) var prefill: Double?
    private(set) var decode: Double?

    mutating func add(_ effort: Effort) {
        let computed = effort.tokens.prompt - effort.tokens.cached
        prefill = Self.smooth(prefill, tokens: computed, seconds: effort.prefillSeconds)
        decode = Self.smooth(decode, tokens: effort.tokens.generated, seconds: effort.decodeSeconds)
    }

    private static func smooth(_ old: Double?, tokens: Int, seconds: Double) -> Double? {
        guard tokens > 0, seconds > 0 else { return old }
        let now = Double(tokens) / seconds
        // A tenth of each new one: steady enough to read, quick enough to show a throttled clock.
        return old.map { $0 * 0.9 + now * 0.1 } ?? now
    }
}
