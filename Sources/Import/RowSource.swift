import Safetensors

/// The rows of a tensor to be written, read from the checkpoint one at a time, so that no tensor is ever in memory.
struct RowSource: Sendable {
    /// Rows of one stored tensor. Several of equal length follow each other where experts are stacked.
    struct Segment: Sendable {
        enum Rows: Sendable {
            /// Row r begins at element `first + r · rowStride` and goes on in steps of `columnStride`.
            case floats(SafetensorsTensor, first: Int, rowStride: Int, columnStride: Int)
            case packed(GPTQMatrix)
            /// One row of numbers that no checkpoint has.
            case constant([Float])
        }
        let rows: Rows
        let count: Int
    }

    let segments: [Segment]
    let rowLength: Int
    /// Which row of a segment stands in place r; nil for none moved.
    var order: [Int32]?
    /// Added to every weight: Gemma's norms are stored less 1.
    var addend: Float = 0

    private var rowsOfSegment: Int { segments.first?.count ?? 0 }
    var rowCount: Int { rowsOfSegment * segments.count }

    /// A whole tensor, its last length the rows'.
    static func whole(_ tensor: SafetensorsTensor) -> RowSource {
        let length = tensor.shape.last ?? 1
        return RowSource(
            segments: [part(tensor, first: 0, count: length > 0 ? tensor.elementCount / length : 0, length)],
            rowLength: length)
    }

    static func constant(_ values: [Float]) -> RowSource {
        RowSource(segments: [Segment(rows: .constant(values), count: 1)], rowLength: values.count)
    }

    static func part(_ tensor: SafetensorsTensor, first: Int, count: Int, _ length: Int) -> Segment {
        Segment(rows: .floats(tensor, first: first, rowStride: length, columnStride: 1), count: count)
    }

    /// Where row `row` comes from.
    func locate(_ row: Int) -> (segment: Segment, row: Int) {
        let inside = row % rowsOfSegment
        return (segments[row / rowsOfSegment], order.map { Int($0[inside]) } ?? inside)
    }

    /// Row `row` as floats to `out`, which has room for `rowLength`.
    func read(_ row: Int, into out: UnsafeMutablePointer<Float>) {
        let (segment, row) = locate(row)
        switch segment.rows {
        case .floats(let tensor, let first, let rowStride, let columnStride):
            tensor.read(first + row * rowStride, columnStride, rowLength, into: out)
        case .packed(let matrix):
            matrix.read(row, into: out)
        case .constant(let values):
            for j in 0..<rowLength { out[j] = values[j] }
        }
        if addend != 0 { for j in 0..<rowLength { out[j] += addend } }
    }
}

/// The rows of a matrix of heads in the order in which GGUF's llama rotates neighbours: a checkpoint has first all
/// first halves of the rotated pairs of a head, then all second halves.
func interleavedPairs(heads: Int, rows: Int) -> [Int32]? {
    guard heads > 0, rows % (2 * heads) == 0, let _ = Int32(exactly: rows) else { return nil }
    let half = rows / heads / 2
    return (0..<rows).map { (row: Int) -> Int32 in
        let inside: Int = row % (2 * half)
        let first: Int = row - inside
        return Int32(truncatingIfNeeded: first + (inside % 2) * half + inside / 2)
    }
}
