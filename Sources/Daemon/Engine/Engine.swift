import Dispatch
import Health
import Linux
import Synchronization

/// What the engine answered.
public enum Answer: Sendable {
    case classification(ClassifyAnswer)
    case summary(SummaryAnswer)
    case extraction(ExtractAnswer)
    case text(GenerateAnswer)
    case embedding(EmbedAnswer)

    var effort: Effort {
        switch self {
        case .classification(let answer): answer.effort
        case .summary(let answer): answer.effort
        case .extraction(let answer): answer.effort
        case .text(let answer): answer.effort
        case .embedding(let answer): answer.effort
        }
    }
}

/// A job done, and its times.
struct Outcome: Sendable {
    let job: Job
    let result: Result<Answer, EventFailure>
    /// Milliseconds from being ready to compute to being computed.
    var queueMilliseconds = 0.0
    /// Milliseconds from being ready to compute to being answered.
    var latencyMilliseconds = 0.0
}

/// The engine thread: takes jobs from the scheduler, runs them on its runner, hands the answers on.
final class Engine: Sendable {
    /// What the engine is, for `info` and `health`.
    struct Description: Sendable, Equatable {
        var models: [ModelInfo] = []
        var threads = 0
        /// The kernels' instruction-set tier.
        var tier = ""
    }

    private struct Reload {
        var models: [Configuration.ModelSection]
        var tasks: [TaskSection]
    }

    /// What the runner was made of.
    private struct Loaded {
        var models: [Configuration.ModelSection]
        var tasks: [TaskSection]
    }

    private struct State {
        var thread: EngineThread?
        var description = Description()
        var reload: Reload?
        var remaps = false
        var isCancelled = false
        var budget: Budget?
        var startFailure: DaemonError?
    }

    private let state = Mutex(State())
    private let scheduler: Scheduler
    private let progress: EngineProgress
    private let time: TimeSource
    private let makeRunner: TaskRunnerFactory
    private let ledger: WorkLedger?
    private let onOutcomes: @Sendable ([Outcome]) -> Void
    private let onReload: @Sendable (DaemonError?) -> Void

    /// - Parameters:
    ///   - onOutcomes: called on the engine thread with what was computed together.
    ///   - onReload: called on the engine thread when a reload is done, with why its models could not be loaded.
    init(
        scheduler: Scheduler, time: TimeSource, makeRunner: @escaping TaskRunnerFactory, ledger: WorkLedger? = nil,
        onOutcomes: @escaping @Sendable ([Outcome]) -> Void, onReload: @escaping @Sendable (DaemonError?) -> Void
    ) {
        self.scheduler = scheduler
        self.time = time
        self.makeRunner = makeRunner
        self.ledger = ledger
        self.onOutcomes = onOutcomes
        self.onReload = onReload
        progress = EngineProgress(time: time)
    }

    var description: Description { state.withLock { $0.description } }

    /// Whether a watchdog may be told that all is well.
    var isAlive: Bool {
        guard let signs = state.withLock({ $0.thread })?.signs() else { return true }
        return progress.isAlive(signs, hasWork: scheduler.count > 0)
    }

    /// Starts the thread and waits until the models are mapped, which is when the daemon is ready.
    func start(models: [Configuration.ModelSection], tasks: [TaskSection]) throws(DaemonError) {
        let loaded = DispatchSemaphore(value: 0)
        let thread = EngineThread(name: "martlet-engine") { [self] in
            do throws(DaemonError) {
                let runner = try makeRunner(models, { [self] in isCancelled })
                describe(runner)
                loaded.signal()
                runner.prepare(tasks)
                // Consumed, so that a reload frees the models this one mapped.
                serve(consume runner, Loaded(models: models, tasks: tasks))
            } catch {
                state.withLock { $0.startFailure = error }
                loaded.signal()
            }
        }
        guard let thread else {
            throw DaemonError(
                "cannot start the engine: the system has no thread left. Raise TasksMax= or ulimit -u", exitStatus: 70)
        }
        state.withLock { $0.thread = thread }
        loaded.wait()
        if let failure = state.withLock({ $0.startFailure }) { throw failure }
    }

    /// Takes over tasks and models before the next job; models that are loaded already stay loaded.
    func reload(models: [Configuration.ModelSection], tasks: [TaskSection]) {
        state.withLock { $0.reload = Reload(models: models, tasks: tasks) }
        scheduler.interrupt()
    }

