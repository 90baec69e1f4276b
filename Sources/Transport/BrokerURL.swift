/// Parses broker URLs. RFC 3986's general form, of which only authority matters here.
enum BrokerURL {
    static func parse(_ url: String) throws(TransportError) -> MQTTOptions {
        func fail(_ reason: String) -> TransportError { .invalidURL(redacted(url), reason: reason) }

        guard let (scheme, rest) = split(url[...], at: "://") else { throw fail("it has no scheme") }
        let secure: Bool
        switch scheme.lowercased() {
        case "mqtt", "tcp": secure = false
        case "mqtts", "ssl", "tls": secure = true
        case "ws", "wss": throw fail("MQTT over websockets is not supported")
        case "unix": throw fail("unix sockets are not supported")
        default: throw fail("\(scheme):// is not a scheme for MQTT")
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest.dropFirst(authority.count)
        guard path.isEmpty || path == "/" else { throw fail("a path or query has no meaning for MQTT") }

        var place = authority
        var credentials: Substring?
        if let at = authority.lastIndex(of: "@") {
            credentials = authority[..<at]
            place = authority[authority.index(after: at)...]
        }
        let (host, port) = try hostAndPort(place, url: url)
        var options = MQTTOptions(host: host, port: port, tls: secure ? MQTTOptions.TLS() : nil)
        if let credentials {
            let parts = credentials.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let user = decode(parts[0]) else { throw fail("the user name has a broken percent-escape") }
            options.username = user
            if parts.count == 2 {
                guard let password = decode(parts[1]) else { throw fail("the password has a broken percent-escape") }
                options.password = password
            }
        }
        return options
    }

    /// `host`, `host:1883`, `[::1]` or `[::1]:1883`.
    private static func hostAndPort(_ text: Substring, url: String) throws(TransportError) -> (String, Int?) {
        func fail(_ reason: String) -> TransportError { .invalidURL(redacted(url), reason: reason) }

        var host = text
        var port: Substring?
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { throw fail("the IPv6 address has no closing ]") }
            host = text[text.index(after: text.startIndex)..<close]
            let rest = text[text.index(after: close)...]
            if !rest.isEmpty {
                guard rest.first == ":" else { throw fail("after ] only a port may follow") }
                port = rest.dropFirst()
            }
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty else { throw fail("it names no host") }
        // A name of DNS has at most 253 characters; a NUL would end the C string early.
        guard host.utf8.count <= 253, host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw fail("the host name has characters that no host name has")
        }
        guard let port else { return (String(host), nil) }
        guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(port), (1...65535).contains(number)
        else { throw fail("the port is not a number from 1 to 65535") }
        return (String(host), number)
    }

    private static func split(_ text: Substring, at separator: String) -> (Substring, Substring)? {
        var index = text.startIndex
        while index < text.endIndex {
            if text[index...].hasPrefix(separator) {
                return (text[..<index], text[text.index(index, offsetBy: separator.count)...])
            }
            index = text.index(after: index)
        }
        return nil
    }

    /// Decodes percent-escapes; nil when one is broken, decodes to NUL or to invalid UTF-8.
    static func decode(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The URL as it may appear in a log: without user name and password.
    static func redacted(_ url: String) -> String {
        guard let (scheme, rest) = split(url[...], at: "://"), let at = rest.lastIndex(of: "@") else { return url }
        return "\(scheme)://…@\(rest[rest.index(after: at)...])"
    }
}
