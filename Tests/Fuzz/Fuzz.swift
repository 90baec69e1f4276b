import Constraints
import GGUF
import Glibc
import Inference
import Safetensors
import Tokenizers

/// What bytes from outside are given to; `scripts/fuzz` names it in `MARTLET_FUZZ`.
private enum Target: String {
    /// A model file: the directory, the shape, the tokenizer with its template, and a text through both.
    case gguf
    case safetensors
    /// A JSON Schema, and the shortest text it allows.
    case schema
    /// A regular expression.
    case pattern
}

private let target = getenv("MARTLET_FUZZ").flatMap { Target(rawValue: String(cString: $0)) } ?? .gguf

/// A file that is only memory: the readers map what they read.
private let descriptor = memfd_create("fuzz", 0)
private let path = "/proc/self/fd/\(descriptor)"

/// Called by libFuzzer with every input. A crash, a trap, ten seconds or the memory limit are findings; errors are not.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: data, count: count)
    switch target {
    case .gguf: readModel(bytes)
    case .safetensors:
        write(bytes)
        _ = try? SafetensorsFile(path: path)
    case .schema:
        if let grammar = try? Grammar(schema: Array(bytes)) { precondition(!grammar.accepts([0xFF])) }
    case .pattern: _ = try? Grammar(pattern: String(decoding: bytes, as: UTF8.self))
    }
    return 0
}

private func write(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard ftruncate(descriptor, 0) == 0 else { return }
    _ = pwrite(descriptor, bytes.baseAddress, bytes.count, 0)
}

private func readModel(_ bytes: UnsafeBufferPointer<UInt8>) {
    write(bytes)
    guard let file = try? GGUFFile(path: path) else { return }
    _ = try? ModelConfig(file)
    _ = try? Model(path: path, packedFolder: nil)
    guard let tokenizer = try? Tokenizer(file) else { return }
    let text = "The freezer door is open: 4.5 °C!\n<|im_start|> 日本"
    var back: [UInt8] = []
    for token in tokenizer.encode(text, addSpecial: true, parseSpecial: true) { tokenizer.append(token, to: &back) }
    let template = ChatTemplate.detect(in: file)
    _ = template.segments([ChatMessage(.user, text)], addGenerationPrompt: true)
}
