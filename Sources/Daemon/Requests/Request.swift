import JSON
import Transport

/// Why a request is not answered: one sentence for the `error` of its reply.
struct RequestError: Error, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A message on `martlet/<device>/request/<verb>`.
struct Request {
    let verb: String
    /// The JSON object sent; empty when the payload is empty or plain text.
    let fields: JSONObject
    /// The payload when it is text and not a JSON object.
    let plain: String?
    /// Why it cannot be read, if so.
    let refusal: RequestError?
    let reply: ReplyAddress

    /// Nil unless `topic` is below `base/request/`, and for an answer that may go nowhere.
    init?(_ message: MQTTMessage, base: String, rules: ReplyRules) {
        let prefix = "\(base)/request/"
        guard message.topic.hasPrefix(prefix) else { return nil }
        verb = String(message.topic.dropFirst(prefix.count))
        // The verb becomes part of the answer's topic.
        guard verb.utf8.count <= ReplyRules.longestTopic else { return nil }
        // An answer that may not go where it is wanted goes nowhere else: nobody would listen there.
        guard message.responseTopic == nil || rules.reply(to: message) != nil else { return nil }
        refusal = Self.refusal(message)
        let payload = Payload(refusal == nil ? message.payload : [])
        fields = payload.json?.object ?? JSONObject()
        plain = payload.json?.object == nil && !payload.isEmpty ? payload.described : nil
        reply = ReplyAddress(
            topic: message.responseTopic ?? "\(base)/response/\(verb)", correlationData: message.correlationData,
            transaction: fields["transaction"], isRequest: true)
    }

    private static func refusal(_ message: MQTTMessage) -> RequestError? {
        // The broker hands it out again at every connection, and nobody waits for the answer. It is not even read: what
        // kills us would come again after every start.
        if message.retain { return RequestError("the request is retained. Send it without retain, and clear this one") }
        // A cut payload must not be taken for a shorter request.
        guard message.isTruncated else { return nil }
        return RequestError("\(EventFailure.oversize(bytes: message.originalSize, limit: message.payload.count))")
    }

    /// The same where a part would pass for the whole: refused, not cut, when it is too long.
    func wholeText() throws(RequestError) -> String {
        let text = try text(longest: .max)
        guard text.utf8.count <= EventText.longest * 4 else {
            throw RequestError("text is longer than 32 KiB. Send it in parts")
        }
        return text
    }

    /// The text to work on: `text`, or `payload` read as an event would be, or the whole message.
    func text(
        topic: String = "", template: EventTemplate? = nil, longest: Int = EventText.longest
    ) throws(RequestError) -> String {
        let payload: Payload
        switch (fields["payload"], fields["text"], plain) {
        case (.string(let text)?, _, _): payload = Payload(Array(text.utf8))
        case (let value?, _, _): payload = Payload(Array(value.text.utf8))
        case (nil, .string(let text)?, _):
            let cleaned = EventText.clean(text, longest: longest)
            guard !cleaned.isEmpty else { throw RequestError("text is empty") }
            return cleaned
        case (nil, nil, let text?): payload = Payload(Array(text.utf8))
        default: throw RequestError("text is missing: send {\"text\": \"…\"}")
        }
        do {
            return try EventText.make(topic: topic, payload: payload, template: template, longest: longest)
        } catch {
            throw RequestError(error.description)
        }
    }

    func string(_ key: String) throws(RequestError) -> String? {
        guard let value = fields[key], value != .null else { return nil }
        guard let text = value.string else { throw RequestError("\(key) must be a string") }
        return text
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(RequestError) -> Int? {
        guard let value = fields[key], value != .null else { return nil }
        guard let number = value.integer, range.contains(number) else {
            throw RequestError("\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func number(_ key: String, in range: ClosedRange<Double>) throws(RequestError) -> Double? {
        guard let value = fields[key], value != .null else { return nil }
        guard let number = value.double, range.contains(number) else {
            throw RequestError("\(key) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}

extension Outbox {
    /// `{"status","data"|"error","transaction"}` to whoever asked; lost when the broker is away, like the asker.
    func reply(_ address: ReplyAddress, _ result: Result<JSONValue, RequestError>) {
        let payload = JSONWriter.bytes { json in
            switch result {
            case .success(let data):
                json.member("status", "ok")
                json.member("data", data)
            case .failure(let error):
                json.member("status", "error")
                json.member("error", error.description)
            }
            if let transaction = address.transaction { json.member("transaction", transaction) }
        }
        sendTransient(
            MQTTMessage(
                topic: address.topic, payload: payload, qos: 1, correlationData: address.correlationData,
                contentType: "application/json"))
    }
}
