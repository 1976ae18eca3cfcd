internal import CExpat
internal import ObjectStore

/// Reads an XML document as it arrives and reports elements (Expat). One thread at a time.
///
/// Document types are refused: no store sends one, and entities are how XML is abused.
final class XMLReader {
    /// What is reported; names without namespace.
    enum Event {
        case start(String)
        /// An element's end, with the text directly in it.
        case end(String, text: String)
    }

    /// The longest text of an element, in bytes: no key is longer than 1,024 bytes, encoded 3,072.
    private static let textLimit = 64 << 10

    private let parser: OpaquePointer
    private let report: (Event) -> Void
    private var text: [UInt8] = []
    private var refusal: String?

    init(_ report: @escaping (Event) -> Void) {
        guard let parser = XML_ParserCreate(nil) else { fatalError("XML_ParserCreate: out of memory") }
        self.parser = parser
        self.report = report
        XML_SetUserData(parser, Unmanaged.passUnretained(self).toOpaque())
        XML_SetElementHandler(parser, elementStarted, elementEnded)
        XML_SetCharacterDataHandler(parser, textArrived)
        XML_SetStartDoctypeDeclHandler(parser, documentTypeStarted)
    }

    deinit { XML_ParserFree(parser) }

    /// - Throws: `.temporary`, for a document is mostly broken because it was cut or garbled on its way.
    func feed(_ bytes: RawSpan) throws(StoreError) {
        let status = bytes.withUnsafeBytes { buffer in
            XML_Parse(parser, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(buffer.count), 0)
        }
        try check(status)
    }

    /// The document has to be complete now.
    func finish() throws(StoreError) { try check(XML_Parse(parser, nil, 0, 1)) }

    private func check(_ status: XML_Status) throws(StoreError) {
        guard status != XML_STATUS_OK else { return }
        let reason = refusal ?? XML_ErrorString(XML_GetErrorCode(parser)).map { String(cString: $0) } ?? "unknown error"
        throw StoreError(.temporary, message: "not a valid XML answer: \(reason)")
    }

    fileprivate func started(_ name: UnsafePointer<CChar>?) {
        text.removeAll(keepingCapacity: true)
        report(.start(Self.localName(name)))
    }

    fileprivate func ended(_ name: UnsafePointer<CChar>?) {
        report(.end(Self.localName(name), text: String(decoding: text, as: UTF8.self)))
        text.removeAll(keepingCapacity: true)
    }

    fileprivate func took(_ bytes: UnsafeRawBufferPointer) {
        guard text.count + bytes.count <= Self.textLimit else { return refuse("an element is too long") }
        text.append(contentsOf: bytes)
    }

    fileprivate func refuse(_ reason: String) {
        refusal = reason
        XML_StopParser(parser, XML_Bool(XML_FALSE))
    }

    private static func localName(_ name: UnsafePointer<CChar>?) -> String {
        guard let name else { return "" }
        let full = String(cString: name)
        return full.utf8.lastIndex(of: UInt8(ascii: ":")).map { String(full[full.utf8.index(after: $0)...]) } ?? full
    }
}

private func reader(_ context: UnsafeMutableRawPointer?) -> XMLReader? {
    context.map { Unmanaged<XMLReader>.fromOpaque($0).takeUnretainedValue() }
}

private func elementStarted(
    _ context: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?,
    _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) { reader(context)?.started(name) }

private func elementEnded(_ context: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?) {
    reader(context)?.ended(name)
}

private func textArrived(_ context: UnsafeMutableRawPointer?, _ text: UnsafePointer<CChar>?, _ count: Int32) {
    reader(context)?.took(UnsafeRawBufferPointer(start: text, count: Int(count)))
}

private func documentTypeStarted(
    _ context: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?, _ system: UnsafePointer<CChar>?,
    _ publicID: UnsafePointer<CChar>?, _ hasSubset: Int32
) { reader(context)?.refuse("it declares a document type") }
