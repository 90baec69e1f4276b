import JSON
import Transport

extension Daemon {
    /// Reads the configuration again. A bad one changes nothing; a good one is in force before the next job.
    public func reload() { live.requestReload { _ in } }

    func beginReload() {
        guard let load = parts.loadConfiguration else {
            return live.answer(.failure(RequestError("this daemon has no configuration file to read again")))
        }
        parts.notifier.reloading()
        let old = live.current
        var new: Configuration
        do {
            new = try load()
        } catch {
            for problem in error.problems { log.error(problem.description) }
            let count = error.problems.count
            log.error(
                "the configuration is not reloaded: it has \(count) problem\(count == 1 ? "" : "s"). The old one stays")
            parts.notifier.ready()
            return live.answer(.failure(RequestError(error.description)))
        }
        for warning in new.warnings { log.warning(warning.description) }
        keepWhatNeedsARestart(of: old, in: &new)
        live.setNext(new)
        live.onFinish { [weak self] in self?.finishReload(from: old, to: $0, failure: $1) }
        engine.reload(models: new.models, tasks: new.tasks)
    }

    /// These are woven into topics, the connection and the open spool.
    private func keepWhatNeedsARestart(of old: Configuration, in new: inout Configuration) {
        var sections: [String] = []
        if new.device != old.device { sections.append("[device]") }
        if new.broker.session != old.broker.session { sections.append("[broker] protocol, client_id, session_expiry") }
        if new.limits.spool != old.limits.spool { sections.append("[limits] spool") }
        if new.limits.maxPayload > old.limits.maxPayload { sections.append("[limits] max_payload") }
        if !sections.isEmpty { log.warning("changes of \(sections.joined(separator: ", ")) need a restart") }
        new.device = old.device
        new.broker.session = old.broker.session
        new.limits.spool = old.limits.spool
        new.limits.maxPayload = min(new.limits.maxPayload, old.limits.maxPayload)
    }

    private func finishReload(from old: Configuration, to new: Configuration, failure: DaemonError?) {
        defer { parts.notifier.ready() }
        if let failure {
            log.error("the configuration is not reloaded: \(failure). The old one stays")
            return live.answer(.failure(RequestError(failure.description)))
        }
        let before = Set(Intake.filters(old))
        let after = Intake.filters(new)
        intake.configure(new)
        scheduler.setCapacity(new.limits.queue)
        parts.transport.unsubscribe(before.subtracting(after).sorted())
        do throws(TransportError) {
            let added = after.filter { !before.contains($0) }
            try parts.transport.subscribe(added.map { MQTTSubscription(filter: $0, qos: 1) })
        } catch {
            log.error("new subscriptions failed: \(error)")
        }
        forgetTasks(gone: Set(old.tasks.map(\.name)).subtracting(new.tasks.map(\.name)))
        publishInfo()
        if new.models != old.models { pack(new.models) }
        log.notice("the configuration is reloaded: \(new.tasks.count) tasks")
        live.answer(.success(.object(JSONObject())))
        // SIGHUP also means: the certificates are new, or try again now. Last, because what is sent after it goes into
        // a connection that is given up: subscriptions, and the answer to who asked for this.
        parts.transport.renew(new.mqttOptions)
    }

    private func forgetTasks(gone: Set<String>) {
        guard !gone.isEmpty else { return }
        for window in windows.removeAll(where: gone.contains) {
            do {
                try parts.spool.complete(window.keys, messages: [])
            } catch {
                log.error("the spool cannot be written: \(error)", every: "spool")
            }
        }
        // An empty retained message takes the old state off the broker.
        for name in gone.sorted() { outbox.retain("\(base)/task/\(name)/state", []) }
    }
}
