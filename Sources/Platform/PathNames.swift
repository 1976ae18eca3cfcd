extension Files {
    /// A path made absolute, without `.`, empty parts and trailing slashes; `..` takes the part before it away. Looks
    /// at names only: nothing on the disk is touched.
    public static func normalized(_ path: String) -> String {
        var parts: [Substring] = []
        for part in absolute(path).split(separator: "/") {
            switch part {
            case ".": continue
            case "..": _ = parts.popLast()
            default: parts.append(part)
            }
        }
        return "/" + parts.joined(separator: "/")
    }
}
