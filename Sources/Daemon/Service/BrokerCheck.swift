import Health
import Transport

/// What `martlet doctor` finds out about the broker of a configuration.
public enum BrokerCheck {
    /// Connects once, without touching the daemon's own session, and asks for what the daemon will need.
    public static func findings(_ configuration: Configuration, timeout: Duration = .seconds(5)) -> [Finding] {
        let name = "\(configuration.broker.host):\(configuration.broker.port)"
        let security = configuration.broker.tls ? "over TLS" : "without TLS"
        // Where programs listen for our warnings; they know levels that are not for them.
        let greeting = MQTTMessage(
            topic: "\(configuration.baseTopic)/log", text: "{\"level\":\"debug\",\"message\":\"martlet doctor asks\"}",
            qos: 1)
        let welcome = MQTTClient.welcome(
            configuration.mqttOptions, filters: Intake.filters(configuration), message: greeting, timeout: timeout)
        if let problem = welcome.problem {
            return [
                Finding(
                    .problem, "broker", "\(name) did not accept us (\(problem.fault.rawValue)): \(problem.reason)",
                    advice: advice(problem.fault))
            ]
        }
        var findings = [Finding(.ok, "broker", "\(name) accepts us \(security)")]
        for (filter, reason) in welcome.refusedFilters.sorted(by: { $0.key < $1.key }) {
            findings.append(
                Finding(
                    .problem, "broker rules", "\(name) does not let us read \(filter): \(reason)",
                    advice: "Allow this user to read \(filter) in the broker's access rules."))
        }
        if let reason = welcome.refusedMessage {
            findings.append(
                Finding(
                    .problem, "broker rules",
                    "\(name) does not let us publish below \(configuration.baseTopic): \(reason)",
                    advice: "Allow this user to write \(configuration.baseTopic)/# in the broker's access rules."))
        }
        return findings
    }

    private static func advice(_ fault: ConnectionFault) -> String {
        switch fault {
        case .dns: "Check the host name in [broker] url and this board's DNS: getent hosts NAME."
        case .network: "Check that the broker runs, its address and port, and firewalls between."
        case .tls: "Check certificates, names and the clock, as the sentence says: openssl s_client shows the broker's."
        case .credentials: "Check [broker] username and password_file against the broker's users."
        case .access: "Check the password, and that the broker's access rules let this user in."
        case .protocolVersion: "Check [broker] protocol, and that the port is the broker's for MQTT."
        case .clientID, .takeover: "Give every client a [broker] client_id of its own."
        case .unavailable: "Look at the broker's log: it has no room or time for us."
        case .refused, .local: "Do as the sentence says, and look at the broker's log."
        }
    }
}
