import CMosquitto
import Glibc

/// One libmosquitto client, used for one connection only.
///
/// libmosquitto's own reconnecting keeps unacknowledged messages in memory without limit and sends them again behind
/// our back; a fresh handle per connection forgets them, so that the spool alone decides what is sent again. Packet ids
/// start over with it, which MQTT allows for QoS 1 (a broker keeps no state of it) but not for QoS 2.
///
/// Ownership: whoever makes it calls `destroy` once, after the last use on any thread.
struct MQTTHandle: @unchecked Sendable {  // libmosquitto locks inside; destroy is kept apart by MQTTClient's mutex.
    let pointer: OpaquePointer

    /// Initialised once for the process; never cleaned up, because other threads may still be in OpenSSL at exit.
    private static let library: Int32 = mosquitto_lib_init()

    /// Makes and configures a handle. `context` is handed to every callback.
    init(options: MQTTOptions, context: UnsafeMutableRawPointer) throws(TransportError) {
        guard Self.library == MOSQ_ERR_SUCCESS.code else { throw .system("libmosquitto does not start. Reinstall it") }
        guard let pointer = mosquitto_new(options.clientID, options.cleanStart, context) else {
            throw .system("libmosquitto made no client: \(String(cString: strerror(errno)))")
        }
        self.pointer = pointer
        do {
            try configure(options)
        } catch {
            destroy()
            throw error
        }
    }

    func destroy() { mosquitto_destroy(pointer) }

    private func configure(_ options: MQTTOptions) throws(TransportError) {
        // Threaded: packets made by any thread, also PUBACK, are only queued, and written by `mosquitto_loop` on the
        // network thread after the callback returned. Unthreaded, libmosquitto 2.0 and 2.1 write PUBACK *before* the
        // message callback (lib/handle_publish.c: send__puback, then on_message; lib/packet_mosq.c: packet__queue).
        try check(mosquitto_threaded_set(pointer, true), "threads")
        let version = options.protocolVersion == .v5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311
        try check(mosquitto_int_option(pointer, MOSQ_OPT_PROTOCOL_VERSION, version), "protocol version")
        try check(mosquitto_int_option(pointer, MOSQ_OPT_TCP_NODELAY, 1), "TCP_NODELAY")
        if options.protocolVersion == .v5 {
            let maximum = Int32(max(1, options.receiveMaximum))
            try check(mosquitto_int_option(pointer, MOSQ_OPT_RECEIVE_MAXIMUM, maximum), "receive maximum")
        }
        if options.username != nil || options.password != nil {
            try check(mosquitto_username_pw_set(pointer, options.username, options.password), "user name")
        }
        if let will = options.will {
            let code = mosquitto_will_set_v5(
                pointer, will.topic, Int32(clamping: will.payload.count), will.payload, Int32(min(1, max(0, will.qos))),
                will.retain, nil)
            try check(code, "last will")
        }
        if let tls = options.tls { try configure(tls) }
    }

    private func configure(_ tls: MQTTOptions.TLS) throws(TransportError) {
        for file in [tls.caFile, tls.certFile, tls.keyFile].compactMap({ $0 }) where access(file, R_OK) != 0 {
            throw .options("cannot read \(file): \(String(cString: strerror(errno))). Check the file for TLS")
        }
        if let caFile = tls.caFile {
            try check(mosquitto_tls_set(pointer, caFile, nil, tls.certFile, tls.keyFile, nil), "TLS files")
        } else {
            try check(mosquitto_int_option(pointer, MOSQ_OPT_TLS_USE_OS_CERTS, 1), "the system's certificates")
            if tls.certFile != nil {
                // mosquitto_tls_set wants an authority; the folder is where OpenSSL looks on Debian anyway.
                let code = mosquitto_tls_set(pointer, nil, "/etc/ssl/certs", tls.certFile, tls.keyFile, nil)
                try check(code, "TLS files")
            }
        }
        // libmosquitto takes this for the oldest version, and 1.2 when nothing is said.
        if tls.oldest == .v13 {
            // 1: the broker's certificate is checked, as by default.
            try check(mosquitto_tls_opts_set(pointer, 1, "tlsv1.3", nil), "TLS version")
        }
        if tls.insecure { try check(mosquitto_tls_insecure_set(pointer, true), "TLS host name check") }
    }

    private func check(_ code: Int32, _ what: String) throws(TransportError) {
        guard code != MOSQ_ERR_SUCCESS.code else { return }
        throw .options("libmosquitto does not take the \(what): \(String(cString: mosquitto_strerror(code)))")
    }

