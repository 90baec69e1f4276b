import JSON

/// A decimal number, exact: bounds are compared digit by digit and never rounded.
struct Decimal: Hashable, Sendable, Comparable {
    var isNegative: Bool
    /// At least one digit; no zero before others.
    var whole: [UInt8]
    /// No zero at the end.
    var fraction: [UInt8]

    static let zero = Decimal(isNegative: false, whole: [0], fraction: [])
    /// The largest double has 309 digits; a cap for what an exponent can cost.
    private static let mostDigits = 400

    init(isNegative: Bool, whole: [UInt8], fraction: [UInt8]) {
        self.whole = Array(whole.drop { $0 == 0 })
        if self.whole.isEmpty { self.whole = [0] }
        self.fraction = fraction
        while self.fraction.last == 0 { self.fraction.removeLast() }
        self.isNegative = isNegative && (self.whole != [0] || !self.fraction.isEmpty)
    }

    /// Nil when the exponent is beyond that of any double.
    init?(_ number: JSONNumber) {
        let parts = number.text.split(whereSeparator: { $0 == "e" || $0 == "E" })
        guard let mantissa = parts.first, let exponent = parts.count > 1 ? Int(parts[1]) : 0,
            exponent.magnitude <= Self.mostDigits
        else { return nil }
        let digits = mantissa.drop { $0 == "-" }.split(separator: ".")
        var all = digits.joined().compactMap { $0.wholeNumberValue.map(UInt8.init) }
        var point = (digits.first?.count ?? 0) + exponent
        if point < 0 {
            all = [UInt8](repeating: 0, count: -point) + all
            point = 0
        }
        if point > all.count { all += [UInt8](repeating: 0, count: point - all.count) }
        self.init(
            isNegative: mantissa.hasPrefix("-"), whole: Array(all[..<point]), fraction: Array(all[point...]))
    }

    var negated: Decimal { Decimal(isNegative: !isNegative, whole: whole, fraction: fraction) }
    /// Nil when it is no integer, or none of up to 9 digits.
    var smallInteger: Int? {
        guard fraction.isEmpty, whole.count <= 9 else { return nil }
        let value = whole.reduce(0) { $0 * 10 + Int($1) }
        return isNegative ? -value : value
    }

    static func < (a: Decimal, b: Decimal) -> Bool {
        guard a.isNegative == b.isNegative else { return a.isNegative }
        return a.isNegative ? magnitude(b, isLess: a) : magnitude(a, isLess: b)
    }

    private static func magnitude(_ a: Decimal, isLess b: Decimal) -> Bool {
        if a.whole.count != b.whole.count { return a.whole.count < b.whole.count }
        if a.whole != b.whole { return a.whole.lexicographicallyPrecedes(b.whole) }
        return a.fraction.lexicographicallyPrecedes(b.fraction)
    }
}

/// A bound of a number.
struct Bound: Hashable, Sendable {
    var value: Decimal
    var isExclusive: Bool
    var negated: Bound { Bound(value: value.negated, isExclusive: isExclusive) }
}

/// Which numbers may be written: decimals without exponent, at most 15 significant digits.
///
/// 15 digits are what every double keeps apart, so a bound holds for who reads doubles as well as for who reads decimals.
struct NumberLanguage: Hashable, Sendable {
    var isInteger = false
    private(set) var lower: Bound?
    private(set) var upper: Bound?
    /// The number is a multiple of all of these.
    var divisors: Set<Int> = []

    private static let mostDigits = 15
    /// Digits behind the point where no bound has more.
    private static let mostFraction = 8

    mutating func restrict(lower bound: Bound) {
        guard let old = lower else {
            lower = bound
            return
        }
        if old.value < bound.value || old.value == bound.value && bound.isExclusive { lower = bound }
    }

    mutating func restrict(upper bound: Bound) {
        guard let old = upper else {
            upper = bound
            return
        }
        if bound.value < old.value || old.value == bound.value && bound.isExclusive { upper = bound }
    }

    func contains(_ value: Decimal) -> Bool {
        if isInteger, !value.fraction.isEmpty { return false }
        if let lower, value < lower.value || lower.isExclusive && value == lower.value { return false }
        if let upper, upper.value < value || upper.isExclusive && value == upper.value { return false }
        return divisors.allSatisfy { divisor in
            value.fraction.isEmpty && value.whole.reduce(0) { ($0 * 10 + Int($1)) % divisor } == 0
        }
    }

    /// What was read of a number.
    private struct State: Hashable {
        enum Place { case begin, sign, whole, point, fraction }
        var place = Place.begin
        var isNegative = false
        var isZero = true
        /// Digits of the part that is being read, and of the whole part.
        var digits = 0
        var whole = 0
        /// How the magnitude compares with its bounds so far.
        var low = 0
        var high = 0
        var remainder = 0
    }

