import ArgumentParser
import CBuildInfo
import Daemon

/// `martlet run`: the daemon, as systemd starts it.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the daemon until SIGTERM; SIGHUP reloads the configuration.")

    @Option(help: "The configuration, a TOML file.") var config: String

    func run() throws {
        try Program.run(
            configuration: config,
            build: BuildInfo(version: martletVersion, commit: String(cString: martlet_commit())))
    }
}
