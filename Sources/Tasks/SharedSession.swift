import Inference

/// The beginning of a prompt that is the same for every event of a task. A class for its identity: two tasks with equal
/// tokens may share one, but need not.
public final class Prefix {
    public let tokens: [Int32]
    /// The adapters it is computed with; nil: those of the model.
    public let adapters: [ScaledAdapter]?
    /// Whether its state outlives the process, where there is a store: that of a task, which comes again after every
    /// start. A request's would wear the card and push the tasks' out.
    let isSaved: Bool
    /// The state behind it, kept while another prefix is in the session.
    fileprivate var state: PrefixState?
    /// When it was last used, for choosing which state to give up.
    fileprivate var lastUse = 0

    public init(_ tokens: [Int32], adapters: [ScaledAdapter]? = nil, isSaved: Bool = false) {
        self.tokens = tokens
        self.adapters = adapters
        self.isSaved = isSaved
    }
}

/// One session that several tasks use in turn, each behind its own prefix.
///
/// A task that is used again finds its prefix in the cache; only a switch copies states out and in (22.5 KiB a token for
/// SmolLM2-135M). Owned by the engine thread, as the session is.
public final class SharedSession {
    public let session: Session
    private var active: Prefix?
    /// Prefixes with a state, so that memory can be bounded.
    private var kept: [Prefix] = []
    private var uses = 0
    private let mostKeptBytes: Int
    /// What acts where a prefix names no adapters: what the session was given with.
    private let adapters: [ScaledAdapter]
    /// Where states outlive the process; nil: nowhere.
    private let store: PrefixStore?

    /// - Parameters:
    ///   - mostKeptBytes: of states kept for switching. Beyond it the least recently used is computed anew. 8 MiB hold about eight
    ///     tasks' prefixes of SmolLM2-135M and fit the anonymous memory of a 512 MB board. Mapped ones do not count.
    ///   - store: where states are looked for before they are computed, and kept; nil for nowhere.
    public init(_ session: Session, mostKeptBytes: Int = 8 << 20, store: PrefixStore? = nil) {
        self.session = session
        self.store = store
        self.mostKeptBytes = mostKeptBytes
        adapters = session.scaledAdapters
    }

    /// Makes the session end behind `prefix`; the tokens that need not be computed for that.
    func activate(_ prefix: Prefix) throws(TaskError) -> Int {
        uses += 1
        prefix.lastUse = uses
        if active === prefix {
            session.truncate(to: prefix.tokens.count)
            return prefix.tokens.count
        }
        putAside()
        session.use(prefix.adapters ?? adapters)
        let store = prefix.isSaved ? store : nil
        // One that does not fit is left, so that `evaluate` says why.
        if let state = prefix.state ?? store?.find(prefix.tokens, for: session), session.restore(state) {
            prefix.state = state
            active = prefix
            return prefix.tokens.count
        }
        do throws(InferenceError) {
            try session.evaluate(prefix.tokens)
        } catch {
            session.truncate(to: 0)
            throw TaskError(error)
        }
        active = prefix
        // A full or read-only disk costs the next start its time, nothing else.
        prefix.state = try? store?.save(session.snapshot(), prefix.tokens, for: session)
        return 0
    }

    /// Empties the session for a use without prefix, the active one's state being kept.
    public func release() {
        putAside()
        session.use(adapters)
    }

    /// The same without adapters being laid out, for a use that names its own.
    private func putAside() {
        if let active, active.state == nil, session.count >= active.tokens.count {
            session.truncate(to: active.tokens.count)
            active.state = session.snapshot()
            kept.append(active)
            shed()
        }
        active = nil
        session.truncate(to: 0)
    }

    /// Forgets a prefix that is not needed any more.
    func forget(_ prefix: Prefix) {
        prefix.state = nil
        kept.removeAll { $0 === prefix }
        if active === prefix { active = nil }
    }

    private func shed() {
        while kept.count > 1, kept.reduce(0, { $0 + ($1.state?.byteCount ?? 0) }) > mostKeptBytes {
            guard let oldest = kept.indices.min(by: { kept[$0].lastUse < kept[$1].lastUse }) else { return }
            kept[oldest].state = nil
            kept.remove(at: oldest)
        }
    }
}
