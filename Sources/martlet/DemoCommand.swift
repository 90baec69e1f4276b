import ArgumentParser
import Glibc
import Linux
import Transport

/// `martlet demo`: the main job on real input without any set-up.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Show the whole line at work on real events.",
        discussion: """
            Starts a private mosquitto on a free port and `martlet run` with a configuration of its own, publishes real \
            events as any MQTT client would, and prints what comes back.
            """)

    @Option(help: "A broker to use instead of a private one, as mqtt://host:1883.") var broker: String?
    @Option(
        help: "The model: a GGUF file, or a name of `martlet model list`; default: the one that `make model` fetched.")
    var model: String?
    @Option(help: "Texts to classify, for a short demo; default: all.") var events: Int?
    @Option(help: "Threads; 0 takes the performance cores.") var threads = 0
    @Flag(help: "Print where the events come from, and their licences.") var credits = false

    func validate() throws {
        let most = DemoData.requests().count
        if let events, !(1...most).contains(events) { throw ValidationError("--events takes 1 to \(most)") }
        guard (0...64).contains(threads) else { throw ValidationError("--threads takes 0 to 64") }
    }

    func run() throws {
        if credits {
            writeOutput(DemoData.credits)
            return
        }
        do {
            let demo = try Demo(model: try modelPath(), broker: broker, threads: threads)
            defer { demo.leave() }
            try demo.play(events: events)
        } catch let interrupted as DemoInterrupted {
            // Everything is cleaned up: end as the signal would have ended us, which is what shells and scripts expect.
            signal(interrupted.signal, SIG_DFL)
            raise(interrupted.signal)
        } catch let error as TransportError {
            if case .invalidURL = error { throw CommandError(.usage, error.description) }
            throw CommandError(.unavailable, error.description)
        }
    }

    private func modelPath() throws -> String {
        if let model {
            let model = try namedModel(model)
            guard access(model, R_OK) == 0 else { throw SystemError("open", model) }
            // The daemon runs in another folder.
            return model.hasPrefix("/") ? model : "\(Self.currentFolder)/\(model)"
        }
        let variables = ["XDG_CACHE_HOME": "", "HOME": "/.cache"]
        let cache = ["XDG_CACHE_HOME", "HOME"].lazy.compactMap { name in
            getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 + (variables[name] ?? "") }
        }.first
        let path = "\(cache ?? "/var/cache")/martlet/models/smollm2-135m-instruct-q4_1.gguf"
        guard access(path, R_OK) == 0 else {
            throw CommandError(
                .notFound, "there is no model at \(path): it was not fetched yet. Run make model, or give --model FILE")
        }
        return path
    }

    private static var currentFolder: String {
        guard let folder = getcwd(nil, 0) else { return "." }
        defer { free(folder) }
        return String(cString: folder)
    }
}
