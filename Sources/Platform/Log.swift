internal import Glibc
internal import Synchronization

/// Structured log lines on standard error: `time level component: message key=value …`.
/// Values are for diagnosis only; callers never pass a credential, and ``Secret`` prints as `<redacted>`.
public struct Log: Sendable {
    /// How much is printed, from least to most.
    public enum Level: Int, Sendable, Comparable, CaseIterable {
        case error = 0
        case warning, info, debug
        /// Less output before more.
        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
        var word: String {
            switch self {
            case .error: "ERROR"
            case .warning: "WARN"
            case .info: "INFO"
            case .debug: "DEBUG"
            }
        }
    }

    private static let threshold = Atomic<Int>(Level.warning.rawValue)

    /// The level of the whole process; lines above it are not printed. Default `.warning`.
    public static var level: Level {
        get { Level(rawValue: threshold.load(ordering: .relaxed)) ?? .warning }
        set { threshold.store(newValue.rawValue, ordering: .relaxed) }
    }

    private let component: String

    /// A logger whose lines carry the component's name.
    public init(_ component: String) { self.component = component }

    /// Something failed for good.
    public func error(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]) {
        write(.error, message(), fields)
    }
    /// Something is wrong, and work goes on.
    public func warning(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]) {
        write(.warning, message(), fields)
    }
    /// An event worth keeping.
    public func info(
        _ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, String> = [:]
    ) {
        if Log.level >= .info { write(.info, message(), fields()) }
    }
    /// A detail for whoever looks for a fault.
    public func debug(
        _ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, String> = [:]
    ) {
        if Log.level >= .debug { write(.debug, message(), fields()) }
    }

    private func write(_ level: Level, _ message: String, _ fields: KeyValuePairs<String, String>) {
        guard level <= Log.level else { return }
        var line = "\(Timestamp.now.iso8601) \(level.word) \(component): \(message)"
        for (key, value) in fields {
            let plain = value.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") }
            line += plain ? " \(key)=\(value)" : " \(key)=\"\(value.replacingQuotesAndControls)\""
        }
        line += "\n"
        // One write per line, so that lines of several threads and processes do not mix.
        line.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }
}

extension String {
    fileprivate var replacingQuotesAndControls: String {
        String(
            unicodeScalars.flatMap { scalar -> [Character] in
                switch scalar {
                case "\"": ["\\", "\""]
                case "\n": ["\\", "n"]
                default: [scalar.value < 0x20 ? "?" : Character(scalar)]
                }
            })
    }
}

/// A credential. It prints as `<redacted>` wherever it is interpolated, dumped or logged; only ``reveal()`` gives it.
public struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: String

    /// Wraps a credential.
    public init(_ value: String) { self.value = value }

    /// The credential itself, for signing and nothing else.
    public func reveal() -> String { value }
    /// Always `<redacted>`.
    public var description: String { "<redacted>" }
    /// Always `<redacted>`.
    public var debugDescription: String { "<redacted>" }
    /// Shows nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
