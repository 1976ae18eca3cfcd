internal import ObjectStore

/// The `<Error>` document of an S3 answer
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
struct S3ErrorBody: Equatable {
    /// For example `NoSuchKey`.
    var code: String?
    /// For people.
    var message: String?
    /// The bucket's own region, in answers to requests for another.
    var region: String?
    /// Where to send the request instead.
    var endpoint: String?
    /// The server's clock, with `RequestTimeTooSkewed`.
    var serverTime: String?

    /// Reads a body. Whatever is no such document gives nil.
    init?(_ bytes: [UInt8]) {
        let found = Fields()
        var depth = 0
        let reader = XMLReader { event in
            switch event {
            case .start(let name):
                if depth == 0 { found.isError = name == "Error" }
                depth += 1
            case .end(let name, let text):
                depth -= 1
                if depth == 1 && !text.isEmpty { found.values[name] = text }
            }
        }
        guard (try? reader.feed(bytes.span.bytes)) != nil, (try? reader.finish()) != nil, found.isError else {
            return nil
        }
        code = found.values["Code"]
        message = found.values["Message"]
        region = found.values["Region"]
        endpoint = found.values["Endpoint"]
        serverTime = found.values["ServerTime"]
    }

    private final class Fields {
        var isError = false
        var values: [String: String] = [:]
    }
}
