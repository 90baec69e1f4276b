import Transport

extension ConfigurationReader {
    /// What clients may ask for. Off is off: then there is no subscription to the request topics either.
    func requests(_ table: TableReader) -> Configuration.RequestsSection {
        var requests = Configuration.RequestsSection()
        requests.isEnabled = table.bool("enabled") ?? requests.isEnabled
        requests.modelLoad = table.bool("model_load") ?? requests.modelLoad
        if let filters = table.strings("response_topics", example: "[\"answers/#\"]") {
            for filter in filters {
                guard let problem = topicFilterProblem(filter.value) else { continue }
                problems.error(
                    filter.line, "response_topics: \"\(filter.value)\" is not a topic filter: \(problem)",
                    "Write filters as answers/#, or [] for none")
            }
            requests.responseTopics = filters.map(\.value)
        }
        table.finish(hints: ["allow": "Did you mean enabled?"])
        return requests
    }
}
