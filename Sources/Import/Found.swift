import Quantizers

/// Tensors of a checkpoint brought into the form that GGUF has: their rows, and their shape, the longest stride first.
struct Found {
    var source: RowSource
    var shape: [Int]
    let type: String

    /// Rows of each outermost part; numbers of a bias.
    var outer: Int { source.segments.first?.count ?? 0 }

    init(source: RowSource, shape: [Int], type: String) {
        (self.source, self.shape, self.type) = (source, shape, type)
    }

    /// Matrices of one shape on top of each other, `(parts, rows, columns)`; nil when they differ.
    init?(stacking parts: [Found]) {
        guard let first = parts.first, first.shape.count == 2, parts.allSatisfy({ $0.shape == first.shape }) else {
            return nil
        }
        source = RowSource(segments: parts.flatMap(\.source.segments), rowLength: first.source.rowLength)
        shape = [parts.count] + first.shape
        type = first.type
    }

    /// The first or second half of the rows of each of `(parts, rows, columns)`.
    func half(_ half: Int) -> Found? {
        guard shape.count == 3, shape[1] % 2 == 0, case .floats(let tensor, _, _, _)? = source.segments.first?.rows
        else {
            return nil
        }
        let (rows, columns) = (shape[1] / 2, shape[2])
        let segments = (0..<shape[0]).map { part in
            RowSource.part(tensor, first: (2 * part + half) * rows * columns, count: rows, columns)
        }
        return Found(
            source: RowSource(segments: segments, rowLength: columns), shape: [shape[0], rows, columns], type: type)
    }

    /// Of a latent `(heads · (key + value), rank)`, keys `(heads, rank, key)`, transposed, or values
    /// `(heads, value, rank)`.
    func latent(_ isKey: Bool, heads: Int, value: Int) -> Found? {
        guard shape.count == 2, heads > 0, shape[0] % heads == 0, (1..<shape[0] / heads).contains(value),
            case .floats(let tensor, _, _, _)? = source.segments.first?.rows
        else { return nil }
        let (both, rank) = (shape[0] / heads, shape[1])
        let key = both - value
        let segments = (0..<heads).map { head in
            let first = (head * both + (isKey ? 0 : key)) * rank
            guard isKey else { return RowSource.part(tensor, first: first, count: value, rank) }
            return RowSource.Segment(
                rows: .floats(tensor, first: first, rowStride: 1, columnStride: rank), count: rank)
        }
        return Found(
            source: RowSource(segments: segments, rowLength: isKey ? key : rank),
            shape: isKey ? [heads, rank, key] : [heads, value, rank], type: type)
    }

    /// Without lengths of 1 between the first and the last.
    var squeezed: Found {
        guard shape.count == 3, shape[1] == 1 else { return self }
        return Found(source: source, shape: [shape[0], shape[2]], type: type)
    }

    /// The same matrix for inputs in another order; only where GPTQ packed it.
    func reordered(_ order: [Int32]) -> Found? {
        guard case .packed(let matrix)? = source.segments.first?.rows, matrix.columns == order.count else { return nil }
        let segment = RowSource.Segment(rows: .packed(matrix.reordered(order)), count: matrix.rows)
        return Found(source: RowSource(segments: [segment], rowLength: matrix.columns), shape: shape, type: type)
    }

    /// What GPTQ's levels can be stored as without loss; nil for floats.
    var losslessFormat: (format: Quantizer?, obstacle: String?)? {
        var widest = Quantizer.q4_0
        for segment in source.segments {
            guard case .packed(let matrix) = segment.rows else { return nil }
            let (format, obstacle) = matrix.losslessFormat()
            guard let format else { return (nil, obstacle) }
            // Q5_0 holds what Q4_0 and Q4_1 hold; Q4_1 holds Q4_0 where −8 · scale is a half, which it always is
            // but for overflow, and the error of every tensor is measured anyway.
            if format == .q5_0 || widest == .q4_0 { widest = format }
        }
        return (widest, nil)
    }
}
