import CMosquitto
import Glibc
import Linux

// libmosquitto calls these on the network thread only, inside `mosquitto_loop`; the log callback also on a thread that
// publishes. `context` is the MQTTClient, alive because that thread holds it (see MQTTClient+Thread.swift).
extension MQTTClient {
    private static func client(_ context: UnsafeMutableRawPointer?) -> MQTTClient? {
        context.map { Unmanaged<MQTTClient>.fromOpaque($0).takeUnretainedValue() }
    }

    func setCallbacks(_ handle: MQTTHandle) {
        mosquitto_connect_v5_callback_set(handle.pointer) { _, context, code, flags, properties in
            let reference = code == 0 ? nil : MQTTClient.string(MQTT_PROP_SERVER_REFERENCE, properties)
            MQTTClient.client(context)?.connackReceived(
                code: code, sessionPresent: flags & 1 != 0, reference: reference)
        }
        mosquitto_disconnect_v5_callback_set(handle.pointer) { _, context, code, properties in
            // 128 and above is the broker's reason from its DISCONNECT packet; below are libmosquitto's own codes.
            guard code >= 128, let client = MQTTClient.client(context) else { return }
            let reference = MQTTClient.string(MQTT_PROP_SERVER_REFERENCE, properties)
            client.noteEnd { MQTTReason.disconnection(code, options: $0, reference: reference) }
        }
        mosquitto_message_v5_callback_set(handle.pointer) { _, context, message, properties in
            if let message { MQTTClient.client(context)?.messageReceived(message.pointee, properties) }
        }
        mosquitto_publish_v5_callback_set(handle.pointer) { _, context, id, code, _ in
            MQTTClient.client(context)?.acknowledged(id: id, code: code)
        }
        mosquitto_subscribe_v5_callback_set(handle.pointer) { _, context, id, count, codes, _ in
            guard let codes, count > 0 else { return }
            MQTTClient.client(context)?.subscribed(id: id, code: codes[0])
        }
        mosquitto_log_callback_set(handle.pointer) { handle, context, level, text in
            if let text { MQTTClient.client(context)?.logged(level: level, text, handle) }
        }
    }

    /// May be called under `state`'s lock, by a thread that publishes: takes its own locks only.
    private func logged(level: Int32, _ text: UnsafePointer<CChar>, _ handle: OpaquePointer?) {
        if level == MOSQ_LOG_ERR {
            guard let failure = TLSFailure(String(cString: text), of: handle) else { return }
            // The first error is the cause, later ones its consequences.
            tlsFailure.withLock { $0 = $0 ?? failure }
        } else if level == MOSQ_LOG_DEBUG, strstr(text, " received PUBLISH (d") != nil {
            // mosquitto_message lacks the DUP flag; the line that libmosquitto logs right before the callback has it:
            // "Client x received PUBLISH (d1, q1, r0, m5, 'topic', ... (3 bytes))". The topic comes behind it, the
            // client id before it, and that is ours. Should the text change, a repeated message counts as new.
            redelivery.store(strstr(text, " received PUBLISH (d1,") != nil, ordering: .relaxed)
        }
    }

    private func noteEnd(_ problem: (MQTTOptions) -> ConnectionProblem) {
        state.withLock { $0.endReason = $0.endReason ?? problem($0.way) }
    }

    private func connackReceived(code: Int32, sessionPresent: Bool, reference: String?) {
        guard code == 0 else {
            return noteEnd { MQTTReason.refusal(code, options: $0, reference: reference) }
        }
        state.withLock { state in
            guard !state.stopping else { return }
            state.connected = true
            // `renew` came while this connection was being made the old way.
            if state.used != UsedWay(state.way) { state.renewing = monotonicNanoseconds() }
            if !sessionPresent { state.delivered.forgetAll() }
            state.deliveredBefore = state.delivered.count
            state.connections += 1
            state.counters.reconnects = state.connections - 1
            var wanted = state.subscriptions.values.sorted { $0.filter < $1.filter }
            if options.protocolVersion == .v311, sessionPresent {
                // 3.1.1 sends every retained message again at each SUBSCRIBE, so ask only for what the session lacks.
                wanted.removeAll { state.granted.contains($0.filter) }
            }
            send(wanted, &state)
        }
        report(.connected(sessionPresent: sessionPresent))
    }

    private func subscribed(id: Int32, code: Int32) {
        let refused = state.withLock { state -> String? in
            guard let filter = state.subscribing.removeValue(forKey: id) else { return nil }
            if code < 128 {
                state.granted.insert(filter)
                return nil
            }
            state.granted.remove(filter)
            return filter
        }
        if let refused { report(.subscriptionRefused(filter: refused, reason: MQTTReason.reason(code))) }
    }

    private func acknowledged(id: Int32, code: Int32) {
        let token = state.withLock { state -> UInt64? in
            guard let item = state.outstanding.removeValue(forKey: id) else { return nil }
            state.outstandingBytes -= item.bytes
            // Not those of earlier connections, whose acknowledgements may have been lost.
            if item.deliveries > state.deliveredBefore {
                state.confirm(state.deliveredBefore + 1...item.deliveries)
            }
            if code < 128 { state.counters.published += 1 }
            return item.token
        }
        guard let token else { return }
        report(code < 128 ? .published(token: token) : .publishRefused(token: token, reason: MQTTReason.reason(code)))
        drained.set()
    }

