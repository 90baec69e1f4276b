import Tasks

/// What is made of a specification and used again: classifiers, summarizers, extractors.
///
/// The tasks' own stay; those that requests have made give way to one another, least recently used first. On the
/// engine thread only.
final class SpecStore<Spec: Hashable, Made> {
    private let mostOthers: Int
    private var made: [Spec: Made] = [:]
    private var tasks: Set<Spec> = []
    /// Those of requests, least recently used first.
    private var others: [Spec] = []

    /// - Parameter mostOthers: those of requests that are kept.
    init(mostOthers: Int) { self.mostOthers = mostOthers }

    /// The tasks of a configuration; what only an older one or a request had is forgotten.
    func keep(_ specs: [Spec]) {
        tasks = Set(specs)
        made = made.filter { tasks.contains($0.key) }
        others = []
    }

    func isTask(_ spec: Spec) -> Bool { tasks.contains(spec) }

    /// What was made of `spec`, or is made now.
    func get(_ spec: Spec, make: () throws(TaskError) -> Made) throws(TaskError) -> Made {
        if let known = made[spec] {
            if let place = others.firstIndex(of: spec) { others.append(others.remove(at: place)) }
            return known
        }
        // Room first: both at once would be more than is allowed for.
        if !isTask(spec), others.count >= mostOthers { made[others.removeFirst()] = nil }
        let new = try make()
        made[spec] = new
        if !isTask(spec) { others.append(spec) }
        return new
    }
}
