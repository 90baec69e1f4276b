import ArgumentParser
import Daemon
import GGUF
import Inference

/// `martlet config check`: everything wrong in a configuration, at once.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check a configuration.", subcommands: [Check.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print every error of a configuration with its line and what to do.")

        @Argument(help: "A TOML file.") var file: String

        func run() throws {
            let configuration = try Configuration.load(path: file)
            for warning in configuration.warnings { writeError("\(warning)") }
            let tasks = configuration.tasks.count
            let models = configuration.models.count
            writeOutput(
                "\(file): ok, \(tasks) task\(tasks == 1 ? "" : "s"), \(models) model\(models == 1 ? "" : "s")\n")
        }
    }
}
