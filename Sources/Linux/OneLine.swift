/// A text from outside made safe for one line of an error message: control characters replaced, and cut behind `most`
/// characters.
package func oneLine(_ text: String, most: Int = .max) -> String {
    var safe = ""
    for scalar in text.unicodeScalars.prefix(most) {
        let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
        safe.unicodeScalars.append(isControl ? "\u{FFFD}" : scalar)
    }
    return text.unicodeScalars.dropFirst(most).isEmpty ? safe : safe + "…"
}
