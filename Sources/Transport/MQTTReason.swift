import CMosquitto
import Glibc

/// Sentences for libmosquitto's and MQTT's codes, with what a user can do.
enum MQTTReason {
    /// A CONNACK code: 1…5 from MQTT 3.1.1, 128 and above from MQTT 5.
    ///
    /// - Parameter reference: the other server that the broker names.
    static func refusal(_ code: Int32, options: MQTTOptions, reference: String? = nil) -> ConnectionProblem {
        let broker = "the broker at \(options.host):\(options.port)"
        let login = "Check [broker] username and password_file"
        switch code {
        case 1, 132:
            let other = options.protocolVersion == .v5 ? "311" : "5"
            return ConnectionProblem(
                .protocolVersion,
                "\(broker) does not speak the protocol version asked for. Set [broker] protocol = \(other)",
                retry: .never)
        case 2, 133:
            let text = "\(broker) does not accept the client id \"\(options.clientID)\". Set [broker] client_id"
            return ConnectionProblem(.clientID, text, retry: .never)
        case 4, 134:
            let text = "\(broker) does not accept the user name and password. \(login)"
            return ConnectionProblem(.credentials, text, retry: .slowly)
        case 5, 135:
            guard options.username != nil else {
                let text = "\(broker) does not let us in without a user name. Set [broker] username and password_file"
                return ConnectionProblem(.credentials, text, retry: .slowly)
            }
            let text = "\(broker) does not let us in: wrong password or not authorised. \(login)"
            // Brokers that know MQTT 5 have 134 for a wrong password; mosquitto uses this for both.
            return ConnectionProblem(.access, text, retry: .slowly)
        case 138:
            let text = "\(broker) has banned this client. Lift the ban there, or use another [broker] client_id"
            return ConnectionProblem(.access, text, retry: .slowly)
        case 140:
            let text = "\(broker) wants an extended authentication, which martlet does not have. Allow a password there"
            return ConnectionProblem(.credentials, text, retry: .never)
        default: return laterRefusal(code, broker: broker, reference: reference)
        }
    }

    private static func laterRefusal(_ code: Int32, broker: String, reference: String?) -> ConnectionProblem {
        switch code {
        case 3, 136, 137, 159:
            return ConnectionProblem(.unavailable, "\(broker) is not available now. It is tried again")
        case 151:
            let text = "\(broker) has no room for us: a quota is exceeded. Raise its limits or remove other clients"
            return ConnectionProblem(.unavailable, text, retry: .slowly)
        case 129, 130:
            return ConnectionProblem(
                .protocolVersion, "\(broker) does not understand us: \(name(code)). Update the broker", retry: .slowly)
        case 144, 149, 153, 154, 155:
            // All that a CONNECT of ours has that these can be about.
            let text =
                "\(broker) does not take our last will (\(name(code))). Use a broker that keeps retained messages"
            return ConnectionProblem(.refused, text, retry: .never)
        case 156, 157: return moved(code, broker: broker, reference: reference)
        default: return ConnectionProblem(.refused, "\(broker) refused the connection: \(name(code))")
        }
    }

    private static func moved(_ code: Int32, broker: String, reference: String?) -> ConnectionProblem {
        // The name comes from outside: quoted, and not too long.
        let place = reference.map { " (it names \"\($0.prefix(253))\")" } ?? ""
        let text = "\(broker) sends us to another server\(place). Set [broker] url"
        // Never followed by itself: whoever answers in the broker's place could lead us anywhere.
        return ConnectionProblem(.refused, text, retry: code == 157 ? .never : .slowly)
    }

    /// A DISCONNECT from the broker (MQTT 5).
    static func disconnection(_ code: Int32, options: MQTTOptions, reference: String? = nil) -> ConnectionProblem {
        let start = "the broker closed the connection: "
        switch code {
        case 129, 130: return ConnectionProblem(.protocolVersion, start + name(code))
        case 135: return ConnectionProblem(.access, start + reason(code), retry: .slowly)
        case 137, 139, 150, 151, 152, 159, 160: return ConnectionProblem(.unavailable, start + name(code))
        case 141: return ConnectionProblem(.network, start + "it heard nothing of us for the keep-alive time")
        // Slowly, for who comes back at once throws the other one out, which does the same.
        case 142: return ConnectionProblem(.takeover, start + reason(code), retry: .slowly)
        case 156, 157:
            return moved(code, broker: "the broker at \(options.host):\(options.port)", reference: reference)
        case 158:
            let text = start + "it has no shared subscriptions. Subscribe without $share"
            return ConnectionProblem(.refused, text, retry: .never)
        case 162:
            let text = start + "it has no wildcard subscriptions. Subscribe to topics without + and #"
            return ConnectionProblem(.refused, text, retry: .never)
        default: return ConnectionProblem(.refused, start + name(code))
        }
    }

    /// A SUBACK, PUBACK or DISCONNECT code.
    static func reason(_ code: Int32) -> String {
        switch code {
        case 128: "the broker refused it without a reason; its access rules may not allow it"
        case 135: "the broker's access rules do not allow it"
        case 142: "another client connected with the same client id; every client needs its own"
        default: name(code)
        }
    }

    /// A return code of libmosquitto. `errno` must be the one right after the call.
    static func failure(_ code: Int32, errno: Int32, tls: TLSFailure?, options: MQTTOptions) -> ConnectionProblem {
        if let tls { return tls.problem(options) }
        switch Int(code) {
        case Int(MOSQ_ERR_ERRNO.rawValue):
            return ConnectionProblem(
                .network, errno == 0 ? "the connection broke" : text(strerror(errno)).lowercasedFirst)
        case Int(MOSQ_ERR_EAI.rawValue):
            // libmosquitto stores getaddrinfo's code in errno.
            let why = text(gai_strerror(errno)).lowercasedFirst
            return ConnectionProblem(.dns, "the host name cannot be resolved (\(why))")
        case Int(MOSQ_ERR_TLS.rawValue), Int(MOSQ_ERR_TLS_HANDSHAKE.rawValue):
            return TLSFailure(line: "no details", verification: 0).problem(options)
        case Int(MOSQ_ERR_CONN_LOST.rawValue), Int(MOSQ_ERR_NO_CONN.rawValue):
            // Brokers before mosquitto 2.1, and all under MQTT 3.1.1, do not say why.
            return ConnectionProblem(
                .network, "the broker closed the connection: it stopped, or another client uses the same client id")
        case Int(MOSQ_ERR_KEEPALIVE.rawValue):
            return ConnectionProblem(.network, "the broker gave no sign of life for the keep-alive time")
        case Int(MOSQ_ERR_PROTOCOL.rawValue), Int(MOSQ_ERR_MALFORMED_PACKET.rawValue):
            let place = "\(options.host):\(options.port)"
            return ConnectionProblem(.protocolVersion, "what answers at \(place) does not speak MQTT as it should")
        default: return ConnectionProblem(.network, text(mosquitto_strerror(code)).lowercasedFirst)
        }
    }

    private static func name(_ code: Int32) -> String { text(mosquitto_reason_string(code)).lowercased() }

    private static func text(_ pointer: UnsafePointer<CChar>?) -> String {
        guard let pointer else { return "unknown" }
        let text = String(cString: pointer)
        return text.last == "." ? String(text.dropLast()) : text
    }
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
