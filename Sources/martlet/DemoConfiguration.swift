/// The configuration the demo's daemon runs with: three tasks on one small model.
struct DemoConfiguration {
    let device: String
    let url: String
    let model: String
    let threads: Int
    /// Topic the events are under.
    let home: String

    /// A configuration refuses a password in the url; the daemon gets it through its environment.
    static func withoutPassword(_ url: String) -> String {
        // The user's name begins behind the scheme's slashes and has none itself.
        guard let at = url.lastIndex(of: "@"), let slash = url[..<at].lastIndex(of: "/") else { return url }
        guard let colon = url[slash..<at].firstIndex(of: ":") else { return url }
        return String(url[..<colon] + url[at...])
    }

    var text: String {
        """
        # Written by `martlet demo`.
        [device]
        id = \(quoted(device))

        [broker]
        url = \(quoted(Self.withoutPassword(url)))
        session_expiry = "1m"

        [[model]]
        name = "demo"
        path = \(quoted(model))
        context = 2048
        threads = \(threads)
        # A demonstration leaves nothing behind.
        pack = false

        [[task]]
        name = "request"
        kind = "classify"
        subscribe = [\(quoted("\(home)/request/+"))]
        labels = [\(DemoData.labels.map(quoted).joined(separator: ", "))]

        [[task]]
        name = "office"
        kind = "summarize"
        subscribe = [\(quoted("\(home)/office"))]
        every = \(DemoData.office().window)

        [[task]]
        name = "thermometer"
        kind = "summarize"
        subscribe = [\(quoted("\(home)/thermometer"))]
        every = \(DemoData.thermometer().window)

        [health]
        interval = "2s"
        homeassistant = false

        """
    }

    /// A TOML basic string.
    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let hexadecimal = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
