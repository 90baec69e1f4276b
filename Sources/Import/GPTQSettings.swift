import GGUF
import JSON

/// What config.json or quantize_config.json says of a GPTQ checkpoint.
struct GPTQSettings {
    /// Zeros are stored less 1: AutoGPTQ's format. GPTQModel's `gptq_v2` stores them as they are.
    let isFormat1: Bool

    /// Nil when the model is not quantised. Throws for quantisation other than 4-bit GPTQ.
    init?(_ config: HFConfig, _ folder: ModelFolder) throws(ImportError) {
        var settings = config["quantization_config"]
        if settings == nil { settings = try folder.json("quantize_config.json") }
        guard let settings else { return nil }
        let method = settings["quant_method"]?.string ?? "gptq"
        let bits = settings["bits"]?.integer ?? 4
        guard method == "gptq", bits == 4 else {
            throw ImportError(
                config.path, "it is quantised by \(quoted(method)) with \(bits) bits",
                "Get the model unquantised, or as GPTQ with 4 bits")
        }
        isFormat1 = settings["checkpoint_format"]?.string != "gptq_v2"
    }
}
