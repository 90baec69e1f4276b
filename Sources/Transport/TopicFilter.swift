/// Whether `topic` is covered by `filter`, by the rules of MQTT 5 section 4.7 and 4.8.2.
///
/// `+` stands for one level, also an empty one; `#` for the parent and all levels below; topics that start with `$`
/// are not matched by a filter that starts with a wildcard. A `$share/group/` prefix is ignored.
/// An invalid filter or topic matches nothing. Compares bytes, as a broker does: no Unicode normalisation.
public func topicMatches(filter: String, topic: String) -> Bool {
    guard topicFilterProblem(filter) == nil, isValidTopic(topic) else { return false }
    let filter = unshared(filter)
    // String.split would allocate per level; a message is matched against every task's filters.
    var pattern = filter.utf8[...]
    var name = topic.utf8[...]
    if name.first == dollar, let first = pattern.first, first == plus || first == hash { return false }
    while true {
        let level = pattern.prefix { $0 != slash }
        if level.elementsEqual(CollectionOfOne(hash)) { return true }
        let nameLevel = name.prefix { $0 != slash }
        guard level.elementsEqual(CollectionOfOne(plus)) || level.elementsEqual(nameLevel) else { return false }
        pattern = pattern[level.endIndex...]
        name = name[nameLevel.endIndex...]
        switch (pattern.popFirst() != nil, name.popFirst() != nil) {
        case (true, true): continue
        case (false, false): return true
        // "sport/tennis/#" also covers its parent "sport/tennis".
        case (true, false): return pattern.elementsEqual(CollectionOfOne(hash))
        case (false, true): return false
        }
    }
}

/// What is wrong with a topic filter, as half a sentence; nil when it may be subscribed to.
public func topicFilterProblem(_ filter: String) -> String? {
    if let problem = lengthOrCharacterProblem(filter) { return problem }
    var rest = filter[...]
    if filter.utf8.starts(with: sharePrefix) {
        guard let parts = sharedFilterParts(filter) else {
            return "$share needs a group and a filter: $share/group/filter"
        }
        guard !parts.group.utf8.contains(where: { $0 == plus || $0 == hash }) else {
            return "a share group must not have + or #"
        }
        rest = parts.filter
    }
    var bytes = rest.utf8[...]
    while true {
        let level = bytes.prefix { $0 != slash }
        bytes = bytes[level.endIndex...]
        let more = bytes.popFirst() != nil
        if level.contains(hash), level.count > 1 || more { return "# must be a level of its own, the last" }
        if level.contains(plus), level.count > 1 { return "+ must be a level of its own" }
        if !more { return nil }
    }
}

/// Whether a message can be published to `topic`.
public func isValidTopic(_ topic: String) -> Bool {
    lengthOrCharacterProblem(topic) == nil && !topic.utf8.contains { $0 == plus || $0 == hash }
}

private let slash = UInt8(ascii: "/")
private let plus = UInt8(ascii: "+")
private let hash = UInt8(ascii: "#")
private let dollar = UInt8(ascii: "$")

private func lengthOrCharacterProblem(_ text: String) -> String? {
    if text.isEmpty { return "it is empty" }
    // MQTT strings have a two-byte length.
    if text.utf8.count > 65535 { return "it is longer than 65,535 bytes" }
    if text.utf8.contains(0) { return "it has a NUL character" }
    return nil
}

/// Splits `$share/group/filter`; nil when it is not of that form or a part is empty.
///
/// On bytes: as Characters, a "/" with a combining mark behind it would not be found.
/// A filter without its share group, if it has one.
public func unshared(_ filter: String) -> Substring { sharedFilterParts(filter)?.filter ?? filter[...] }

private func sharedFilterParts(_ filter: String) -> (group: Substring, filter: Substring)? {
    let bytes = filter.utf8
    guard bytes.starts(with: sharePrefix) else { return nil }
    let rest = bytes.dropFirst(sharePrefix.count)
    guard let end = rest.firstIndex(of: slash) else { return nil }
    let group = filter[rest.startIndex..<end]
    let inner = filter[bytes.index(after: end)...]
    return group.isEmpty || inner.isEmpty ? nil : (group, inner)
}

private let sharePrefix = Array("$share/".utf8)
