internal import ObjectStore

/// A small XML answer: the texts directly below its root, and those of repeated elements.
struct S3Document {
    /// By element name; the last one where there are several.
    private(set) var fields: [String: String] = [:]
    /// The repeated elements, in order.
    private(set) var items: [[String: String]] = []

    /// - Parameters:
    ///   - root: what the document has to be.
    ///   - names: the repeated elements below it.
    /// - Throws: `.temporary` when it is broken or another document.
    init(_ bytes: [UInt8], root: String, items names: Set<String>) throws(StoreError) {
        let collector = Collector(names)
        let reader = XMLReader { collector.take($0) }
        try reader.feed(bytes.span.bytes)
        try reader.finish()
        guard collector.root == root else {
            throw StoreError(.temporary, message: "not the answer that was asked for; is this an S3 endpoint?")
        }
        fields = collector.fields
        items = collector.items
    }

    /// A key as it is, where the server was asked for URL encoding.
    func key(_ text: String?) -> String? {
        fields["EncodingType"] == "url" ? text.flatMap { PercentDecoding.decode($0) } : text
    }

    private final class Collector {
        let names: Set<String>
        var root: String?
        var fields: [String: String] = [:]
        var items: [[String: String]] = []
        private var open: [String] = []
        private var item: [String: String] = [:]

        init(_ names: Set<String>) { self.names = names }

        func take(_ event: XMLReader.Event) {
            switch event {
            case .start(let name):
                if open.isEmpty { root = name }
                if open.count == 1 { item = [:] }
                open.append(name)
            case .end(let name, let text):
                open.removeLast()
                if open.count == 2 {
                    item[name] = text
                } else if open.count == 1 {
                    if names.contains(name) { items.append(item) } else { fields[name] = text }
                }
            }
        }
    }
}
