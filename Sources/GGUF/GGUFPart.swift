import Glibc
import Linux

/// One file, checked by itself: a model, or a part of one that gguf-split cut.
///
/// Parts are told by three keys: `split.no` counts from 0 (their names from 1), `split.count` is how many there are,
/// `split.tensors.count` how many tensors all of them have together. Only the first part has the model's metadata.
struct GGUFPart {
    let mapped: MappedFile
    let version: UInt32
    let tensors: [GGUFTensor]
    let alignment: Int
    let dataOffset: Int
    let keys: [String]
    let entries: [String: MetadataEntry]
    let ranges: [Range<Int>]

    /// The largest models are in a few dozen parts; each takes a mapping.
    static let mostParts = 4096

    init(path: String) throws(GGUFError) {
        do {
            mapped = try MappedFile(path: path)
        } catch {
            throw GGUFError(unreachable: path, error)
        }
        var cursor = ByteCursor(path: path, bytes: mapped.bytes, offset: 0)
        let header = try cursor.header()
        version = header.version
        (keys, entries, ranges) = try cursor.metadata(count: header.keys)
        alignment = try cursor.alignment(entries["general.alignment"])
        let infos = try cursor.directory(count: header.tensors)
        dataOffset = cursor.dataOffset(alignment: alignment)
        tensors = try cursor.place(infos, dataOffset: dataOffset, alignment: alignment)
    }

    private var path: String { mapped.path }

    private func number(_ key: String) -> Int? { entries[key].flatMap { integer($0.type, at: $0.offset, in: mapped) } }

    /// All parts of the model this is a part of, in order; none when it is a whole model.
    func others() throws(GGUFError) -> [GGUFPart] {
        guard let count = number("split.count"), count > 1 else { return [] }
        guard count <= Self.mostParts, let own = number("split.no"), (0..<count).contains(own) else {
            throw GGUFError(damaged: path, "it claims to be part \(number("split.no") ?? -1) of \(count)")
        }
        let suffix = Self.suffix(own, count)
        guard path.utf8.count > suffix.utf8.count, path.hasSuffix(suffix) else {
            throw GGUFError(
                unsupported: path, "it is part \(own + 1) of \(count) of a split model, but is not named so",
                "Name it NAME\(suffix), and the other parts likewise")
        }
        let stem = String(path.dropLast(suffix.count))
        var parts: [GGUFPart] = []
        var (tensors, keys) = (0, 0)
        for index in 0..<count {
            let part = try part(index, of: count, stem: stem, own: own)
            (tensors, keys) = (tensors + part.tensors.count, keys + part.keys.count)
            guard tensors <= ByteCursor.mostTensors, keys <= ByteCursor.mostKeys else {
                throw GGUFError(
                    damaged: part.path,
                    "with the parts before it, it claims \(tensors) tensors and \(keys) metadata keys")
            }
            parts.append(part)
        }
        if let expected = number("split.tensors.count"), expected != tensors {
            throw GGUFError(damaged: path, "its parts hold \(tensors) tensors together instead of \(expected)")
        }
        return parts
    }

    private func part(_ index: Int, of count: Int, stem: String, own: Int) throws(GGUFError) -> GGUFPart {
        if index == own { return self }
        let name = stem + Self.suffix(index, count)
        guard access(name, F_OK) == 0 else { throw GGUFError(missingPart: name, index + 1, count) }
        let part = try GGUFPart(path: name)
        guard part.number("split.no") == index, part.number("split.count") == count else {
            throw GGUFError(
                damaged: name, "it is not part \(index + 1) of \(count), as its name says",
                "Download that part again")
        }
        return part
    }

    /// As gguf-split names parts: `-00001-of-00003.gguf`.
    static func suffix(_ index: Int, _ count: Int) -> String {
        func padded(_ number: Int) -> String {
            String(repeating: "0", count: max(0, 5 - String(number).count)) + String(number)
        }
        return "-\(padded(index + 1))-of-\(padded(count)).gguf"
    }
}
