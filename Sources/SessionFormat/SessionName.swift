/// The name of a session: `<stem>.fastshot`, where the stem is `YYYYMMDDHHMMSS_<name>` when FastShot chose it.
public struct SessionName: Sendable, Hashable, CustomStringConvertible {
    /// The file name without `.fastshot`.
    public let stem: String

    /// What session files end in.
    public static let fileSuffix = ".fastshot"
    /// What index files end in.
    public static let indexSuffix = ".meta.json"
    /// Where sessions lie in a bucket.
    public static let bodyPrefix = "sessions/"
    /// Where indexes lie in a bucket.
    public static let indexPrefix = "meta_indexes/"
    /// The key of the overall file.
    public static let overallKey = "overall_meta.json"

    /// The session of a file name; nil when it does not end in `.fastshot` or cannot be a file.
    public init?(fileName: String) {
        guard Self.problem(withFileName: fileName) == nil else { return nil }
        self.init(fileName, suffix: Self.fileSuffix)
    }

    /// The session of an index's file name, `<stem>.meta.json`.
    public init?(indexFileName: String) {
        guard Self.problem(withFileName: indexFileName) == nil else { return nil }
        self.init(indexFileName, suffix: Self.indexSuffix)
    }

    /// The name that FastShot gives a session: its stamp, and its title cut at 30 characters (code points). What cannot
    /// stand in a file name becomes `_`.
    public init(stamp: NaiveTime, title: String) {
        var cut = String.UnicodeScalarView()
        for scalar in title.unicodeScalars.prefix(30) { cut.append(scalar == "/" || scalar == "\0" ? "_" : scalar) }
        stem = cut.isEmpty ? stamp.stamp : stamp.stamp + "_" + String(cut)
    }

    private init?(_ fileName: String, suffix: String) {
        // By bytes: as characters, the dot may belong to a cluster with what stands before it.
        let bytes = fileName.utf8
        guard bytes.count > suffix.utf8.count, bytes.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) else {
            return nil
        }
        stem = String(decoding: bytes.dropLast(suffix.utf8.count), as: UTF8.self)
    }

    /// `<stem>.fastshot`.
    public var fileName: String { stem + Self.fileSuffix }
    /// `<stem>.meta.json`. May be one byte too long for a file where ``fileName`` is not.
    public var indexFileName: String { stem + Self.indexSuffix }
    /// `sessions/<stem>.fastshot`.
    public var bodyKey: String { Self.bodyPrefix + fileName }
    /// `meta_indexes/<stem>.meta.json`.
    public var indexKey: String { Self.indexPrefix + indexFileName }
    /// The file name.
    public var description: String { fileName }

    /// The date and time, local to the writer, that the stem begins with.
    public var stamp: NaiveTime? {
        let bytes = Array(stem.utf8.prefix(15))
        guard bytes.count >= 14, bytes.count == 14 || bytes[14] == UInt8(ascii: "_") else { return nil }
        return NaiveTime(stamp: bytes.prefix(14))
    }

    /// What stands behind the stamp; the whole stem where there is none.
    public var title: String {
        guard stamp != nil else { return stem }
        return String(decoding: stem.utf8.dropFirst(15), as: UTF8.self)
    }

    /// Names are equal when their bytes are.
    public static func == (left: SessionName, right: SessionName) -> Bool {
        left.stem.utf8.elementsEqual(right.stem.utf8)
    }

    /// By the bytes of the stem.
    public func hash(into hasher: inout Hasher) {
        for byte in stem.utf8 { hasher.combine(byte) }
    }
}

/// Why a name in a bucket cannot be the name of a file.
public enum NameProblem: String, Sendable, Equatable, CustomStringConvertible {
    case empty
    /// `.` or `..`.
    case dots
    case slash
    case nul
    /// More than 255 bytes.
    case tooLong

    /// Words for the user.
    public var description: String {
        switch self {
        case .empty: "is empty"
        case .dots: "is a name that every directory has"
        case .slash: "holds a slash"
        case .nul: "holds a NUL byte"
        case .tooLong: "is longer than 255 bytes"
        }
    }
}

extension SessionName {
    /// Why a name cannot be a file on Linux, or nil. Control characters are legal there.
    public static func problem(withFileName name: String) -> NameProblem? {
        let bytes = name.utf8
        if bytes.isEmpty { return .empty }
        if bytes.contains(UInt8(ascii: "/")) { return .slash }
        if bytes.contains(0) { return .nul }
        if bytes.count > 255 { return .tooLong }
        if bytes.count <= 2, bytes.allSatisfy({ $0 == UInt8(ascii: ".") }) { return .dots }
        return nil
    }
}
