import Transport

extension Configuration {
    /// How the transport reaches the broker, with the last will that marks this device offline.
    public var mqttOptions: MQTTOptions {
        var options = MQTTOptions(host: broker.host, port: broker.port)
        if broker.tls {
            options.tls = MQTTOptions.TLS(caFile: broker.caFile, certFile: broker.certFile, keyFile: broker.keyFile)
            options.tls?.oldest = broker.requiresTLS13 ? .v13 : .v12
        }
        options.username = broker.username
        options.password = broker.password
        options.protocolVersion = broker.protocolVersion == 311 ? .v311 : .v5
        options.clientID = broker.clientID
        options.sessionExpirySeconds = UInt32(clamping: broker.sessionExpiry.milliseconds / 1000)
        options.maxPayload = limits.maxPayload
        options.will = MQTTMessage(topic: "\(baseTopic)/status", text: "offline", qos: 1, retain: true)
        return options
    }
}
