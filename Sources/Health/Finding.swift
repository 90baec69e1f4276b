import Linux

/// One line of `martlet doctor`: what was found and what to do about it.
public struct Finding: Sendable, Equatable, Codable {
    public enum Severity: String, Sendable, Codable, CaseIterable, Comparable {
        case ok, notice, warning, problem

        /// Later cases are worse.
        public static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }
        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    public var severity: Severity
    /// A word or two: `memory`, `cgroup memory`.
    public var title: String
    /// What was found, one sentence.
    public var detail: String
    /// What to do, one sentence; nil when nothing is to be done.
    public var advice: String?

    public init(_ severity: Severity, _ title: String, _ detail: String, advice: String? = nil) {
        self.severity = severity
        self.title = title
        self.detail = detail
        self.advice = advice
    }
}

/// What `doctorFindings` looks at besides the file tree.
public struct Examination: Sendable {
    public var tree: FileTree
    public var readings: Readings
    public var limits: Limits
    public var board: Board?
    /// What the processor reports, as text, and the kernel tier that was chosen.
    public var features: String
    public var tier: String
    /// MB the configured models need: file pages that should stay in memory, and anonymous memory. Nil: unknown.
    public var modelMB: Int?

    public init(
        tree: FileTree = .machine, readings: Readings, limits: Limits = Limits(), board: Board?, features: String,
        tier: String, modelMB: Int? = nil
    ) {
        self.tree = tree
        self.readings = readings
        self.limits = limits
        self.board = board
        self.features = features
        self.tier = tier
        self.modelMB = modelMB
    }
}
