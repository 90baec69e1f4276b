import JSON

/// Sensor Measurement Lists, RFC 8428, in the JSON form: an array of records with base fields.
enum SenML {
    /// The labels of section 12.2; a record with others is some other JSON.
    private static let labels: Set<String> = [
        "bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut",
    ]
    private static let values = ["v", "vs", "vb", "vd", "s"]

    /// `name value unit, …`, or nil when this is not SenML.
    static func describe(_ value: JSONValue) -> String? {
        guard let records = value.array, isPack(records) else { return nil }
        var name = ""
        var unit: String?
        var base: JSONValue?
        var parts: [String] = []
        for case .object(let record) in records {
            name = record["bn"]?.string ?? name
            unit = record["bu"]?.string ?? unit
            base = record["bv"] ?? base
            guard let measured = measured(record, base: base) else { continue }
            // Section 4.5.1: the name is the base name and the record's name joined.
            let words = [name + (record["n"]?.string ?? ""), measured, record["u"]?.string ?? unit ?? ""]
            parts.append(words.filter { !$0.isEmpty }.joined(separator: " "))
            if parts.count == PayloadText.mostMembers { break }
        }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    private static func isPack(_ records: [JSONValue]) -> Bool {
        guard !records.isEmpty else { return false }
        var hasName = false
        var hasValue = false
        for record in records {
            guard let members = record.object else { return false }
            // Section 4.4: labels ending in "_" must be understood; others unknown to us may be ignored, but an
            // array of arbitrary objects must not be taken for SenML, so every label has to be known.
            guard members.allSatisfy({ labels.contains($0.key) }) else { return false }
            hasName = hasName || members["n"]?.string != nil || members["bn"]?.string != nil
            hasValue = hasValue || values.contains { members[$0] != nil }
        }
        return hasName && hasValue
    }

    /// Section 4.5.4: a base value is added to a numeric value; the sensor's digits stay when there is none.
    private static func measured(_ record: JSONObject, base: JSONValue?) -> String? {
        guard let base = base?.double, base != 0 else {
            return values.lazy.compactMap { record[$0] }.first.map(PayloadText.inline)
        }
        if let value = record["v"]?.double {
            var writer = JSONWriter()
            // Twelve decimals: enough for any sensor, and 20.1 + 0.2 prints as 20.3.
            writer.number(base + value, decimals: 12)
            return writer.text
        }
        return values.lazy.compactMap { record[$0] }.first.map(PayloadText.inline)
    }
}
