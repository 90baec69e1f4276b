import ArgumentParser
import CBuildInfo
import CLinux
import Glibc
import Kernels

/// The command line: reads the arguments, runs one command, turns every failure into one line and an exit status.
struct Martlet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Small language models on small computers, over MQTT.",
        discussion: "Start with `martlet demo`. The daemon is `martlet run --config FILE`.",
        version: version,
        subcommands: [
            RunCommand.self, DemoCommand.self, ClassifyCommand.self, SummarizeCommand.self, ExtractCommand.self,
            EmbedCommand.self, GenerateCommand.self, ModelCommand.self, BenchCommand.self, DoctorCommand.self,
            ConfigCommand.self,
        ])

    /// What `--version` prints: version, commit, compiler and the kernel tiers inside.
    static var version: String {
        let tiers = KernelTier.compiled.map(\.rawValue).joined(separator: ", ")
        return """
            martlet \(martletVersion)
            commit \(String(cString: martlet_commit()))
            Swift \(swiftVersion)
            kernel tiers: \(tiers)
            """
    }
}

/// The release this tree becomes.
let martletVersion = "0.1.0"

/// The compiler's language version; the compiler tells it only by comparison.
private var swiftVersion: String {
    #if compiler(>=6.4)
    "6.4"
    #elseif compiler(>=6.3)
    "6.3"
    #else
    "6.2"
    #endif
}

@main
enum Main {
    static func main() {
        // A reader that closes its end (`| head`) must end us quietly, not by a signal in the middle of a line.
        signal(SIGPIPE, SIG_IGN)
        explainLostPages()
        do {
            var command = try Martlet.parseAsRoot()
            try command.run()
        } catch {
            leave(error)
        }
    }

    /// Weights are mapped, so a model file that becomes shorter while we compute is a SIGBUS: it must not be a riddle.
    private static func explainLostPages() {
        let line: StaticString = """
            martlet: error: a model file lost bytes while in use: it was truncated or overwritten, or the disk \
            fails. Put the file back and start again

            """
        // A string literal lives as long as the program.
        line.withUTF8Buffer { martlet_explain_lost_pages($0.baseAddress, ExitStatus.data.rawValue) }
    }

    private static func leave(_ error: any Error) -> Never {
        if error is CleanExit || error is ExitCode || Martlet.exitCode(for: error) == .success {
            Martlet.exit(withError: error)
        }
        let failure = CommandError.from(error) ?? usage(error)
        for line in failure.message.split(whereSeparator: \.isNewline) { writeError("martlet: error: \(line)") }
        exit(failure.status.rawValue)
    }

    /// The argument parser's complaint in our form: one line, with where to read more.
    private static func usage(_ error: any Error) -> CommandError {
        let reason = Martlet.message(for: error).split(separator: "\n").first.map(String.init) ?? "unusable arguments"
        return CommandError(.usage, "\(reason.trimmingSuffix(".")). See `martlet --help`")
    }
}

extension String {
    func trimmingSuffix(_ suffix: String) -> String { hasSuffix(suffix) ? String(dropLast(suffix.count)) : self }
}
