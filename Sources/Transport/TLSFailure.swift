import CMosquitto
import Glibc
import Linux

/// What libmosquitto and OpenSSL tell about a TLS connection that failed.
struct TLSFailure: Sendable, Equatable {
    /// libmosquitto's first error line, with OpenSSL's words.
    let line: String
    /// OpenSSL's verdict on the broker's certificate, 0 when it had nothing against it: X509_V_ERR_… of x509_vfy.h.
    let verification: Int

    init(line: String, verification: Int) {
        self.line = line
        self.verification = verification
    }

    /// Of a handle whose log callback runs, because the connection's state is gone right after; nil for other errors.
    init?(_ line: String, of handle: OpaquePointer?) {
        guard Self.words.contains(where: { line.contains($0) }) else { return nil }
        self.line = line
        verification = handle.flatMap(mosquitto_ssl_get).flatMap { ssl in Self.verifyResult?(ssl) } ?? 0
    }

    /// What libmosquitto's lines about TLS have in them.
    private static let words = [
        "OpenSSL", "TLS", "host name verification", "client certificate", "client key", "CA certificates",
    ]

    private typealias VerifyResult = @convention(c) (UnsafeMutableRawPointer) -> Int

    /// `SSL_get_verify_result`, from the OpenSSL that libmosquitto has loaded. libmosquitto prints only that the
    /// verification failed, and linking OpenSSL for one call could bring a second version of it into the process.
    ///
    /// Unsafe: the signature is that of OpenSSL's ssl.h, `long SSL_get_verify_result(const SSL *)`.
    private static let verifyResult: VerifyResult? = dlsym(nil, "SSL_get_verify_result").map {
        unsafeBitCast($0, to: VerifyResult.self)  // unsafe: OpenSSL's signature, see above
    }

    func problem(_ options: MQTTOptions) -> ConnectionProblem {
        let (what, remedy) = explanation(options)
        return ConnectionProblem(.tls, "TLS failed: \(what) (\(line)). \(remedy)", retry: retry)
    }

    /// Certificates are right again as soon as the clock is set, which a board without a battery does after its start:
    /// so the usual back-off. Versions only change with the broker's configuration.
    private var retry: ConnectionProblem.Retry { isVersion ? .slowly : .soon }

    private var isVersion: Bool {
        ["unsupported protocol", "alert protocol version", "no protocols available"].contains { line.contains($0) }
    }

    private func explanation(_ options: MQTTOptions) -> (what: String, remedy: String) {
        let today = Timestamp.now().description.prefix(10)
        let ours = "Renew [broker] cert_file and key_file, or the broker's trust in them"
        if line.contains("host name verification") || verification == 62 || verification == 64 {
            return (
                "the broker's certificate is not for \(options.host)",
                "Write the name it was made for in [broker] url, or have one made for \(options.host)"
            )
        }
        switch verification {
        case 0: break
        case 9:
            return ("the broker's certificate is not valid yet, and this board's date is \(today)", "Set the clock")
        case 10:
            return (
                "the broker's certificate has expired, and this board's date is \(today)",
                "Renew the certificate, or set the clock"
            )
        case 2, 18...21, 27:
            return (
                "the broker's certificate is of an authority that we do not trust",
                "Name that authority's certificate in [broker] ca_file"
            )
        default: return ("the broker's certificate is not accepted, code \(verification)", "Have a better one made")
        }
        if isVersion {
            return ("the broker and we have no version of TLS in common", "Check [broker] tls_version and the broker's")
        }
        if line.contains("wrong version number") || line.contains("packet length too long") {
            return ("the port does not speak TLS", "Check the port, or write mqtt:// in [broker] url")
        }
        if line.contains("certificate required") || line.contains("peer did not return a certificate") {
            return ("the broker wants a certificate of ours", "Set [broker] cert_file and key_file")
        }
        if line.contains("alert certificate expired") { return ("our certificate has expired", ours) }
        if line.contains("alert") { return ("the broker does not accept our certificate", ours) }
        if line.contains("certificate verify failed") {
            return ("the broker's certificate is not accepted", "Check [broker] ca_file and the clock")
        }
        return ("the connection could not be secured", "Check [broker] ca_file, cert_file and key_file, and the clock")
    }
}
