import Glibc
import JSON

/// What the demo has seen so far.
struct DemoTally {
    var latencies: [Double] = []
    var correct = 0
    var classifySeconds = 0.0
    var readings = 0
    var summaries = 0
    var grounded = 0
    var healthReports = 0
    var errors = 0
    var firstError: String?
    var memory = ProcessMemory()

    mutating func add(_ request: DemoData.Request, answer: String?, milliseconds: Double) {
        latencies.append(milliseconds)
        if answer == request.label { correct += 1 }
    }

    /// The value below which `share` of the latencies lie (nearest rank).
    func latency(_ share: Double) -> Double {
        let sorted = latencies.sorted()
        guard let last = sorted.last else { return 0 }
        let rank = Int((share * Double(sorted.count)).rounded(.up)) - 1
        return sorted.indices.contains(rank) ? sorted[rank] : last
    }
}

/// What the demo prints, line by line.
struct DemoScreen {
    private let width = DemoData.labels.map(\.count).max() ?? 0

    /// Unlike `writeOutput` it goes on when nobody reads any more: the demo has processes to end.
    private func line(_ text: String = "") {
        var bytes = Array((text + "\n").utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            if written < 0, errno != EINTR { return }
            bytes = bytes.dropFirst(max(0, written))
        }
    }

    func opening(model: String, broker: String) {
        line("model    \(model)")
        line("broker   \(broker)")
        line("events   \(DemoData.sources); more: martlet demo --credits")
    }

    func ready(after seconds: Double) {
        line("daemon   martlet run, on line after \(Rounded(seconds, 2)) s")
    }

    func heading(_ text: String) {
        line()
        line(text)
    }

    /// `✓ light     0.93    31 ms  dim the overhead lights a tad`, with the expected label when it is another.
    func classification(_ request: DemoData.Request, _ result: JSONValue, milliseconds: Double) {
        guard let label = result["label"]?.string else { return failure(request.text, result) }
        let isRight = label == request.label
        let confidence = Rounded(result["confidence"]?.double ?? 0, 2)
        let time = right("\(Rounded(milliseconds, 0))", 5)
        line(
            "  \(isRight ? "✓" : "✗") \(left(label, width)) \(confidence) \(time) ms  \(request.text)"
                + (isRight ? "" : "  (expected: \(request.label))"))
    }

    func summary(_ result: JSONValue) {
        guard let text = result["summary"]?.string else { return failure("a window", result) }
        let events = result["window"]?["events"]?.integer.map { "\($0) readings" } ?? "window"
        let grounded = result["grounded"]?.bool == true ? "grounded" : "not grounded"
        let seconds = Rounded((result["latency_ms"]?.double ?? 0) / 1000, 1)
        line(
            "  \(events), \(grounded), \(seconds) s: \(text.split(whereSeparator: \.isNewline).joined(separator: " "))")
    }

    private func failure(_ what: String, _ result: JSONValue) {
        line("  ✗ \(what): error: \(result["error"]?.string ?? "a result without an answer")")
    }

    func health(_ report: JSONValue) {
        var parts = [report["state"]?.string ?? "unknown"]
        func add(_ path: (String, String), _ decimals: Int, _ words: (String) -> String) {
            guard let value = report[path.0]?[path.1]?.double else { return }
            parts.append(words("\(Rounded(value, decimals))"))
        }
        add(("cpu", "temperature_c"), 1) { "\($0) °C" }
        add(("cpu", "usage_percent"), 0) { "CPU \($0)%" }
        add(("memory", "available_mb"), 0) { "\($0) MB available" }
        add(("memory", "process_anonymous_mb"), 1) { "\($0) MB anonymous" }
        add(("memory", "process_file_mb"), 1) { "\($0) MB file" }
        add(("engine", "queue"), 0) { "queue \($0)" }
        add(("engine", "threads"), 0) { "\($0) threads" }
        if let governor = report["engine"]?["governor"]?.string { parts.append("governor \(governor)") }
        line("  ♥ health: \(parts.joined(separator: ", "))")
    }

    func log(_ entry: JSONValue) {
        line("  ! \(entry["level"]?.string ?? "log"): \(entry["message"]?.string ?? "")")
    }

    func table(_ tally: DemoTally) {
        let count = tally.latencies.count
        let rate = tally.classifySeconds > 0 ? Double(count) / tally.classifySeconds : 0
        let accuracy = count > 0 ? Double(tally.correct) / Double(count) : 0
        heading("events       \(count) texts, \(tally.readings) messages of \(DemoData.seriesCount) sensor series")
        line("came back    \(count) labels, \(tally.summaries) summaries, \(tally.healthReports) health reports")
        line("accuracy     \(Rounded(accuracy * 100, 1))% (\(tally.correct) of \(count); zero-shot, 5 labels)")
        line("grounded     \(tally.grounded) of \(tally.summaries) summaries")
        line(
            "latency      p50 \(Rounded(tally.latency(0.5), 1)) ms, p95 \(Rounded(tally.latency(0.95), 1)) ms over MQTT"
        )
        line("throughput   \(Rounded(rate, 1)) events/s, one at a time")
        if let anonymous = tally.memory.anonymous, let file = tally.memory.file {
            line(
                "peak memory  \(Rounded(megabytes(anonymous), 1)) MB anonymous, \(Rounded(megabytes(file), 1)) MB file")
        }
    }

    private func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
