import Constraints
import GGUF
import Kernels
import Synchronization
import Tokenizers

/// A model ready to run: its shape, its mapped weights and its tokenizer. Immutable and shared by sessions.
public final class Model: Sendable {
    public let file: GGUFFile
    public let config: ModelConfig
    /// Why there is no tokenizer, or the tokenizer: raw token ids run without one.
    public let tokenizerResult: Result<Tokenizer, TokenizerError>
    public let chatTemplate: ChatTemplate
    /// The instruction-set tier its kernels belong to.
    public let tier: KernelTier
    /// The file with interleaved rows that the weights are mapped from, where there is one.
    private let packed: GGUFFile?
    /// Made when the first constraint asks for it.
    let tokenTrie = Mutex<TokenTrie?>(nil)
    private let ownFingerprint = Fingerprint()
    let weights: MappedWeights
    let table: KernelTable

    /// Maps and checks the file at `path`.
    ///
    /// Throws `GGUFError` for a file that is not GGUF, `ModelError` for one we cannot run, `TierError` for a
    /// `MARTLET_TIER` this CPU lacks.
    ///
    /// - Parameters:
    ///   - packedFolder: where its packed form may be, whose weights are then mapped instead; nil for none.
    ///   - chatTemplate: how conversations are written; nil for the file's own way.
    ///   - stretch: a context beyond the trained one; nil for none.
    public init(
        path: String, tier: KernelTier? = nil, packedFolder: String? = PackedModel.folder,
        chatTemplate: ChatTemplate? = nil, stretch: RopeStretch? = nil
    ) throws {
        file = try GGUFFile(path: path)
        config = try ModelConfig(file, stretch: stretch)
        self.tier = try tier ?? KernelTier.choose()
        table = KernelTable(tier: self.tier)
        packed = PackedModel.find(for: file, in: packedFolder)
        weights = try MappedWeights(packed ?? file, config, table)
        do throws(TokenizerError) {
            tokenizerResult = .success(try Tokenizer(file))
        } catch {
            tokenizerResult = .failure(error)
        }
        self.chatTemplate = chatTemplate ?? ChatTemplate.detect(in: file)
    }

    /// Whether decode reads interleaved rows.
    public var isPacked: Bool { (packed ?? file).tensors.contains(where: \.isInterleaved) }

    /// Tells its file from another. Where the packed form is mapped, that has it written down and the original is not read.
    var fingerprint: String { packed?.string(PackedModel.sourceKey) ?? ownFingerprint.of(file) }

    /// The tokenizer; throws why this file has none.
    public var tokenizer: Tokenizer {
        get throws(TokenizerError) { try tokenizerResult.get() }
    }

    /// Rows of the embedding; token ids are below it.
    public var vocabularyCount: Int { weights.tokenEmbd.rows }

    /// Bytes of weights that one decoded token reads.
    public var bytesPerToken: Int { weights.bytesPerToken }

    /// Weights in all tensors.
    public var parameterCount: Int { file.tensors.reduce(0) { $0 + $1.dimensions.reduce(1, *) } }
}
