/// The program's version (Semantic Versioning 2.0).
public enum Version {
    /// This build's.
    public static let current = "0.1.0"
}
