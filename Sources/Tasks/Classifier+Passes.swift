import Inference

// What the model says about events, several in a pass.
extension Classifier {
    /// For each answer the labels' probabilities.
    typealias Scores = (answers: [[Double]], tokens: TokenCount)

    /// What the model thinks of each event, in as few passes as there is room for.
    func evaluate(_ texts: [String]) -> [Result<Scores, TaskError>] {
        let events = texts.map { template.eventTokens($0) + template.suffix }
        var results: [Result<Scores, TaskError>] = []
        for pass in passes(events) { results += evaluate(pass) }
        return results
    }

    /// Cuts events into passes, in order and about evenly: a last pass of one event would unpack all weights for it.
    private func passes(_ events: [[Int32]]) -> [ArraySlice<[Int32]>] {
        guard !events.isEmpty else { return [] }
        let sizes = events.map { $0.count + template.tree.nodes.count }
        var ends: [Int] = []
        func cut(atMost most: Int) {
            ends = []
            var start = 0
            for index in sizes.indices {
                let count = index + 1 - start
                guard count > 1 else { continue }
                guard count > most || !fits(Array(sizes[start...index])) else { continue }
                ends.append(index)
                start = index
            }
            ends.append(sizes.count)
        }
        cut(atMost: sizes.count)
        if ends.count > 1 { cut(atMost: (sizes.count + ends.count - 1) / ends.count) }
        return zip([0] + ends, ends).map { events[$0..<$1] }
    }

    /// Whether events of so many tokens fit a pass behind the prefix, which may not be computed yet.
    private func fits(_ sizes: [Int]) -> Bool { shared.session.fits(trees: sizes, behind: template.prefix.count) }

    /// One pass; where it fails, its events are tried one by one, so that what fails is what is to blame.
    private func evaluate(_ events: ArraySlice<[Int32]>) -> [Result<Scores, TaskError>] {
        do throws(TaskError) {
            return try compute(events).map { .success($0) }
        } catch {
            guard events.count > 1 else { return events.map { _ in .failure(error) } }
            return events.flatMap { evaluate([$0]) }
        }
    }

    private func compute(_ events: ArraySlice<[Int32]>) throws(TaskError) -> [Scores] {
        let cached = try shared.activate(prefix)
        let session = shared.session
        defer { session.truncate(to: template.prefix.count) }
        let answers: [[[Double]]]
        do throws(InferenceError) {
            if let event = events.first, events.count == 1 {
                answers = [try template.tree.scores(behind: event, on: session)]
            } else {
                answers = try template.tree.scores(behindEach: Array(events), on: session)
            }
        } catch {
            throw TaskError(error)
        }
        return zip(events, answers).enumerated().map { index, each in
            let count = template.prefix.count + each.0.count + template.tree.nodes.count
            // The first one's pass computes the prefix where it was not kept.
            let cached = index == 0 ? cached : template.prefix.count
            return (each.1, TokenCount(prompt: count, cached: cached, generated: 0))
        }
    }
}
