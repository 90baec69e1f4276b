import Spool
import Transport

extension Outbox {
    /// Sends what waits while there is room. One thread at a time; others only leave a note for it.
    func pump() {
        let mine = state.withLock { state in
            if state.isPumping { state.pumpAgain = true }
            defer { state.isPumping = true }
            return !state.isPumping
        }
        guard mine else { return }
        repeat {
            if pumpRetained(), pumpOverflow() { pumpSpool() }
        } while state.withLock { state in
            defer { state.pumpAgain = false }
            if !state.pumpAgain { state.isPumping = false }
            return state.pumpAgain
        }
    }

    /// False when the transport takes no more.
    private func pumpRetained() -> Bool {
        while true {
            let next = state.withLock { state -> (String, [UInt8], UInt64)? in
                guard state.isConnected, let topic = state.retainedTopics.first(where: state.dirty.contains),
                    let payload = state.retained[topic]
                else { return nil }
                state.dirty.remove(topic)
                return (topic, payload, state.token(.retained))
            }
            guard let (topic, payload, token) = next else { return true }
            do {
                try transport.publish(MQTTMessage(topic: topic, payload: payload, qos: 1, retain: true), token: token)
            } catch {
                if case .tooLarge = error {
                    log.error("\(topic): \(error)", every: topic)
                    continue
                }
                state.withLock { _ = $0.dirty.insert(topic) }
                return false
            }
        }
    }

    /// False when the transport takes no more.
    private func pumpOverflow() -> Bool {
        while true {
            let next = state.withLock { state -> (UInt64, SpooledMessage)? in
                guard state.isConnected, state.room > 0, !state.overflow.isEmpty else { return nil }
                let message = state.overflow.removeFirst()
                let token = state.token(.direct)
                state.direct[token] = message
                return (token, message)
            }
            guard let next else { return true }
            guard publish([next]) else { return false }
        }
    }

    private func pumpSpool() {
        while true {
            let (epoch, cursor, room, reasons, look) = state.withLock { state in
                let room = state.isConnected && state.isBehind ? state.room : 0
                return (state.epoch, state.cursor, room, state.reasons, room > 0 ? state.settled.begin() : 0)
            }
            guard room > 0 else { return }
            defer { state.withLock { $0.settled.end(look) } }
            let page: [SpooledMessage]
            do {
                page = try spool.pendingMessages(after: cursor, limit: room)
            } catch {
                return log.error("results cannot be read from the spool: \(error)", every: "spool")
            }
            let toSend = state.withLock { state -> [SpooledMessage]? in
                guard state.epoch == epoch, state.cursor == cursor else { return nil }
                if page.count < room { state.catchUp(with: reasons) }
                state.cursor = page.last?.id ?? cursor
                let fresh = page.filter { !state.inFlight.contains($0.id) && !state.settled.contains($0.id) }
                state.inFlight.formUnion(fresh.map(\.id))
                return fresh
            }
            guard let toSend else { continue }
            guard publish(toSend.map { ($0.id, $0) }[...]) else { return }
        }
    }

    /// Hands results over in order; false when the transport takes no more now, and the rest is taken back.
    @discardableResult
    func publish(_ messages: ArraySlice<(token: UInt64, message: SpooledMessage)>) -> Bool {
        var rest = messages
        while let (token, message) = rest.first {
            do {
                try transport.publish(message.mqtt, token: token)
            } catch {
                switch error {
                case .notConnected, .busy:
                    takeBack(rest)
                    return false
                default:
                    log.error("a result cannot be published: \(error)", every: "publish")
                    published(token)
                }
            }
            rest = rest.dropFirst()
        }
        return true
    }

    private func takeBack(_ messages: ArraySlice<(token: UInt64, message: SpooledMessage)>) {
        let direct = state.withLock { state in
            var direct: [SpooledMessage] = []
            for (token, message) in messages {
                if state.direct.removeValue(forKey: token) != nil {
                    direct.append(message)
                } else if state.inFlight.remove(token) != nil {
                    // Read the spool again from here; what is in flight behind it is then skipped.
                    state.cursor = min(state.cursor, token - 1)
                    state.fallBehind()
                }
            }
            return direct
        }
        keep(direct)
    }
}

extension SpooledMessage {
    var mqtt: MQTTMessage {
        MQTTMessage(
            topic: topic, payload: payload, qos: qos, retain: retain, responseTopic: responseTopic,
            correlationData: correlationData, contentType: contentType, expirySeconds: expirySeconds)
    }
}
