import Glibc
import Linux
import Testing

@Suite struct Digests {
    // FIPS 180-4's examples, as NIST publishes them.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func followTheStandard(_ text: String, _ expected: String) {
        #expect(Array(text.utf8).withUnsafeBytes { SHA256.hexadecimal(of: $0) } == expected)
    }

    @Test func doNotDependOnThePieces() {
        let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        #expect(bytes.withUnsafeBytes { SHA256.hexadecimal(of: $0) } == expected)
        var hash = SHA256()
        var rest = bytes[...]
        for size in [1, 63, 64, 65, 127, 1000, 4096] {
            rest.prefix(size).withUnsafeBytes { hash.update($0) }
            rest = rest.dropFirst(size)
        }
        rest.withUnsafeBytes { hash.update($0) }
        #expect(hash.finish() == expected)
    }

    @Test func ofAFileAreThoseOfItsBytes() throws {
        let path = "/tmp/martlet-sha-\(getpid())"
        defer { unlink(path) }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        _ = Array("abc".utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
        #expect(try SHA256.hexadecimal(ofFile: path).hasPrefix("ba7816bf8f01cfea"))
        // Of "abcabc".
        #expect(try SHA256.hexadecimal(ofFiles: [path, path]).hasPrefix("bbb59da3af939f7a"))
        #expect(throws: SystemError.self) { try SHA256.hexadecimal(ofFile: path + ".none") }
    }
}
