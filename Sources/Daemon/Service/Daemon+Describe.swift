import Glibc
import Health
import JSON
import Linux

extension Daemon {
    /// Publishes `…/info`; again whenever models or tasks have changed.
    func publishInfo() {
        let payload = JSONWriter.bytes(reserving: 1024) { json in
            let configuration = live.current
            let description = engine.description
            json.member("device", configuration.device.id)
            json.member("version", parts.build.version)
            json.member("commit", parts.build.commit)
            json.member("board", boardName)
            json.object("cpu") { json in
                let topology = CPUTopology.machine
                json.member("cores", topology.performance.count + topology.efficiency.count)
                json.member("performance_cores", topology.performance.count)
                json.member("features", CPUFeatures.detect().description)
            }
            json.member("tier", description.tier)
            json.array("models") { json in for model in description.models { write(model, to: &json) } }
            json.array("tasks") { json in for task in configuration.tasks { write(task, to: &json) } }
        }
        outbox.retain("\(base)/info", payload)
    }

    /// Computes the digests that the configuration does not give, and publishes `info` again with them.
    func publishDigests(of models: [Configuration.ModelSection]) {
        guard let digest = parts.digest, models.contains(where: { $0.sha256 == nil }) else { return }
        // The thread ends by itself; nobody waits for it, and it yields to the engine.
        _ = EngineThread(name: "martlet-digest") { [weak self] in
            // On Linux the niceness is the thread's own.
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
            for model in models where model.sha256 == nil {
                guard let text = digest(model.path) else { continue }
                self?.live.setDigest(text, of: model.path)
            }
            self?.publishInfo()
        }
    }

    /// Makes the packed forms of models that have none, and lets the engine map them.
    func pack(_ models: [Configuration.ModelSection]) {
        guard let pack = parts.pack, models.contains(where: \.pack) else { return }
        _ = EngineThread(name: "martlet-pack") { [weak self] in
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
            var isNew = false
            for model in models where model.pack {
                let result = pack(model.path) { [weak self] in self.map { !$0.engine.isCancelled } ?? false }
                guard let self, !self.engine.isCancelled else { return }
                switch result {
                case .notNeeded: break
                case .packed(let path, let seconds):
                    isNew = true
                    self.log.notice(
                        "the model \(model.name) is packed for speed: \(path), \(Int(seconds.rounded(.up))) s")
                case .failed(let why):
                    // No harm: its rows are read as they stand in the file.
                    self.log.notice("the model \(model.name) is not packed: \(why)")
                }
            }
            if isNew { self?.engine.remap() }
        }
    }

    private var boardName: String {
        let configured = live.current.device.board
        if configured != "auto" { return configured }
        return Board.detect(parts.tree)?.id ?? Board.model(parts.tree) ?? "unknown"
    }

    private func write(_ model: ModelInfo, to json: inout JSONWriter) {
        json.object { json in
            json.member("name", model.name)
            if let sha256 = model.sha256 ?? live.digest(ofModel: model.name) { json.member("sha256", sha256) }
            json.member("architecture", model.architecture)
            json.member("parameters", model.parameters)
            json.member("bytes", model.bytes)
        }
    }

    private func write(_ task: TaskSection, to json: inout JSONWriter) {
        json.object { json in
            json.member("name", task.name)
            json.member("kind", task.kind.rawValue)
            json.member("model", task.model)
            json.array("subscribe") { json in for filter in task.subscribe { json.string(filter) } }
            if !task.labels.isEmpty { json.array("labels") { json in for label in task.labels { json.string(label) } } }
        }
    }

    static func pong(_ build: BuildInfo, device: String, uptime: Int) -> JSONValue {
        .object(
            JSONObject([
                ("device", .string(device)), ("version", .string(build.version)),
                ("uptime_s", .number(JSONNumber(uptime))),
            ]))
    }

    static func monitorOptions(_ configuration: Configuration, _ parts: DaemonParts) -> HealthMonitor.Options {
        let board = board(configuration, parts)
        let folder = parts.spool.path.flatMap { path in path.lastIndex(of: "/").map { String(path[..<$0]) } }
        return HealthMonitor.Options(diskPath: folder, thermalZone: board?.thermalZone)
    }

    /// The configured board, or the one this machine is; nil when that is unknown.
    static func board(_ configuration: Configuration, _ parts: DaemonParts) -> Board? {
        configuration.device.board == "auto" ? Board.detect(parts.tree) : .named(configuration.device.board)
    }

    /// What health and governor judge by: the configuration, else the board's defaults, else those of the contract.
    func limits(_ configuration: Configuration) -> Limits {
        let board = Self.board(configuration, parts)
        let bytes = configuration.limits.memory ?? (board?.memoryLimitMB ?? 200) << 20
        return Limits(
            maxTemperatureC: configuration.limits.maxTemperature ?? board?.maxTemperatureC ?? 78,
            memoryMB: Double(bytes) / 1_048_576, threads: max(1, engine.description.threads),
            context: configuration.models.map(\.context).max() ?? 2048)
    }

    static func mqttHealth(_ parts: DaemonParts, _ live: LiveConfiguration) -> MQTTHealth {
        let counters = parts.transport.counters
        return MQTTHealth(
            connected: parts.transport.isConnected, reconnects: counters.reconnects, received: counters.received,
            published: counters.published, spooled: (try? parts.spool.counts())?.messages ?? 0,
            lastProblem: live.lastProblem?.rawValue)
    }

    static func engineHealth(
        _ level: Budget.Level, _ scheduler: Scheduler, _ engine: Engine, _ publisher: OutcomePublisher,
        _ latency: LatencyHistogram
    ) -> EngineHealth {
        let counters = scheduler.counters
        let speeds = publisher.speeds
        func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }
        return EngineHealth(
            queue: scheduler.count, dropped: counters.dropped, expired: counters.expired,
            prefillTPS: speeds.prefill.map(rounded), decodeTPS: speeds.decode.map(rounded),
            latencyMS: latency.quantiles.map { LatencyHealth(p50: $0.p50, p95: $0.p95, p99: $0.p99) },
            threads: min(engine.description.threads, engine.budget?.threads ?? .max), governor: level.rawValue)
    }
}
