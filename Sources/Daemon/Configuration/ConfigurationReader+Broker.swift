import Transport

extension ConfigurationReader {
    /// Nil, with the reason reported, when there is no usable URL.
    func broker(_ table: TableReader, device: String, hasSection: Bool) -> Configuration.Broker? {
        let address = address(table, hasSection: hasSection)
        let username = table.string("username")?.value ?? address?.username
        let password = password(table)
        let isSecure = address?.tls != nil
        let caFile = file(table, "ca_file") ?? (isSecure ? credential("mqtt-ca") : nil)
        var certFile = file(table, "cert_file")
        var keyFile = file(table, "key_file")
        if isSecure, !table.has("cert_file"), !table.has("key_file"),
            let ours = credential("mqtt-cert"), let key = credential("mqtt-key")
        {
            (certFile, keyFile) = (ours, key)
        }
        if (certFile == nil) != (keyFile == nil), table.has("cert_file") != table.has("key_file") {
            let present = table.has("cert_file") ? "cert_file" : "key_file"
            table.error(present, "cert_file and key_file belong together", "Give both, or neither")
        }
        if let address, address.tls == nil, let key = ["ca_file", "cert_file", "key_file"].first(where: table.has) {
            table.error(key, "\(key) needs TLS, but the url is mqtt://", "Write url = \"mqtts://…\"")
        }
        if let password, !password.isEmpty, username == nil {
            problems.warning(
                table.line(of: "password_file"), "a password without a username is sent to the broker",
                "Add username, if the broker expects one")
        }
        let version = protocolVersion(table)
        let requiresTLS13 = tlsVersion(table, isSecure: isSecure)
        let clientID = clientID(table) ?? "martlet-\(device)"
        let expiry = table.duration("session_expiry", in: .zero...(.seconds(365 * 86_400)), example: "1h")
        table.finish(hints: [
            "password": "Put the password into a file and name it with password_file, or set MARTLET_MQTT_PASSWORD",
            "host": "Write url = \"mqtt://HOST:1883\"", "port": "Write url = \"mqtt://HOST:PORT\"",
            "tls": "Write url = \"mqtts://HOST:8883\"", "server": "Write url = \"mqtt://HOST:1883\"",
        ])
        guard let address else { return nil }
        return Configuration.Broker(
            host: address.host, port: address.port, tls: address.tls != nil, username: username, password: password,
            caFile: caFile, certFile: certFile, keyFile: keyFile, protocolVersion: version, clientID: clientID,
            sessionExpiry: expiry ?? .seconds(3600), requiresTLS13: requiresTLS13)
    }

    /// A secret that systemd hands to this service under that name; nil without one.
    private func credential(_ name: String) -> String? {
        context.credentialsFolder.map { "\($0)/\(name)" }.flatMap { context.isReadable($0) ? $0 : nil }
    }

    private func tlsVersion(_ table: TableReader, isSecure: Bool) -> Bool {
        guard let value = table.value("tls_version") else { return false }
        if !isSecure {
            table.error("tls_version", "tls_version needs TLS, but the url is mqtt://", "Write url = \"mqtts://…\"")
        }
        switch value.kind {
        case .string("1.2"), .float(1.2): return false
        case .string("1.3"), .float(1.3): return true
        default:
            problems.error(
                value.line, "tls_version must be \"1.2\" or \"1.3\"", "It is the oldest version that is accepted")
            return false
        }
    }

    private func address(_ table: TableReader, hasSection: Bool) -> MQTTOptions? {
        guard let url = table.string("url", example: "\"mqtt://localhost:1883\"") else {
            if !table.has("url") {
                problems.error(
                    table.line, hasSection ? "[broker] has no url" : "there is no [broker] section",
                    "Add \(hasSection ? "" : "[broker] with ")url = \"mqtt://localhost:1883\"")
            }
            return nil
        }
        do {
            let options = try MQTTOptions(url: url.value)
            if options.password != nil {
                // Configurations are shown around, and kept in repositories.
                problems.error(
                    url.line, "the url holds a password",
                    "Put it into a file and name that with password_file, or set MARTLET_MQTT_PASSWORD")
            }
            return options
        } catch {
            // The transport's sentence leaves out a password that stands in the URL.
            guard case .invalidURL(let shown, let reason) = error else {
                problems.error(url.line, "url: \(error)", "")
                return nil
            }
            problems.error(
                url.line, "url \"\(shown)\" is not a broker's: \(reason)",
                "Write mqtt://HOST:1883, or mqtts://HOST:8883 for TLS")
            return nil
        }
    }

    private func password(_ table: TableReader) -> String? {
        let file = table.string("password_file")
        // The environment wins, as for every program run in a container.
        if let password = context.environmentPassword { return password }
        guard let file else { return credential("mqtt-password").flatMap(context.readFile) }
        if let text = context.readFile(file.value) { return text }
        // systemd makes this file only for the running service, so a check from a shell cannot see it.
        if file.value.hasPrefix("/run/credentials/") {
            problems.warning(
                file.line, "password_file \(file.value) does not exist now",
                "systemd provides it when the unit has LoadCredential=")
        } else {
            problems.error(
                file.line, "password_file \(file.value) cannot be read",
                "Create it, readable for the user martlet runs as")
        }
        return nil
    }

    private func file(_ table: TableReader, _ key: String) -> String? {
        guard let path = table.string(key, example: "\"/etc/martlet/…\"") else { return nil }
        guard context.isReadable(path.value) else {
            problems.error(path.line, "\(key) \(path.value) cannot be read", "Check the path and its permissions")
            return nil
        }
        return path.value
    }

    private func protocolVersion(_ table: TableReader) -> Int {
        guard let value = table.value("protocol") else { return 5 }
        switch value.kind {
        case .integer(5), .string("5"), .string("5.0"), .float(5.0): return 5
        case .integer(311), .string("311"), .string("3.1.1"), .integer(4): return 311
        default:
            problems.error(
                value.line, "protocol must be 5 or 311", "Write protocol = 5, or protocol = 311 for MQTT 3.1.1")
            return 5
        }
    }

    private func clientID(_ table: TableReader) -> String? {
        guard let id = table.string("client_id") else { return nil }
        guard !id.value.isEmpty, id.value.utf8.count <= 128, !id.value.utf8.contains(where: { $0 < 0x20 }) else {
            problems.error(
                id.line, "client_id must have 1 to 128 bytes and no control characters",
                "Leave it out for martlet-<device>")
            return nil
        }
        return id.value
    }
}
