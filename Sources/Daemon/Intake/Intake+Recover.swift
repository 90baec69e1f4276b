import Linux
import Spool
import Synchronization
import Transport

extension Intake {
    /// Takes up what an earlier run has stored but not answered. Call before the transport starts.
    ///
    /// Returns the marks of what was delivered last, oldest first: the broker may not have got our acknowledgements and
    /// send it again.
    func recover() -> [DeliveryMark] {
        let tasks = Dictionary(state.withLock { $0.routes }.map { ($0.task.name, $0.task) }) { first, _ in first }
        var cursor = Spool.Cursor.start
        var count = 0
        var known: Set<SpooledEvent.Key> = []
        do {
            while true {
                let page = try spool.pendingEvents(after: cursor, limit: 100)
                guard !page.events.isEmpty else { break }
                cursor = page.next
                for event in page.events {
                    if recover(event, tasks: tasks) { known.insert(event.key) }
                }
                count += page.events.count
            }
        } catch {
            log.error("the spool cannot be read: \(error)")
        }
        ledger?.forget { !known.contains($0) }
        if count > 0 { log.notice("\(count) events of an earlier run are taken up") }
        do {
            return try spool.recentDeliveries().map { DeliveryMark(packetID: $0.packetID, digest: $0.digest) }
        } catch {
            log.error("the spool cannot be read: \(error)")
            return []
        }
    }

    /// The broker has begun a new session.
    func forgetDeliveries() {
        do {
            try spool.forgetDeliveries()
        } catch {
            log.error("the spool cannot be written: \(error)", every: "spool")
        }
    }

    /// Whether something is known against the event and it is tried once more.
    private func recover(_ stored: SpooledEvent, tasks: [String: TaskSection]) -> Bool {
        guard let task = tasks[stored.task] else {
            // Its task was removed while the daemon was down: nobody waits for an answer.
            discard(stored.key)
            return false
        }
        let suspicion = ledger?.suspicion(of: stored.key)
        if let suspicion, suspicion.isEnough {
            setAside(stored, suspicion, task)
            return false
        }
        process(
            Event(stored), payload: Payload(stored.payload), for: task, isSpooled: true, isSuspect: suspicion != nil)
        return suspicion != nil
    }

    /// Answers an event that the process died of with that, and keeps it for whoever looks for the fault.
    private func setAside(_ stored: SpooledEvent, _ suspicion: WorkLedger.Suspicion, _ task: TaskSection) {
        let deaths = suspicion.crashes + suspicion.kills
        let count = setAsideCount.add(1, ordering: .relaxed).newValue
        // A window may have thousands, and each that is kept waits for the card.
        if count <= WorkLedger.mostKept {
            do throws(SystemError) {
                try ledger?.keep(stored, suspicion)
            } catch {
                log.error("an event that is set aside cannot be kept: \(error)", every: "quarantine")
            }
        }
        log.error(
            "the event \(stored.id) of \(stored.topic) is set aside: the process died \(deaths) times while it worked on "
                + "it. It is kept in the folder quarantine, beside the spool", task: task.name, every: "set aside")
        fail(job(of: Event(stored), for: task, isSpooled: true), .quarantined(deaths: deaths))
    }

    func discard(_ key: SpooledEvent.Key) {
        do {
            try spool.complete(key, messages: [])
        } catch {
            log.error("the spool cannot be written: \(error)", every: "spool")
        }
    }
}
