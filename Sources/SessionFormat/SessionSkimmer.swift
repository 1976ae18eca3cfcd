/// Reads the metadata off a `.fastshot` object as its bytes pass, in memory that does not grow with the object.
public final class SessionSkimmer {
    /// - Parameter key: FastShot's `encryption_key`; an object that is not obfuscated is read as well.
    public init(key: String?) { fatalError("skeleton") }

    /// Takes the next bytes.
    public func consume(_ bytes: RawSpan) { fatalError("skeleton") }

    /// Ends the object. As ``SessionContainer/metadata(name:fileSize:)`` of the whole object.
    /// - Throws: as ``SessionContainer/decode(_:key:)``.
    public func finish(name: SessionName, fileSize: UInt64) throws(FormatError) -> SessionMetadata {
        fatalError("skeleton")
    }
}
