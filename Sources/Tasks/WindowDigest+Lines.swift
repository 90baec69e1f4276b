// How a digest is told: as lines to the model, or as a sentence when the model got it wrong.
extension WindowDigest {
    /// Lines that a small model can still weigh.
    static let mostLines = 12

    /// What a reader looks at first: what changed before what stayed, what is about the house before what is about the
    /// radio, what was told often before what was told once.
    private struct Rank: Comparable {
        var isAside: Bool
        var isStill: Bool
        var count: Int
        var order: Int

        static func < (left: Rank, right: Rank) -> Bool {
            (left.isAside ? 1 : 0, left.isStill ? 1 : 0, -left.count, left.order)
                < (right.isAside ? 1 : 0, right.isStill ? 1 : 0, -right.count, right.order)
        }
    }

    /// Last words of fields that tell of the device and not of what it measures.
    private static let aside: Set<String> = [
        "linkquality", "lqi", "rssi", "snr", "noise", "battery", "voltage", "uptime", "id", "seen", "time", "timestamp",
        "mic", "mod", "freq", "freq1", "freq2", "protocol", "channel", "model", "version", "update", "state_l1",
    ]

    private static func isAside(_ name: String) -> Bool {
        name.split(separator: " ").last.map { aside.contains($0.lowercased()) } ?? false
    }

    /// The lines, the most telling first.
    var lines: [String] {
        var ranked: [(Rank, String)] = []
        for one in texts {
            let rank = Rank(
                isAside: Self.isAside(one.name), isStill: one.different.count < 2, count: one.count,
                order: ranked.count)
            ranked.append((rank, line(one)))
        }
        for one in series {
            let rank = Rank(
                isAside: Self.isAside(one.name), isStill: !one.changes, count: one.count, order: ranked.count)
            ranked.append((rank, line(one)))
        }
        return ranked.sorted { $0.0 < $1.0 }.prefix(Self.mostLines).map(\.1)
    }

    private func line(_ series: Series) -> String {
        guard series.count > 1 else { return "\(series.name): \(plainNumber(series.last))" }
        guard series.changes else { return "\(series.name): \(series.count) readings, all \(plainNumber(series.last))" }
        return "\(series.name): \(series.count) readings, first \(plainNumber(series.first)), "
            + "last \(plainNumber(series.last)), lowest \(plainNumber(series.smallest)), "
            + "highest \(plainNumber(series.largest)), average \(plainNumber(series.mean))"
    }

    private func line(_ texts: Texts) -> String {
        let parts = texts.different.map { $0.count > 1 ? "\($0.text) (\($0.count) times)" : $0.text }
        let told = texts.different.reduce(0) { $0 + $1.count }
        let rest = texts.count > told ? [", and \(texts.count - told) more"] : []
        return "\(texts.name): " + parts.joined(separator: "; ") + rest.joined()
    }

    /// The summary that needs no model: only facts of the window.
    var sentence: String {
        var parts: [String] = []
        let words = texts.filter { !Self.isAside($0.name) }
        for one in words.sorted(by: { $0.count > $1.count }).prefix(2) {
            guard let often = one.different.max(by: { $0.count < $1.count }) else { continue }
            let last = often.text == one.last ? "" : ", last \(one.last)"
            parts.append(
                often.count > 1
                    ? "\(one.name): \(often.text) (\(often.count) times)\(last)" : "\(one.name): \(one.last)")
        }
        let telling = series.filter { !Self.isAside($0.name) }
        for one in (telling.isEmpty ? series : telling).sorted(by: {
            ($0.changes ? 1 : 0, $0.count) > ($1.changes ? 1 : 0, $1.count)
        }).prefix(3) {
            parts.append(
                one.changes
                    ? "\(one.name) between \(plainNumber(one.smallest)) and \(plainNumber(one.largest)), "
                        + "last \(plainNumber(one.last))"
                    : "\(one.name) \(plainNumber(one.last))")
        }
        let count = "\(events) event\(events == 1 ? "" : "s")"
        return parts.isEmpty ? "\(count)." : "\(count). " + parts.joined(separator: "; ") + "."
    }
}
