import JSON
import Testing

@testable import Constraints

@Suite struct NumberTests {
    /// Every integer of a small range, against arithmetic.
    @Test func integersKeepTheirBounds() throws {
        var random = Random(state: 3)
        for _ in 0..<60 {
            let low = random.below(400) - 200
            let high = low + random.below(250)
            let isExclusive = random.below(2) == 0
            let step = random.below(3) == 0 ? 1 + random.below(12) : 1
            var language = NumberLanguage()
            language.isInteger = true
            language.restrict(lower: bound(String(low), isExclusive))
            language.restrict(upper: bound(String(high), isExclusive))
            if step > 1 { language.divisors = [step] }
            let automaton = try language.automaton("it")
            for value in -1200...1200 {
                let fits =
                    (isExclusive ? low < value && value < high : (low...high).contains(value)) && value % step == 0
                #expect(automaton.matches(String(value).utf8) == fits, "\(value) in \(low)…\(high) / \(step)")
            }
            for text in ["-0", "01", "+1", "1.0", "", "-", "1e2", "--1"] { #expect(!automaton.matches(text.utf8)) }
        }
    }

    /// Every decimal with two digits behind the point of a range, against integers of hundredths.
    @Test func decimalsKeepTheirBounds() throws {
        var random = Random(state: 4)
        for _ in 0..<40 {
            let low = random.below(2000) - 1000
            let high = low + random.below(600)
            let isExclusive = random.below(2) == 0
            var language = NumberLanguage()
            language.restrict(lower: bound(decimal(low), isExclusive))
            language.restrict(upper: bound(decimal(high), isExclusive))
            let automaton = try language.automaton("it")
            for value in -1700...1700 {
                let fits = isExclusive ? low < value && value < high : (low...high).contains(value)
                #expect(
                    automaton.matches(decimal(value).utf8)
                        == (fits && value != 0 || fits && !decimal(value).hasPrefix("-")))
                // A third digit: half a hundredth farther from zero.
                let farther = value < 0 ? value * 10 - 5 : value * 10 + 5
                let fitsToo =
                    isExclusive ? low * 10 < farther && farther < high * 10 : (low * 10...high * 10).contains(farther)
                #expect(
                    automaton.matches((decimal(value) + "5").utf8) == fitsToo, "\(decimal(value))5 in \(low) \(high)")
            }
        }
    }

    @Test func boundsMayHaveExponentsAndManyDigits() throws {
        var language = NumberLanguage()
        language.restrict(lower: bound("1.5e-3", false))
        language.restrict(upper: bound("2.5E+3", true))
        let automaton = try language.automaton("it")
        for good in ["0.0015", "0.00151", "1", "2499.99999999", "2499"] {
            #expect(automaton.matches(good.utf8), "\(good)")
        }
        for bad in ["0.0014", "0.001", "2500", "2500.0", "-1", "0"] { #expect(!automaton.matches(bad.utf8), "\(bad)") }
        let free = try NumberLanguage().automaton("it")
        for good in ["0", "-0.5", "123456789012345", "0.12345678"] { #expect(free.matches(good.utf8), "\(good)") }
        for bad in ["-0", "-0.0", "1.", ".5", "1234567890123456", "NaN", "Infinity", "1e5", "00"] {
            #expect(!free.matches(bad.utf8), "\(bad)")
        }
    }

    @Test func decimalsAreComparedExactly() throws {
        let sorted = [
            "-1e300", "-10.5", "-10.25", "-1", "-0.001", "0", "1e-300", "0.1", "0.10000000000000001", "9", "10", "1e2",
        ]
        for (index, text) in sorted.enumerated() {
            for (other, second) in sorted.enumerated() {
                let (a, b) = (try #require(parsed(text)), try #require(parsed(second)))
                #expect((a < b) == (index < other) && (a == b) == (index == other), "\(text) \(second)")
            }
        }
        #expect(parsed("100e-2") == parsed("1.0"))
        #expect(parsed("1e999") == nil)
    }

    private func parsed(_ text: String) -> Decimal? { (try? JSONValue(parsing: text))?.number.flatMap(Decimal.init) }

    private func bound(_ text: String, _ isExclusive: Bool) -> Bound {
        Bound(value: parsed(text) ?? .zero, isExclusive: isExclusive)
    }

    private func decimal(_ hundredths: Int) -> String {
        let (whole, rest) = (abs(hundredths) / 100, abs(hundredths) % 100)
        return "\(hundredths < 0 ? "-" : "")\(whole).\(rest < 10 ? "0" : "")\(rest)"
    }
}
