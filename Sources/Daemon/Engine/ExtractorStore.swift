import Tasks

/// Extractors by what they were made of: a schema is compiled once for a configuration and not for each event.
///
/// The tasks' own stay; those that requests have made give way to one another. On the engine thread only.
final class ExtractorStore {
    /// Extractors of requests that are kept: each may hold some MB of masks and states by and by.
    static let mostOthers = 2

    private var extractors: [ExtractSpec: Extractor] = [:]
    private var tasks: Set<ExtractSpec> = []
    /// Those of requests, least recently used first.
    private var others: [ExtractSpec] = []

    /// The tasks of a configuration; what only an older one had is forgotten.
    func keep(_ specs: [ExtractSpec]) {
        tasks = Set(specs)
        extractors = extractors.filter { tasks.contains($0.key) }
        others = []
    }

    /// The extractor of `spec`, made if there is none yet.
    func extractor(
        _ spec: ExtractSpec, make: () throws(TaskError) -> Extractor
    ) throws(TaskError) -> Extractor {
        if !tasks.contains(spec) { others = others.filter { $0 != spec } + [spec] }
        if let known = extractors[spec] { return known }
        if others.count > Self.mostOthers { extractors[others.removeFirst()] = nil }
        let made = try make()
        extractors[spec] = made
        return made
    }
}
