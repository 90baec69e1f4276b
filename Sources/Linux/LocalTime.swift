import Glibc

extension Timestamp {
    /// The time in this machine's time zone as `strftime` writes it, for example `%d %b %Y`, with English names.
    ///
    /// Empty when the result would be longer than 255 bytes.
    public func formatted(_ format: String) -> String {
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        guard localtime_r(&seconds, &parts) != nil else { return "" }
        var buffer = [CChar](repeating: 0, count: 256)
        let count = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
