internal import Platform

/// The `[CloudSync]` section of the desktop client's own `config.ini`.
enum DesktopClientSection {
    static let name = "CloudSync"

    /// Its settings as those of a store. Empty when it names no bucket.
    static func settings(
        _ section: INIFile.Section, _ place: (Int) -> String
    ) throws(ConfigurationError) -> SettingLayer {
        var layer: SettingLayer = [:]
        var proxyEnabled = false
        for entry in section.entries {
            func set(_ setting: Setting, _ text: String) {
                guard !text.isEmpty else { return }
                layer[setting] = SettingValue(text: text, origin: place(entry.line))
            }
            switch entry.key {
            case "s3_bucket_name": set(.url, trimmed(entry.value).isEmpty ? "" : "s3://" + trimmed(entry.value))
            case "aws_region": set(.region, trimmed(entry.value))
            // The client takes whitespace and quotes out of them wherever they stand.
            case "aws_access_key": set(.accessKeyID, entry.value.filter { !isPadding($0) })
            case "aws_secret_key": set(.secretAccessKey, entry.value.filter { !isPadding($0) })
            case "encryption_key": set(.encryptionKey, entry.value)
            case "proxy_url": set(.proxy, trimmed(entry.value))
            case "proxy_enabled": proxyEnabled = try bool(entry, place)
            case "ssl_verify": set(.tlsVerify, try bool(entry, place) ? "yes" : "no")
            // Its other keys are no business of a mount.
            default: continue
            }
        }
        if !proxyEnabled { layer[.proxy] = nil }
        return layer[.url] == nil ? [:] : layer
    }

    private static func bool(
        _ entry: INIFile.Entry, _ place: (Int) -> String
    ) throws(ConfigurationError) -> Bool {
        guard let value = Units.bool(trimmed(entry.value)) else {
            throw ConfigurationError(
                "\(entry.key): \"\(entry.value)\" is neither yes nor no", origin: place(entry.line))
        }
        return value
    }

    private static func isPadding(_ character: Character) -> Bool {
        character.isWhitespace || character == "\"" || character == "'"
    }

    private static func trimmed(_ text: String) -> String {
        var text = text.drop(while: isPadding)
        while let last = text.last, isPadding(last) { text.removeLast() }
        return String(text)
    }
}