    /// Maps the models again before the next job: there are better files of the same weights.
    func remap() {
        state.withLock { $0.remaps = true }
        scheduler.interrupt()
    }

    /// Ends the thread after its present job, which is told to hurry; false when it does not end in time.
    func stop(within limit: Duration) -> Bool {
        let thread = state.withLock { state in
            state.isCancelled = true
            return state.thread
        }
        return thread?.join(within: limit) ?? true
    }

    var budget: Budget? { state.withLock { $0.budget } }

    func setBudget(_ budget: Budget) { state.withLock { $0.budget = budget } }

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    private func describe(_ runner: any TaskRunner) {
        let description = Description(models: runner.models, threads: runner.threads, tier: runner.tier)
        state.withLock { $0.description = description }
    }

    private func serve(_ first: consuming any TaskRunner, _ loaded: Loaded) {
        var runner = consume first
        var loaded = loaded
        var pace = Pace()
        while true {
            switch scheduler.take(together: pace.together) {
            case .stopped: return
            case .interrupted:
                progress.rest()
                applyReload(to: &runner, &loaded)
                progress.end()
            case .jobs(let jobs):
                progress.rest()
                waitWhilePaused()
                progress.begin()
                if let budget { runner.apply(budget) }
                let start = time.monotonic()
                let keys = jobs.flatMap(\.spooledKeys)
                ledger?.begin(keys, at: .engine)
                let outcomes = run(jobs, on: runner)
                let work = time.monotonic() - start
                if case .classify = jobs.first?.work { pace.note(jobs.count, work) }
                onOutcomes(outcomes)
                ledger?.end(keys, at: .engine)
                scheduler.finish()
                progress.rest()
                rest(after: work)
                progress.end()
            }
        }
    }

    private func applyReload(to runner: inout any TaskRunner, _ loaded: inout Loaded) {
        let (reload, remaps) = state.withLock { state in
            defer { (state.reload, state.remaps) = (nil, false) }
            return (state.reload, state.remaps)
        }
        let next = reload.map { Loaded(models: $0.models, tasks: $0.tasks) } ?? loaded
        guard reload != nil || remaps else { return }
        var failure: DaemonError?
        if remaps || next.models != loaded.models {
            do throws(DaemonError) {
                runner = try makeRunner(next.models, { [self] in isCancelled })
                loaded.models = next.models
                describe(runner)
            } catch {
                failure = error
            }
        }
        if failure == nil {
            loaded.tasks = next.tasks
            runner.prepare(next.tasks)
        }
        // Models that were only to be mapped again stay as they are.
        if reload != nil { onReload(failure) }
    }

    /// Several jobs are classifications by the same classifier, which the scheduler saw to.
    private func run(_ jobs: [Job], on runner: any TaskRunner) -> [Outcome] {
        let start = time.monotonic()
        var results: [Result<Answer, EventFailure>] = []
        if jobs.count > 1, case .classify(_, let spec) = jobs[0].work {
            let texts = jobs.map { job in if case .classify(let text, _) = job.work { text } else { "" } }
            results = runner.classify(texts, spec).map { $0.map(Answer.classification) }
        } else {
            results = jobs.map { job in Result { () throws(EventFailure) in try answer(job, on: runner) } }
        }
        let end = time.monotonic()
        return zip(jobs, results).map { job, result in
            Outcome(
                job: job, result: result, queueMilliseconds: milliseconds(from: job.ready, to: start),
                latencyMilliseconds: milliseconds(from: job.ready, to: end))
        }
    }

    private func answer(_ job: Job, on runner: any TaskRunner) throws(EventFailure) -> Answer {
        switch job.work {
        case .classify(let text, let spec): .classification(try runner.classify(text, spec))
        case .summarize(let window, let spec): .summary(try runner.summarize(window.events, spec))
        case .extract(let text, let spec): .extraction(try runner.extract(text, spec))
        case .generate(let spec): .text(try runner.generate(spec))
        case .embed(let text, let model): .embedding(try runner.embed(text, model: model))
        }
    }

    private func milliseconds(from start: UInt64, to end: UInt64) -> Double {
        end > start ? Double(end - start) / 1e6 : 0
    }
}
