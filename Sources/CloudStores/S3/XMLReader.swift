internal import CExpat

/// Reads small XML documents with expat, element by element. Documents with a DOCTYPE are refused: no store sends one,
/// and entities are the dangerous part of XML.
struct XMLReader {
    /// The document is not well-formed XML, or has a DOCTYPE.
    struct Malformed: Error {
        let message: String
    }

    /// - Parameter element: called at each element's end with the names from the root to it and the text directly in it.
    static func read(_ bytes: [UInt8], element: (_ path: [String], _ text: String) -> Void) throws(Malformed) {
        guard let parser = XML_ParserCreate(nil) else { throw Malformed(message: "out of memory") }
        defer { XML_ParserFree(parser) }
        let failure = withoutActuallyEscaping(element) { element -> Malformed? in
            let state = State(parser, element)
            XML_SetUserData(parser, Unmanaged.passUnretained(state).toOpaque())
            XML_SetElementHandler(parser, elementBegan, elementEnded)
            XML_SetCharacterDataHandler(parser, textCame)
            XML_SetStartDoctypeDeclHandler(parser, doctypeBegan)
            let status = withExtendedLifetime(state) {
                bytes.withUnsafeBytes { buffer in
                    XML_Parse(
                        parser, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: buffer.count), 1)
                }
            }
            guard status != XML_STATUS_OK else { return nil }
            let reason = XML_ErrorString(XML_GetErrorCode(parser)).map { String(cString: $0) } ?? "error"
            return Malformed(message: "\(reason) at line \(XML_GetCurrentLineNumber(parser))")
        }
        if let failure { throw failure }
    }

    fileprivate final class State {
        private let parser: XML_Parser
        private let element: ([String], String) -> Void
        private var path: [String] = []
        private var text: [UInt8] = []

        init(_ parser: XML_Parser, _ element: @escaping ([String], String) -> Void) {
            self.parser = parser
            self.element = element
        }

        func begin(_ name: UnsafePointer<CChar>) {
            path.append(String(cString: name))
            text.removeAll(keepingCapacity: true)
        }

        func add(_ bytes: UnsafeRawBufferPointer) { text.append(contentsOf: bytes) }

        func end() {
            element(path, String(decoding: text, as: UTF8.self))
            path.removeLast()
            text.removeAll(keepingCapacity: true)
        }

        func stop() { XML_StopParser(parser, XML_Bool(0)) }
    }
}

private func state(_ context: UnsafeMutableRawPointer?) -> XMLReader.State? {
    context.map { Unmanaged<XMLReader.State>.fromOpaque($0).takeUnretainedValue() }
}

private func elementBegan(
    _ context: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?,
    _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) {
    if let name { state(context)?.begin(name) }
}

private func elementEnded(_ context: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?) { state(context)?.end() }

private func textCame(_ context: UnsafeMutableRawPointer?, _ text: UnsafePointer<CChar>?, _ length: Int32) {
    state(context)?.add(UnsafeRawBufferPointer(start: text, count: Int(length)))
}

private func doctypeBegan(
    _ context: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?, _ system: UnsafePointer<CChar>?,
    _ identifier: UnsafePointer<CChar>?, _ internalSubset: Int32
) {
    state(context)?.stop()
}
