internal import Digests
internal import Platform

/// The name under which a store's local state is kept.
public enum StoreIdentity {
    /// Readable and unique: `s3-bucket-prefix-` and 12 hex digits of SHA-256 over URL and endpoint. The same store has
    /// the same name whether it was given by URL or by the name of a section.
    public static func name(_ location: StoreLocation, endpoint: String?) -> String {
        let text = location.url + "\n" + (endpoint.map(normalized) ?? "")
        return slug(location.url) + "-" + SHA256.hex(Array(text.utf8)).prefix(12)
    }

    /// `$XDG_CACHE_HOME/sessionfs/<store>`.
    public static func cacheDirectory(_ name: String) -> String { Environment.cacheHome + "/sessionfs/" + name }

    /// `$XDG_STATE_HOME/sessionfs/<store>`.
    public static func stateDirectory(_ name: String) -> String { Environment.stateHome + "/sessionfs/" + name }

    /// An endpoint's spelling does not make it another store: case of scheme and host, a slash at the end.
    private static func normalized(_ endpoint: String) -> String {
        var text = endpoint.lowercased()
        while text.last == "/" { text.removeLast() }
        return text
    }

    private static func slug(_ url: String) -> String {
        var text = ""
        for character in url.lowercased() {
            let plain = character.isASCII && (character.isLetter || character.isNumber || character == ".")
            if plain { text.append(character) } else if text.last != "-" { text.append("-") }
        }
        text = String(text.prefix(48))
        while text.last == "-" || text.last == "." { text.removeLast() }
        return text
    }
}