    /// Runs between the broker's PUBLISH and our PUBACK: libmosquitto has queued PUBACK, and writes it only when this
    /// has returned (see MQTTHandle.configure). Breaking the connection here therefore keeps it from leaving.
    private func messageReceived(_ message: mosquitto_message, _ properties: OpaquePointer?) {
        let copy = Self.copy(message, properties, maxPayload: options.maxPayload)
        let mark = DeliveryMark(copy)
        let isRedelivery = redelivery.load(ordering: .relaxed)
        let (handler, known) = state.withLock { state -> ((@Sendable (MQTTMessage) -> Acceptance)?, Bool) in
            guard !state.refusing else { return (nil, false) }
            guard !isRedelivery || !state.delivered.contains(mark) else {
                state.counters.duplicates += 1
                // Acknowledged in this connection now.
                state.delivered.remember(mark)
                return (nil, true)
            }
            if message.qos > 0, !isRedelivery {
                if state.delivered.holds(copy.packetID) { state.reusesPacketIDs = true }
                // A broker repeats first what it has no acknowledgement of; behind this come no repetitions.
                state.confirm(0...state.deliveredBefore)
                state.deliveredBefore = 0
            }
            state.counters.received += 1
            return (state.onMessage, false)
        }
        guard !known else { return }
        let acceptance = handler?(copy) ?? .refused
        let isMuch = state.withLock { state in
            // The handler collects those of QoS 0 as well.
            state.unstoredBytes += copy.payload.count + copy.topic.utf8.count + Self.messageOverhead
            guard message.qos > 0 else { return state.unstoredBytes >= Self.mostBytesTogether }
            guard acceptance == .accepted else {
                if handler != nil { state.counters.refused += 1 }
                refuse(&state)
                return false
            }
            state.unstored.append(mark)
            return state.unstoredBytes >= Self.mostBytesTogether
        }
        // Before the turn's end: what the handler collects is memory.
        if isMuch, pause() { acknowledgementsLeft() }
    }

    /// Nothing is taken from this connection any more, and no acknowledgement leaves.
    private func refuse(_ state: inout State) {
        state.refusing = true
        state.endReason = ConnectionProblem(.local, "a message could not be stored; the broker sends it again")
        state.handle?.breakConnection()
    }

    /// What was stored may now be worked on. The acknowledgements have left by then, but after a failure, and where
    /// much arrives at once: those leave at the turn's end.
    func acknowledgementsLeft() {
        let handler = state.withLock { $0.onAcknowledged }
        handler?()
    }

    /// Has the messages since the last pause stored; false when they could not be, which ends the connection.
    func pause() -> Bool {
        let handler = state.withLock { $0.onPause }
        // Also without messages of QoS 1: the handler may have collected others.
        let acceptance = handler?() ?? .refused
        return state.withLock { state in
            defer {
                state.unstored.removeAll(keepingCapacity: true)
                state.unstoredBytes = 0
            }
            guard !state.unstored.isEmpty else { return !state.refusing }
            if acceptance == .accepted {
                for mark in state.unstored { state.delivered.remember(mark) }
                return !state.refusing
            }
            state.counters.refused += state.unstored.count
            refuse(&state)
            return false
        }
    }

    /// Copies out of libmosquitto's buffers, which it frees after the callback.
    private static func copy(
        _ message: mosquitto_message, _ properties: OpaquePointer?, maxPayload: Int
    ) -> MQTTMessage {
        let size = max(0, Int(message.payloadlen))
        let payload = [UInt8](UnsafeRawBufferPointer(start: message.payload, count: min(size, maxPayload)))
        // MQTT's strings and binary data have two-byte lengths, so none of these is longer than 65,535 bytes.
        var copy = MQTTMessage(
            topic: message.topic.map { String(cString: $0) } ?? "", payload: payload, qos: Int(message.qos),
            retain: message.retain, responseTopic: string(MQTT_PROP_RESPONSE_TOPIC, properties),
            correlationData: binary(MQTT_PROP_CORRELATION_DATA, properties),
            contentType: string(MQTT_PROP_CONTENT_TYPE, properties),
            expirySeconds: number(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, properties), originalSize: size)
        copy.packetID = message.qos > 0 ? UInt16(truncatingIfNeeded: message.mid) : 0
        return copy
    }

    static func string(_ property: mqtt5_property, _ list: OpaquePointer?) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        // The value is a copy made with malloc.
        guard mosquitto_property_read_string(list, Int32(property.rawValue), &text, false) != nil, let text else {
            return nil
        }
        defer { free(text) }
        return String(cString: text)
    }

    private static func binary(_ property: mqtt5_property, _ list: OpaquePointer?) -> [UInt8]? {
        var bytes: UnsafeMutableRawPointer?
        var count: UInt16 = 0
        guard mosquitto_property_read_binary(list, Int32(property.rawValue), &bytes, &count, false) != nil else {
            return nil
        }
        defer { free(bytes) }
        return [UInt8](UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(count)))
    }

    private static func number(_ property: mqtt5_property, _ list: OpaquePointer?) -> UInt32? {
        var value: UInt32 = 0
        let found = mosquitto_property_read_int32(list, Int32(property.rawValue), &value, false) != nil
        return found ? value : nil
    }
}
