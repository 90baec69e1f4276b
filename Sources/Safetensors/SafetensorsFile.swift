import JSON
import Linux

/// A safetensors file mapped read-only and checked whole when opened.
///
///     | header length u64, little-endian | header, JSON | data |
///     {"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, …, "__metadata__": {"format": "pt"}}
///
/// As the format demands, the tensors cover the data without holes and without sharing a byte: a file that hides bytes
/// could be read as two different models. Source: the format's README.
public final class SafetensorsFile: Sendable {
    public let path: String
    public let mapped: MappedFile
    /// In the order of their bytes.
    public let tensors: [SafetensorsTensor]
    /// `__metadata__`: what the writer says of the file.
    public let metadata: [String: String]

    /// The reference allows headers of 100 MB; 41,000 tensors take 4. This bounds the tree that is built from it.
    static let longestHeader: UInt64 = 32 << 20
    static let mostTensors = 1 << 18
    static let mostDimensions = 8

    /// Maps and checks `path`. Throws `SafetensorsError`, in one sentence, when it cannot be read or is not valid.
    public init(path: String) throws(SafetensorsError) {
        self.path = path
        do {
            mapped = try MappedFile(path: path)
        } catch {
            throw SafetensorsError(unreachable: path, error)
        }
        let header = try Self.header(of: mapped)
        var metadata: [String: String] = [:]
        var entries: [Entry] = []
        var names: Set<String> = []
        let available = mapped.bytes.count - header.dataOffset
        for member in header.members {
            guard names.insert(member.key).inserted else {
                throw SafetensorsError(damaged: path, "\(shown(member.key)) appears twice")
            }
            if member.key == "__metadata__" {
                for item in member.value.object ?? JSONObject() { metadata[item.key] = item.value.string }
            } else {
                entries.append(try Entry(member.key, member.value, available: available, path: path))
            }
        }
        guard entries.count <= Self.mostTensors else {
            throw SafetensorsError(damaged: path, "it claims \(entries.count) tensors, more than \(Self.mostTensors)")
        }
        entries.sort { ($0.start, $0.end) < ($1.start, $1.end) }
        try Self.refuseHolesAndOverlaps(entries, available, path)
        let mapped = mapped
        tensors = entries.map { entry in
            let range = header.dataOffset + entry.start..<header.dataOffset + entry.end
            return SafetensorsTensor(entry.name, entry.type, entry.shape, range, of: mapped)
        }
        self.metadata = metadata
    }

    private static func header(of mapped: MappedFile) throws(SafetensorsError) -> (
        members: JSONObject, dataOffset: Int
    ) {
        let (path, bytes) = (mapped.path, mapped.bytes)
        guard bytes.count >= 8 else {
            throw SafetensorsError(damaged: path, "it has \(bytes.count) bytes, less than the length of its header")
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard length <= longestHeader, length <= UInt64(bytes.count - 8) else {
            throw SafetensorsError(
                damaged: path, "its header claims \(length) bytes of \(bytes.count - 8), and \(longestHeader) at most")
        }
        let end = 8 + Int(length)
        let document: JSONValue
        do {
            let limits = JSONLimits(depth: 4, values: mostTensors * 12)
            document = try JSONValue(parsing: Array(bytes[8..<end]), limits: limits)
        } catch {
            throw SafetensorsError(damaged: path, "its header is \(error.description)")
        }
        guard let members = document.object else {
            throw SafetensorsError(damaged: path, "its header is no JSON object")
        }
        return (members, end)
    }

    private static func refuseHolesAndOverlaps(
        _ entries: [Entry], _ available: Int, _ path: String
    ) throws(SafetensorsError) {
        var end = 0
        for entry in entries {
            guard entry.start == end else {
                let reason =
                    entry.start < end ? "overlaps the one before it" : "leaves a hole of unused bytes before it"
                throw SafetensorsError(damaged: path, "tensor \(shown(entry.name)) \(reason)")
            }
            end = entry.end
        }
        guard end == available else {
            throw SafetensorsError(damaged: path, "it has \(available) bytes of data, its tensors take \(end)")
        }
    }
}

/// What the header says of one tensor, checked by itself.
private struct Entry {
    let name: String
    let type: SafetensorsType
    let shape: [Int]
    /// Relative to the data.
    let start: Int
    let end: Int

    init(_ name: String, _ value: JSONValue, available: Int, path: String) throws(SafetensorsError) {
        let quoted = shown(name)
        guard let dtype = value["dtype"]?.string, let type = SafetensorsType(rawValue: dtype) else {
            throw SafetensorsError(
                damaged: path, "tensor \(quoted) has the unknown type \(shown(value["dtype"]?.string ?? "none"))")
        }
        guard let sizes = value["shape"]?.array, sizes.count <= SafetensorsFile.mostDimensions else {
            throw SafetensorsError(damaged: path, "tensor \(quoted) has no usable shape")
        }
        var shape: [Int] = []
        var size: Int? = type.byteCount
        for length in sizes {
            guard let length = length.integer, length >= 0 else {
                throw SafetensorsError(damaged: path, "tensor \(quoted) has a length that is no whole number")
            }
            shape.append(length)
            size = size.flatMap {
                let (value, overflow) = $0.multipliedReportingOverflow(by: length)
                return overflow ? nil : value
            }
        }
        guard let offsets = value["data_offsets"]?.array, offsets.count == 2, let start = offsets[0].integer,
            let end = offsets[1].integer, start >= 0, start <= end, end <= available
        else {
            throw SafetensorsError(
                damaged: path, "tensor \(quoted) does not lie inside its \(available) bytes of data")
        }
        guard size == end - start else {
            throw SafetensorsError(damaged: path, "tensor \(quoted) of shape \(shape) does not fill its bytes")
        }
        (self.name, self.type, self.shape, self.start, self.end) = (name, type, shape, start, end)
    }
}

private func shown(_ text: String) -> String { "'\(oneLine(text, most: 80))'" }