    /// Resolves the host, connects and queues CONNECT; blocks until TCP is connected or failed.
    func connect(_ options: MQTTOptions) -> Int32 {
        var properties = PropertyList()
        defer { properties.free() }
        if options.protocolVersion == .v5 {
            properties.add(MQTT_PROP_SESSION_EXPIRY_INTERVAL, options.cleanStart ? 0 : options.sessionExpirySeconds)
            properties.add(MQTT_PROP_MAXIMUM_PACKET_SIZE, max(1024, options.maxPacket))
        }
        return mosquitto_connect_bind_v5(
            pointer, options.host, Int32(options.port), Int32(options.keepAlive), nil, properties.list)
    }

    /// Queues a message. Returns libmosquitto's code and the packet id.
    func publish(_ message: MQTTMessage, version: MQTTOptions.ProtocolVersion) -> (code: Int32, id: Int32) {
        var properties = PropertyList()
        defer { properties.free() }
        if version == .v5 {
            if let text = message.contentType { properties.add(MQTT_PROP_CONTENT_TYPE, text) }
            if let text = message.responseTopic { properties.add(MQTT_PROP_RESPONSE_TOPIC, text) }
            if let bytes = message.correlationData { properties.add(MQTT_PROP_CORRELATION_DATA, bytes) }
            if let seconds = message.expirySeconds { properties.add(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, seconds) }
        }
        guard properties.error == MOSQ_ERR_SUCCESS.code else { return (properties.error, 0) }
        guard let size = Int32(exactly: message.payload.count) else { return (MOSQ_ERR_PAYLOAD_SIZE.code, 0) }
        var id: Int32 = 0
        let code = mosquitto_publish_v5(
            pointer, &id, message.topic, size, message.payload, Int32(min(1, max(0, message.qos))), message.retain,
            properties.list)
        return (code, id)
    }

    /// Queues SUBSCRIBE and returns its packet id, nil when it was not queued.
    func subscribe(_ subscription: MQTTSubscription, version: MQTTOptions.ProtocolVersion) -> Int32? {
        // With a session the broker has the subscription already: retained messages must not come again.
        let options = version == .v5 ? Int32(MQTT_SUB_OPT_SEND_RETAIN_NEW.rawValue) : 0
        var id: Int32 = 0
        let qos = Int32(min(1, max(0, subscription.qos)))
        let code = mosquitto_subscribe_v5(pointer, &id, subscription.filter, qos, options, nil)
        return code == MOSQ_ERR_SUCCESS.code ? id : nil
    }

    func unsubscribe(_ filter: String) { mosquitto_unsubscribe(pointer, nil, filter) }

    /// A second descriptor of the connection, which outlives libmosquitto's; negative when there is none.
    func duplicateSocket() -> Int32 { fcntl(mosquitto_socket(pointer), F_DUPFD_CLOEXEC, 0) }

    /// Closes the connection of `duplicateSocket`, and lets the kernel forget what it has not sent.
    ///
    /// Otherwise it would go on sending the results of a connection that a cut network ended when the network is back,
    /// and the broker would have them twice. Not set from the start: when this process is killed, what it has handed
    /// to the kernel shall leave, acknowledgements above all.
    static func abandon(_ socket: Int32) {
        guard socket >= 0 else { return }
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(socket)
    }

    /// Makes the socket unusable at once, so that nothing queued, acknowledgements above all, leaves any more.
    func breakConnection() { shutdown(mosquitto_socket(pointer), Int32(SHUT_RDWR)) }
}

/// An MQTT 5 property list being built; `free` must be called.
struct PropertyList {
    private(set) var list: OpaquePointer?
    /// The first failure of libmosquitto while adding, for example a string that is not UTF-8.
    private(set) var error = MOSQ_ERR_SUCCESS.code

    mutating func free() { mosquitto_property_free_all(&list) }

    mutating func add(_ property: mqtt5_property, _ value: UInt32) {
        note(mosquitto_property_add_int32(&list, Int32(property.rawValue), value))
    }

    mutating func add(_ property: mqtt5_property, _ value: String) {
        note(mosquitto_property_add_string(&list, Int32(property.rawValue), value))
    }

    mutating func add(_ property: mqtt5_property, _ value: [UInt8]) {
        guard let count = UInt16(exactly: value.count) else { return note(MOSQ_ERR_PAYLOAD_SIZE.code) }
        note(mosquitto_property_add_binary(&list, Int32(property.rawValue), value, count))
    }

    private mutating func note(_ code: Int32) {
        if error == MOSQ_ERR_SUCCESS.code { error = code }
    }
}

extension mosq_err_t {
    /// As functions return it.
    var code: Int32 { rawValue }
}
