import GGUF
import Glibc
import Inference
import Linux
import TestModels
import Testing

/// A share of the largest logit, where both are computed by tiles, or by rows that add floats in the order of the tiles.
/// Attention does not.
private let logitTolerance: Float = 1e-4

/// Normalised mean squared error where the order differs: a last bit flips roundings to 8 bits in the next product, and
/// thirty layers multiply such flips. On ARM one token of these comes to 1.7e-3.
private let roundingTolerance: Float = 5e-3

/// Rows of the ARM tiers add what belongs to minima and scales in another order than tiles do.
#if arch(arm64)
private let rowsAddAsTiles = false
#else
private let rowsAddAsTiles = true
#endif

private func error(_ got: [Float], _ expected: [Float]) -> Float {
    zip(got, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / expected.reduce(0) { $0 + $1 * $1 }
}

@Suite struct PackedModelTests {
    /// The real model's packed form, in a folder of its own that goes away with it.
    private final class Packed {
        let folder: String
        let original: Model
        let path: String

        init() throws {
            folder = try makeTemporaryFolder(prefix: "martlet-packed-", in: "/tmp")
            original = try Model(path: realModel().file.path, packedFolder: nil)
            path = PackedModel.path(for: original.file, in: folder)
            try makeFolders(folder + "/packed")
            try PackedModel.write(original.file, to: path)
        }

        deinit {
            unlink(path)
            rmdir(folder + "/packed")
            rmdir(folder)
        }
    }

    @Test func answersStayTheSame() throws {
        let packed = try Packed()
        let model = try Model(path: packed.original.file.path, packedFolder: packed.folder)
        #expect(model.isPacked && !packed.original.isPacked)
        let tokens: [Int32] = [504, 2365, 355, 260, 6097, 314, 2241, 28, 3029, 1056, 506]
        let (expected, got) = (
            try Session(model: packed.original, context: 32, threads: 2),
            try Session(model: model, context: 32, threads: 2)
        )
        var (one, other): ([[Float]], [[Float]]) = ([], [])
        try expected.evaluate(tokens + tokens) { _, logits in one.append(Array(logits)) }
        try got.evaluate(tokens) { _, logits in other.append(Array(logits)) }
        // The second half token by token, which goes by rows instead of by tiles: a row a lane in both.
        for token in tokens {
            try got.evaluate([token])
            other.append(Array(got.logits()))
        }
        #expect(one.count == other.count)
        for (index, (a, b)) in zip(one, other).enumerated() {
            #expect(error(b, a) < roundingTolerance)
            guard index < tokens.count || rowsAddAsTiles else { continue }
            let largest = a.map(abs).max() ?? 0
            #expect((zip(a, b).map { abs($0 - $1) }.max() ?? .infinity) < logitTolerance * largest)
        }
        // Rows of the head on their own, within bands and at their edges.
        let rows: [Int32] = [0, 1, 15, 16, 17, 4_711, 49_151]
        let all = Array(got.logits())
        #expect(got.logits(of: rows) == rows.map { all[Int($0)] })
    }

    @Test func thePackedFileIsAModelItself() throws {
        let packed = try Packed()
        let model = try Model(path: packed.path, packedFolder: packed.folder)
        #expect(model.isPacked)
        #expect(model.file.tensor(named: "blk.0.ffn_up.weight")?.typeName == "Q4_1x16")
        #expect(
            try model.tokenizer.encode("freezer", addSpecial: true, parseSpecial: false)
                == packed.original.tokenizer.encode("freezer", addSpecial: true, parseSpecial: false))
        #expect(model.firstUnusableTensor() == nil)
        #expect(throws: ModelError.self) { try PackedModel.write(model.file, to: packed.path + ".2") }
        #expect(access(packed.path + ".2", F_OK) != 0)
    }

    @Test func aDamagedOneIsLeftAlone() throws {
        let packed = try Packed()
        #expect(truncate(packed.path, 50_000_000) == 0)
        let model = try Model(path: packed.original.file.path, packedFolder: packed.folder)
        #expect(!model.isPacked)
    }

    /// Whatever is wrong with it, the original serves; and the next run writes it anew.
    @Test func oneThatDoesNotFitIsLeftAloneAndReplaced() throws {
        let tiny = try TinyModel()
        let folder = try makeTemporaryFolder(prefix: "martlet-packed-", in: "/tmp")
        let whole = folder + "/whole.gguf"
        defer {
            for name in ["packed/.lock", "whole.gguf"] { unlink("\(folder)/\(name)") }
            rmdir(folder + "/packed")
            rmdir(folder)
        }
        try quantized(tiny.model.file, to: whole)
        let file = try GGUFFile(path: whole)
        let added = try #require(try PackedModel.add(file, to: folder))
        defer { unlink(added.path) }
        #expect(try added.isNew && Model(path: whole, packedFolder: folder).isPacked)
        let good = try bytes(of: added.path)
        let name = Array("blk.1.ffn_up.weight".utf8)
        let at = try #require(good.firstRange(of: name)?.lowerBound)
        // The tensor's name, its first length, how its rows stand.
        for (offset, byte) in [(name.count - 1, UInt8(ascii: "u")), (name.count + 4, 32), (name.count + 21, 0)] {
            var bad = good
            bad[at + offset] = byte
            try #require(bad != good)
            try write(bad, to: added.path)
            #expect(try Model(path: whole, packedFolder: folder).isPacked == false)
            #expect(try PackedModel.add(file, to: folder)?.isNew == true)
            #expect(try bytes(of: added.path) == good)
        }
        #expect(try PackedModel.add(file, to: folder)?.isNew == false)
    }

    /// The same model with its matrices, all zero, as Q8_0.
    private func quantized(_ file: GGUFFile, to path: String) throws {
        var writer = GGUFWriter(metadataOf: file)
        for tensor in file.tensors {
            try writer.add(tensor: tensor.name, tensor.dimensions, tensor.dimensions.count > 1 ? .q8_0 : .f32)
        }
        try writer.write(to: path) { tensor, output throws(SystemError) in
            try output.append([UInt8](repeating: 0, count: tensor.byteCount))
        }
    }

    private func bytes(of path: String) throws -> [UInt8] {
        let file = try MappedFile(path: path)
        return withExtendedLifetime(file) { Array(file.bytes) }
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let file = try ReplacedFile(path: path)
        try file.append(bytes)
        try file.commit()
    }

    @Test func oneOfAnotherFileIsNotTaken() throws {
        let packed = try Packed()
        let tiny = try TinyModel()
        // At the place of the tiny model's own.
        let place = PackedModel.path(for: tiny.model.file, in: packed.folder)
        #expect(rename(packed.path, place) == 0)
        defer { unlink(place) }
        #expect(try Model(path: tiny.model.file.path, packedFolder: packed.folder).isPacked == false)
    }

    @Test func floatsGainNothingAndAreRefused() throws {
        let tiny = try TinyModel()
        let error = #expect(throws: ModelError.self) {
            try PackedModel.write(tiny.model.file, to: "/tmp/martlet-none.gguf")
        }
        #expect(error?.description.contains("none of its weights is of a type") == true)
        #expect(access("/tmp/martlet-none.gguf", F_OK) != 0)
    }
}
