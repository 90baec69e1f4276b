import CMosquitto
import Glibc

/// Sentences for libmosquitto's and MQTT's codes, with what a user can do.
enum MQTTReason {
    /// A CONNACK code: 1…5 from MQTT 3.1.1, 128 and above from MQTT 5.
    static func refusal(_ code: Int32, options: MQTTOptions) -> String {
        let broker = "the broker at \(options.host):\(options.port)"
        return switch code {
        case 1, 132:
            "\(broker) does not speak the protocol version asked for. "
                + "Set [broker] protocol = \(options.protocolVersion == .v5 ? "311" : "5")"
        case 2, 133: "\(broker) does not accept the client id \"\(options.clientID)\". Set [broker] client_id"
        case 4, 134: "\(broker) does not accept the user name and password. Check [broker] username and password_file"
        case 5, 135:
            options.username == nil
                ? "\(broker) does not let us in without a user name. Set [broker] username and password_file"
                : "\(broker) does not let us in: wrong password or not authorised. Check [broker] username and password_file"
        case 3, 136, 137, 159: "\(broker) is not available now. It is tried again"
        default: "\(broker) refused the connection: \(text(mosquitto_reason_string(code)))"
        }
    }

    /// A SUBACK, PUBACK or DISCONNECT code.
    static func reason(_ code: Int32) -> String {
        switch code {
        case 128: "the broker refused it without a reason; its access rules may not allow it"
        case 135: "the broker's access rules do not allow it"
        case 142: "another client connected with the same client id; every client needs its own"
        default: text(mosquitto_reason_string(code)).lowercased()
        }
    }

    /// A return code of libmosquitto. `errno` must be the one right after the call.
    static func failure(_ code: Int32, errno: Int32, log: String?) -> String {
        switch Int(code) {
        case Int(MOSQ_ERR_ERRNO.rawValue): errno == 0 ? "the connection broke" : text(strerror(errno)).lowercasedFirst
        case Int(MOSQ_ERR_EAI.rawValue):
            // libmosquitto stores getaddrinfo's code in errno.
            "the host name cannot be resolved (\(text(gai_strerror(errno)).lowercasedFirst))"
        case Int(MOSQ_ERR_TLS.rawValue), Int(MOSQ_ERR_TLS_HANDSHAKE.rawValue):
            "TLS failed: \(log ?? "no details"). Check [broker] ca_file, cert_file and key_file, and the clock"
        case Int(MOSQ_ERR_CONN_LOST.rawValue), Int(MOSQ_ERR_NO_CONN.rawValue):
            // Brokers before mosquitto 2.1, and all under MQTT 3.1.1, do not say why.
            "the broker closed the connection: it stopped, or another client uses the same client id"
        case Int(MOSQ_ERR_KEEPALIVE.rawValue): "the broker gave no sign of life for the keep-alive time"
        default: text(mosquitto_strerror(code)).lowercasedFirst
        }
    }

    private static func text(_ pointer: UnsafePointer<CChar>?) -> String {
        guard let pointer else { return "unknown" }
        let text = String(cString: pointer)
        return text.last == "." ? String(text.dropLast()) : text
    }
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