    /// Throws when divisors and digits make too many states.
    func automaton(_ what: String) throws(GrammarError) -> ByteDFA {
        let divisor = divisors.reduce(1) { a, b in Self.leastCommonMultiple(a, b) }
        let integral = isInteger || !divisors.isEmpty
        // For each sign the bounds of the magnitude; one below zero binds nothing or leaves nothing.
        let sides = [(lower, upper), (upper?.negated, lower?.negated)].map { low, high in
            Side(low: (low?.value.isNegative ?? true) ? nil : low, high: high)
        }
        let most = max(Self.mostDigits, min(40, sides.map { $0.low?.value.whole.count ?? 0 }.max() ?? 0))
        let finest = [lower, upper].map { $0?.value.fraction.count ?? 0 }.max() ?? 0
        let limits = (digits: most, fraction: integral ? 0 : max(Self.mostFraction, min(finest + 1, most)))
        let splits =
            (UInt8(ascii: "0")...UInt8(ascii: "9")).map { ByteSet($0) }
            + [UInt8(ascii: "."), UInt8(ascii: "-")].map { ByteSet($0) }
        let dfa = try ByteDFA.explore(State(), splits: splits, limit: 1 << 15) { state, byte in
            Self.next(state, byte, sides, limits, divisor)
        } accepts: { state in
            Self.accepts(state, sides[state.isNegative ? 1 : 0])
        }
        guard let dfa else {
            throw GrammarError("\(what) is too complex: too many digits times its multipleOf. Narrow the range.")
        }
        return dfa
    }

    private struct Side {
        var low: Bound?
        var high: Bound?
    }

    private static func next(
        _ state: State, _ byte: UInt8, _ sides: [Side], _ limits: (digits: Int, fraction: Int), _ divisor: Int
    ) -> State? {
        var state = state
        if byte == UInt8(ascii: "-") {
            guard state.place == .begin else { return nil }
            state.place = .sign
            state.isNegative = true
            return state
        }
        let side = sides[state.isNegative ? 1 : 0]
        if let high = side.high, high.value.isNegative { return nil }
        if byte == UInt8(ascii: ".") {
            guard state.place == .whole, limits.fraction > 0, state.digits < limits.digits else { return nil }
            settle(&state, side)
            state.place = .point
            state.whole = state.digits
            state.digits = 0
            return state
        }
        let digit = byte &- UInt8(ascii: "0")
        guard digit < 10 else { return nil }
        switch state.place {
        case .begin, .sign: state.place = .whole
        case .whole: guard !state.isZero, state.digits < limits.digits else { return nil }
        case .point: state.place = .fraction
        case .fraction:
            guard state.digits < limits.fraction, state.whole + state.digits < limits.digits else { return nil }
        }
        compare(digit, &state.low, side.low, state)
        compare(digit, &state.high, side.high, state)
        if digit != 0 { state.isZero = false }
        if divisor > 1 { state.remainder = (state.remainder * 10 + Int(digit)) % divisor }
        state.digits += 1
        return state
    }

    private static func compare(_ digit: UInt8, _ order: inout Int, _ bound: Bound?, _ state: State) {
        guard order == 0, let bound else { return }
        let digits = state.place == .whole ? bound.value.whole : bound.value.fraction
        let other = state.digits < digits.count ? digits[state.digits] : state.place == .whole ? digit : 0
        order = digit < other ? -1 : digit > other ? 1 : 0
    }

    /// At the end of the whole part: more digits are more.
    private static func settle(_ state: inout State, _ side: Side) {
        func settled(_ order: Int, _ bound: Bound?) -> Int {
            guard let bound, state.digits != bound.value.whole.count else { return order }
            return state.digits < bound.value.whole.count ? -1 : 1
        }
        state.low = settled(state.low, side.low)
        state.high = settled(state.high, side.high)
    }

    private static func accepts(_ state: State, _ side: Side) -> Bool {
        var state = state
        switch state.place {
        case .begin, .sign, .point: return false
        case .whole:
            settle(&state, side)
            state.digits = 0
        case .fraction: break
        }
        // -0 is a number that some programs print as 0: never produced.
        if state.isNegative, state.isZero { return false }
        func order(_ order: Int, _ bound: Bound) -> Int {
            order == 0 && state.digits < bound.value.fraction.count ? -1 : order
        }
        if let low = side.low {
            let order = order(state.low, low)
            if order < 0 || order == 0 && low.isExclusive { return false }
        }
        if let high = side.high {
            let order = order(state.high, high)
            if order > 0 || order == 0 && high.isExclusive || high.value.isNegative { return false }
        }
        return state.remainder == 0
    }

    private static func leastCommonMultiple(_ a: Int, _ b: Int) -> Int {
        var (x, y) = (a, b)
        while y != 0 { (x, y) = (y, x % y) }
        // Divisors are below 10^9, and automata of more than some hundred are refused for their size.
        let (product, overflow) = (a / max(x, 1)).multipliedReportingOverflow(by: b)
        return overflow ? Int.max >> 8 : min(product, Int.max >> 8)
    }
}
