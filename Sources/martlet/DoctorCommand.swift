import ArgumentParser
import Daemon
import GGUF
import Glibc
import Health
import JSON
import Kernels
import Linux

/// `martlet doctor`: looks at the board and the broker, and says what to do about what it finds.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Look at this board, its kernel and the broker, and say what to do.")

    @Option(help: "A configuration: its models and its broker are looked at too.") var config: String?
    @Flag(help: "Print JSON, one finding a line.") var json = false

    func run() throws {
        let configuration = try config.map { try Configuration.load(path: $0) }
        let board = Board.detect()
        var monitor = HealthMonitor(options: HealthMonitor.Options(thermalZone: board?.thermalZone))
        _ = monitor.sample(at: monotonicNanoseconds())
        // Rates need two looks at the counters.
        usleep(300_000)
        let readings = monitor.sample(at: monotonicNanoseconds())
        var findings = doctorFindings(
            Examination(
                readings: readings, board: board, features: CPUFeatures.detect().description,
                tier: try KernelTier.choose().rawValue, modelMB: configuration.map(Self.megabytesNeeded)))
        if let configuration { findings += BrokerCheck.findings(configuration) }
        for finding in findings { writeOutput(json ? Self.line(finding) : Self.text(finding)) }
        if findings.contains(where: { $0.severity == .problem }) { throw ExitCode(ExitStatus.unavailable.rawValue) }
    }

    private static func megabytesNeeded(_ configuration: Configuration) -> Int {
        let bytes = configuration.models.reduce(0) { sum, model in
            sum + ((try? MappedFile(path: model.path).bytes.count) ?? 0)
        }
        // What the daemon itself takes besides the weights.
        return bytes >> 20 + 24
    }

    private static func text(_ finding: Finding) -> String {
        let mark =
            switch finding.severity {
            case .ok: "ok      "
            case .notice: "notice  "
            case .warning: "warning "
            case .problem: "problem "
            }
        let advice = finding.advice.map { "\n          → \($0)" } ?? ""
        return "\(mark)  \(finding.title): \(finding.detail)\(advice)\n"
    }

    private static func line(_ finding: Finding) -> String {
        JSONWriter.line {
            $0.member("severity", finding.severity.rawValue)
            $0.member("title", finding.title)
            $0.member("detail", finding.detail)
            if let advice = finding.advice { $0.member("advice", advice) }
        }
    }
}
