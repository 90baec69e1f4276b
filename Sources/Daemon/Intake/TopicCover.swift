/// Which topic filters are superfluous beside others.
///
/// A broker may deliver a message once for each of a client's subscriptions that match it (MQTT 5, section 3.3.4), and
/// an event must be answered once. So a filter that another one covers is not subscribed to. Filters that only
/// overlap, as `a/+` and `+/b`, remain; mosquitto delivers those once.
enum TopicCover {
    /// `filters` in their order, without repetitions and without those that another covers. Shared subscriptions are
    /// streams of their own and stay.
    static func withoutCovered(_ filters: [String]) -> [String] {
        var kept: [String] = []
        for (index, filter) in filters.enumerated() where !kept.contains(filter) {
            let others = filters.enumerated().filter { $0.offset != index && $0.element != filter }
            if isShared(filter) || !others.contains(where: { covers($0.element, filter) }) { kept.append(filter) }
        }
        return kept
    }

    /// Whether every topic that `inner` matches is matched by `outer`, which is another, unshared filter.
    static func covers(_ outer: String, _ inner: String) -> Bool {
        guard !isShared(outer) else { return false }
        let outer = levels(outer)
        var rest = levels(inner)[...]
        // Wildcards at the start leave out topics that begin with $.
        if let first = rest.first, first.hasPrefix("$"), outer[0] == "#" || outer[0] == "+" { return false }
        for level in outer {
            if level == "#" { return true }
            guard let part = rest.popFirst(), part != "#", level == "+" || level == part else { return false }
        }
        return rest.isEmpty
    }

    static func isShared(_ filter: String) -> Bool { filter.hasPrefix("$share/") }

    private static func levels(_ filter: String) -> [Substring] {
        filter.split(separator: "/", omittingEmptySubsequences: false)
    }
}
