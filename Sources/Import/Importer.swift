import GGUF
import JSON
import Linux
import Quantizers

/// Makes a GGUF file of a Hugging Face folder: what Martlet and llama.cpp both read.
public struct Importer {
    /// Formats that can be asked for; vectors and some small tensors stay floats.
    public enum Format: String, Sendable, CaseIterable {
        case f16 = "F16"
        case q8_0 = "Q8_0"
        case q4_0 = "Q4_0"
        case q4_1 = "Q4_1"
        case q4_K = "Q4_K"

        var quantizer: Quantizer {
            switch self {
            case .f16: .f16
            case .q8_0: .q8_0
            case .q4_0: .q4_0
            case .q4_1: .q4_1
            case .q4_K: .q4_K
            }
        }

        /// `general.file_type`.
        var fileType: UInt32 {
            switch self {
            case .f16: 1
            case .q4_0: 2
            case .q4_1: 3
            case .q8_0: 7
            case .q4_K: 14
            }
        }
    }

    /// What became of one tensor.
    public struct TensorReport: Sendable {
        public let name: String
        /// GGUF order: the row length first.
        public let dimensions: [Int]
        public let from: String
        public let to: String
        public let bytes: Int
        /// Root of the mean squared error; 0 when every weight is as it was.
        public let rmse: Double
        /// Root of the squared error's share in the squares of the weights.
        public let relativeError: Double
        public let largestError: Float
        /// Whether GPTQ's levels were taken over as they are.
        public let isLossless: Bool
        /// Why it is not stored as asked for; nil when it is.
        public let note: String?
    }

    public let architecture: String
    /// Tensors that will be written.
    public let tensorCount: Int
    /// Weights in them.
    public let weightCount: Int
    /// Tensors left out because they belong to an encoder of images or sound.
    public let skippedTensors: Int

    private let writer: GGUFWriter
    private let planned: [PlannedTensor]
    private let path: String

    /// Reads everything but the weights of the model in `folder`, and plans its file.
    ///
    /// - Parameter preTokenizer: GGUF's name of the byte-level pre-tokenizer; nil finds it.
    /// - Throws: `ImportError`, `SafetensorsError` and `GGUFError`, each one sentence.
    public init(folder path: String, format: Format, preTokenizer: String? = nil) throws {
        let folder = try ModelFolder(path: path)
        var config = try HFConfig(folder)
        guard let model = config.model, let architecture = Architecture.of(model) else {
            let known = Architecture.all.map(\.name).joined(separator: ", ")
            throw ImportError(
                path, "its model is \(quoted(config.model ?? "not named in config.json"))", "Supported are \(known)")
        }
        config.defaults = architecture.defaults
        try config.check()
        let checkpoint = try Checkpoint(folder)
        let plan = try ImportPlan(checkpoint, folder, architecture, config, format.quantizer)
        self.path = path
        self.architecture = architecture.name
        planned = plan.tensors
        tensorCount = planned.count
        weightCount = planned.reduce(0) { $0 + $1.dimensions.reduce(1, *) }
        skippedTensors = checkpoint.skipped
        var writer = GGUFWriter()
        try ModelMetadata(folder: folder, config: config, architecture: architecture, format: format)
            .write(to: &writer)
        try VocabularyImport(
            folder: folder, config: config, architecture: architecture, rows: plan.vocabularyRows,
            preTokenizer: preTokenizer
        ).write(to: &writer)
        for tensor in planned {
            guard (tensor.dimensions.first ?? 0) <= TensorEncoder.longestRow else {
                throw ImportError(path, "tensor \(tensor.name) has rows of unusable length", "Download the model again")
            }
            try writer.add(tensor: tensor.name, tensor.dimensions, tensor.encoding.format.ggml)
        }
        self.writer = writer
    }

    /// Writes the file, replacing `output` only when complete.
    ///
    /// - Parameters:
    ///   - threads: that encode.
    ///   - report: called with each tensor when it is written, and the weights done so far.
    public func write(
        to output: String, threads: Int, report: (TensorReport, Int) -> Void = { _, _ in }
    ) throws {
        let encoder = TensorEncoder(threads: threads)
        var unusable: String?
        var (index, done) = (0, 0)
        do {
            try writer.write(to: output) { (described, file) throws(SystemError) in
                let tensor = planned[index]
                index += 1
                let sums = try encoder.encode(tensor) { bytes throws(SystemError) in try file.append(bytes) }
                if sums.isUnusable {
                    unusable = tensor.name
                    throw SystemError("write", output, code: 125)
                }
                let weights = tensor.dimensions.reduce(1, *)
                done += weights
                report(Self.report(tensor, described, sums, weights), done)
            }
        } catch {
            guard let unusable else { throw error }
            throw ImportError(
                path,
                "tensor \(unusable) holds weights that are no numbers or larger than \(Int(Quantizer.largestWeight))",
                "Download the model again")
        }
    }

    private static func report(
        _ tensor: PlannedTensor, _ described: GGUFWriter.Tensor, _ sums: TensorEncoder.Sums, _ weights: Int
    ) -> TensorReport {
        var isLossless = false
        if case .lossless = tensor.encoding { isLossless = true }
        return TensorReport(
            name: tensor.name, dimensions: tensor.dimensions, from: tensor.sourceType, to: described.type.name,
            bytes: described.byteCount, rmse: (sums.errors / Double(max(1, weights))).squareRoot(),
            relativeError: sums.squares > 0 ? (sums.errors / sums.squares).squareRoot() : 0,
            largestError: sums.worst, isLossless: isLossless, note: tensor.note)
    }
}

extension Quantizer {
    var ggml: GGMLType {
        switch self {
        case .f32: .f32
        case .f16: .f16
        case .q4_0: .q4_0
        case .q4_1: .q4_1
        case .q5_0: .q5_0
        case .q8_0: .q8_0
        case .q4_K: .q4_K
        }
    }
}
