import JSON

/// config.json, with the parts of a text model in a larger one brought up to the top.
///
/// A key that is null counts as absent. Sizes that other sizes are computed from are checked once, here.
struct HFConfig {
    let path: String
    private let root: JSONValue
    private let text: JSONValue?
    /// Values that the model's code takes when config.json is silent.
    var defaults: [String: Double] = [:]

    init(_ folder: ModelFolder) throws(ImportError) {
        path = folder.path
        guard let root = try folder.json("config.json"), root.object != nil else {
            throw ImportError(
                folder.path, "it has no config.json", "Give the folder of a Hugging Face model", kind: .notFound)
        }
        self.root = root
        text = root["text_config"]
    }

    subscript(key: String) -> JSONValue? {
        for value in [text?[key], root[key]] {
            if let value, value != .null { return value }
        }
        return nil
    }

    /// The first of `keys` that is a number, as a whole one.
    func integer(_ keys: String...) -> Int? { number(keys).flatMap { Int(exactly: $0) } }
    /// The first of `keys` that is a number.
    func double(_ keys: String...) -> Double? { number(keys) }

    private func number(_ keys: [String]) -> Double? {
        for key in keys { if let value = self[key]?.double { return value } }
        for key in keys { if let value = defaults[key] { return value } }
        return nil
    }

    func bool(_ key: String) -> Bool? { self[key]?.bool }

    /// What a model calls itself, the first of `architectures`.
    var model: String? { (root["architectures"] ?? text?["architectures"])?.array?.first?.string }

    /// Rotary parameters of the full-attention layers, wherever this generation of the format has them.
    var rope: JSONValue? {
        let all = self["rope_parameters"] ?? self["rope_scaling"]
        return all?["full_attention"] ?? all
    }

    var ropeTheta: Double? {
        rope?["rope_theta"]?.double ?? double("rope_theta", "rotary_emb_base", "global_rope_theta")
    }

    var ropeThetaOfWindows: Double? {
        self["rope_parameters"]?["sliding_attention"]?["rope_theta"]?.double
            ?? double("rope_local_base_freq", "local_rope_theta")
    }

    var partialRotaryFactor: Double? {
        rope?["partial_rotary_factor"]?.double ?? double("partial_rotary_factor")
    }

    var blocks: Int { integer("num_hidden_layers", "n_layer") ?? 0 }
    var width: Int { integer("hidden_size", "n_embd") ?? 0 }
    var heads: Int { integer("num_attention_heads", "n_head") ?? 0 }
    var keyHeads: Int { integer("num_key_value_heads") ?? heads }
    var experts: Int { integer("num_local_experts", "num_experts", "n_routed_experts") ?? 0 }
    /// What the model says, else the share of a head in the width.
    var headLength: Int { integer("head_dim") ?? (heads > 0 ? width / heads : 0) }

    /// Refuses sizes that no model has, so that what is computed from them cannot overflow.
    func check() throws(ImportError) {
        let sizes = [
            ("num_hidden_layers", blocks, 1...4096), ("hidden_size", width, 1...1 << 20),
            ("num_attention_heads", heads, 1...1 << 14), ("num_key_value_heads", keyHeads, 1...1 << 14),
            ("head_dim", headLength, 1...1 << 14), ("num_local_experts", experts, 0...1 << 14),
        ]
        for (key, value, range) in sizes where !range.contains(value) {
            throw ImportError(path, "config.json has no usable \(key)", "Download config.json again")
        }
    }
}
