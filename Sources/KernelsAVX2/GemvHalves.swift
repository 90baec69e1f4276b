#if arch(x86_64)
import CIntrinsics
import QuantBlocks

// Decode of blocks of 256 weights whose scales belong to sixteen weights each: a half of a vector of pair sums. The
// multiply-add that widens the pairs takes the scales as its other operand, so they cost a shuffle a group.

/// Bytes ahead of a row that are asked for: see Gemv.swift.
@inline(__always)  // a constant
private var prefetchDistance: Int { 2048 }

/// Words `2 group` and `2 group + 1` of the eight in both halves of `scales`, each in a half.
@inline(__always)  // two instructions a group
private func pick(_ scales: I256, _ group: Int) -> I256 {
    let order = _mm256_setr_epi64x(
        0x0100_0100_0100_0100, 0x0100_0100_0100_0100, 0x0302_0302_0302_0302, 0x0302_0302_0302_0302)
    let step = _mm256_set1_epi8(Int8(truncatingIfNeeded: group &* 4))
    return _mm256_shuffle_epi8(scales, _mm256_add_epi8(order, step))
}

/// Eight signed bytes as words, in both halves.
@inline(__always)  // three instructions, twice a block
private func words(_ bytes: UInt64) -> I256 {
    let words = _mm_cvtepi8_epi16(_mm_cvtsi64_si128(Int64(bitPattern: bytes)))
    return martlet_join128(words, words)
}

/// Adds group `sub` of a block to `sum`, scaled by all but the block's own scale; `scales` are those of four groups.
@inline(__always)  // the inner loop
private func add<Format: Block256>(
    _: Format.Type, _ sum: F256, _ block: UnsafeRawPointer, _ sub: Int, _ scales: I256, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>
) -> F256 {
    let weights = Format.weights(block, sub)
    let values = _mm256_sign_epi8(load256(q + sub &* 32), weights)
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), values)
    let products = _mm256_madd_epi16(pairs, pick(scales, sub & 3))
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), F256(repeating: ds[2 &* sub]), sum)
}

@inline(__always)  // specialised by each entry below
private func gemv<Format: Block256>(
    _: Format.Type, _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        var total = F256.zero
        for b in 0..<(k / 256) {
            let block = w + (r &* rowBytes &+ b &* Format.bytes)
            martlet_prefetch(block + prefetchDistance)
            martlet_prefetch(block + (prefetchDistance &+ 64))
            let (low, high) = Format.scales(block)
            let (first, last) = (words(low), words(high))
            let (q, ds) = (q + b &* 256, ds + b &* 16)
            var (even, odd) = (F256.zero, F256.zero)
            // In pairs, so that which bits a group has is known when this is compiled.
            even = add(Format.self, even, block, 0, first, q, ds)
            odd = add(Format.self, odd, block, 1, first, q, ds)
            even = add(Format.self, even, block, 2, first, q, ds)
            odd = add(Format.self, odd, block, 3, first, q, ds)
            even = add(Format.self, even, block, 4, last, q, ds)
            odd = add(Format.self, odd, block, 5, last, q, ds)
            even = add(Format.self, even, block, 6, last, q, ds)
            odd = add(Format.self, odd, block, 7, last, q, ds)
            total = _mm256_fmadd_ps(even + odd, F256(repeating: Format.d(block)), total)
        }
        y[r] = sum(total)
    }
}

/// What a Q2_K block has gathered, but for its own scales.
private struct Sums {
    var products = F256.zero
    var minima = F256.zero

    @inline(__always)  // the inner loop
    mutating func add(
        _ block: UnsafeRawPointer, _ sub: Int, _ scales: I256, _ minima: I256, _ q: UnsafePointer<Int8>,
        _ ds: UnsafePointer<Float>
    ) {
        let (values, d) = (load256(q + sub &* 32), F256(repeating: ds[2 &* sub]))
        let pairs = _mm256_maddubs_epi16(weightsQ2_K(block, sub), values)
        let scaled = _mm256_madd_epi16(pairs, pick(scales, sub & 3))
        products = _mm256_fmadd_ps(_mm256_cvtepi32_ps(scaled), d, products)
        // The minima are products of sums of pairs likewise.
        let sums = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), values), pick(minima, sub & 3))
        self.minima = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), d, self.minima)
    }
}

/// y (rows) = rows of Q2_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ2_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
    for r in 0..<rows {
        var total = F256.zero
        for b in 0..<(k / 256) {
            let block = w + (r &* rowBytes &+ b &* BlockQ2_K.bytes)
            martlet_prefetch(block + prefetchDistance)
            let nibble = UInt64(0x0F0F_0F0F_0F0F_0F0F)
            let (low, high) = (block.loadUnaligned(as: UInt64.self), (block + 8).loadUnaligned(as: UInt64.self))
            let (first, last) = (words(low & nibble), words(high & nibble))
            let (firstMinima, lastMinima) = (words(low >> 4 & nibble), words(high >> 4 & nibble))
            let (q, ds) = (q + b &* 256, ds + b &* 16)
            var sums = Sums()
            sums.add(block, 0, first, firstMinima, q, ds)
            sums.add(block, 1, first, firstMinima, q, ds)
            sums.add(block, 2, first, firstMinima, q, ds)
            sums.add(block, 3, first, firstMinima, q, ds)
            sums.add(block, 4, last, lastMinima, q, ds)
            sums.add(block, 5, last, lastMinima, q, ds)
            sums.add(block, 6, last, lastMinima, q, ds)
            sums.add(block, 7, last, lastMinima, q, ds)
            total = _mm256_fmadd_ps(sums.products, F256(repeating: half(block + BlockQ2_K.d)), total)
            total = _mm256_fnmadd_ps(sums.minima, F256(repeating: half(block + BlockQ2_K.dmin)), total)
        }
        y[r] = sum(total)
    }
}

/// y (rows) = rows of Q3_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ3_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ3_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of Q6_K blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvQ6_K(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowQ6_K.self, w, rowBytes, rows, k, q, ds, y) }

/// y (rows) = rows of IQ4_XS blocks × one quantised activation vector.
@inline(never)  // entry of a tier
public func avx2GemvIQ4_XS(
    _ w: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ k: Int, _ q: UnsafePointer<Int8>,
    _ ds: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) { gemv(RowIQ4_XS.self, w, rowBytes, rows, k, q, ds, y) }
#endif
