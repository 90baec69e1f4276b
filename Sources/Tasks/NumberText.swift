/// A number as it stands in a text.
struct WrittenNumber: Equatable {
    var value: Double
    /// Digits behind the point: what the writer rounded to.
    var decimals: Int
    /// The characters, for messages and for exact comparison.
    var text: String
    /// A time of day such as 03:12 or a part of a name such as `sensor2`: compared by its characters, not its value.
    var isVerbatim: Bool
    /// Where it stands, in bytes.
    var place: Range<Int>
}

/// Finds every number of a text: decimals, thousands separators, times of day, numbers inside names, cardinal numbers in
/// words from two on ("one" is an article more often than a number; ordinals order and do not count), and digits of other
/// scripts, which are compared by their characters.
func writtenNumbers(_ text: String) -> [WrittenNumber] {
    var scanner = NumberScanner(bytes: Array(text.utf8))
    return scanner.scan()
}

private struct NumberScanner {
    let bytes: [UInt8]
    var position = 0
    var found: [WrittenNumber] = []

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func scan() -> [WrittenNumber] {
        while position < bytes.count {
            if isDigit(position) {
                number()
            } else if isLetter(position) {
                word()
            } else if bytes[position] >= 0xC2 {
                foreign()
            } else {
                position += 1
            }
        }
        return found
    }

    private mutating func add(_ value: Double, _ start: Int, decimals: Int = 0, isVerbatim: Bool = false) {
        found.append(
            WrittenNumber(
                value: value, decimals: decimals, text: String(decoding: bytes[start..<position], as: UTF8.self),
                isVerbatim: isVerbatim, place: start..<position))
    }

    /// A character beyond ASCII: `²`, `½` and digits of other scripts are numbers too, compared as they are.
    private mutating func foreign() {
        let start = position
        position += 1
        while position < bytes.count, bytes[position] & 0xC0 == 0x80 { position += 1 }
        let scalars = String(decoding: bytes[start..<position], as: UTF8.self).unicodeScalars
        if scalars.contains(where: { $0.properties.numericType != nil }) { add(.nan, start, isVerbatim: true) }
    }

    // MARK: Words

    /// A word of letters, digits and underscores: a name if it holds a digit, else perhaps a number in words.
    private mutating func word() {
        let start = position
        while position < bytes.count, isLetter(position) || isDigit(position) { position += 1 }
        if bytes[start..<position].contains(where: { (48...57).contains($0) }) {
            return add(.nan, start, isVerbatim: true)
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self).lowercased()
        if let factor = Self.factors[text] {
            multiply(by: factor, start)
        } else if let value = Self.units[text] {
            unit(value, start)
        } else if let tens = Self.tens.firstIndex(of: text) {
            add(Double(tens * 10 + 20), start)
        }
    }

    /// "five", or the second half of "twenty-five" and of "twenty five".
    private mutating func unit(_ value: Double, _ start: Int) {
        if let last = found.last, last.place.upperBound + 1 == start, isWord(last), value < 10, last.value >= 20,
            last.value.truncatingRemainder(dividingBy: 10) == 0, last.value < 100
        {
            found.removeLast()
            add(last.value + value, last.place.lowerBound)
        } else if value > 1 {
            add(value, start)
        }
    }

    /// "hundred", alone or behind a number.
    private mutating func multiply(by factor: Double, _ start: Int) {
        if let last = found.last, last.place.upperBound + 1 == start, !last.isVerbatim {
            found.removeLast()
            add(last.value * factor, last.place.lowerBound)
        } else {
            add(factor, start)
        }
    }

    private func isWord(_ number: WrittenNumber) -> Bool { isLetter(number.place.lowerBound) }

    private static let units: [String: Double] = [
        "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
        "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
        "eighteen": 18, "nineteen": 19, "twice": 2, "thrice": 3,
    ]
    private static let tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    private static let factors: [String: Double] = [
        "dozen": 12, "dozens": 12, "hundred": 100, "hundreds": 100, "thousand": 1000, "thousands": 1000,
        "million": 1e6, "millions": 1e6,
    ]

    // MARK: Digits

    private mutating func number() {
        let start = position
        var digits = ""
        takeDigits(into: &digits)
        if isTime(start) { return time(start) }
        while position + 3 < bytes.count, bytes[position] == UInt8(ascii: ","),
            (1...3).allSatisfy({ isDigit(position + $0) }),
            !isDigit(position + 4), digits.count <= 3 || bytes[start..<position].contains(UInt8(ascii: ","))
        {
            position += 1
            takeDigits(into: &digits)
        }
        var decimals = 0
        if position + 1 < bytes.count, bytes[position] == UInt8(ascii: "."), isDigit(position + 1) {
            position += 1
            digits += "."
            let whole = digits.utf8.count
            takeDigits(into: &digits)
            decimals = digits.utf8.count - whole
        }
        guard let value = Double(digits) else { return }
        add(isSign(start - 1) ? -value : value, start, decimals: decimals)
    }

    private mutating func takeDigits(into digits: inout String) {
        while position < bytes.count, isDigit(position) {
            digits.unicodeScalars.append(Unicode.Scalar(bytes[position]))
            position += 1
        }
    }

    /// Two digits, a colon, two digits: a time of day.
    private func isTime(_ start: Int) -> Bool {
        position - start <= 2 && position + 2 < bytes.count && bytes[position] == UInt8(ascii: ":")
            && isDigit(position + 1) && isDigit(position + 2)
    }

    private mutating func time(_ start: Int) {
        while position < bytes.count,
            isDigit(position) || (bytes[position] == UInt8(ascii: ":") && isDigit(position + 1))
        {
            position += 1
        }
        add(.nan, start, isVerbatim: true)
    }

    /// A minus that is not a hyphen between two words or digits. U+2212 is three bytes that end in 0x92.
    private func isSign(_ at: Int) -> Bool {
        guard at >= 0 else { return false }
        if bytes[at] == UInt8(ascii: "-") { return at == 0 || !(isDigit(at - 1) || isLetter(at - 1)) }
        return at >= 2 && bytes[at] == 0x92 && bytes[at - 1] == 0x88 && bytes[at - 2] == 0xE2
    }

    private func isDigit(_ at: Int) -> Bool { at < bytes.count && at >= 0 && (48...57).contains(bytes[at]) }

    private func isLetter(_ at: Int) -> Bool {
        guard at >= 0, at < bytes.count else { return false }
        let byte = bytes[at] | 0x20
        return (97...122).contains(byte) || bytes[at] == UInt8(ascii: "_")
    }
}

/// A number with at most two decimals and no superfluous zeros, as it stands in prompts and summaries; small ones keep
/// three significant digits instead, so that they do not become 0.
func plainNumber(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    var scale = 100.0
    var places = 2
    while value != 0, abs(value) * scale < 100, places < 9, abs(value) < 0.1 {
        scale *= 10
        places += 1
    }
    let scaled = Int64((abs(value) * scale).rounded())
    let whole = scaled / Int64(scale)
    var digits = String(scaled % Int64(scale))
    digits = String(repeating: "0", count: max(0, places - digits.utf8.count)) + digits
    while digits.last == "0" { digits.removeLast() }
    let sign = value < 0 && scaled != 0 ? "-" : ""
    return digits.isEmpty ? "\(sign)\(whole)" : "\(sign)\(whole).\(digits)"
}
