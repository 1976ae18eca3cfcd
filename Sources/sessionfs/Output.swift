import Glibc
import JSON
import Platform

/// What commands print: results on standard output, everything else on standard error.
enum Output {
    /// Writes to standard output, whole.
    static func write(_ text: String) { emit(text, to: 1) }

    /// Writes a line to standard error.
    static func error(_ line: String) { emit(line + "\n", to: 2) }

    /// Writes a JSON document.
    static func json(_ value: JSONValue) {
        write(String(decoding: value.serialized(.pretty), as: UTF8.self) + "\n")
    }

    private static func emit(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
                if count > 0 { done += count } else if errno != EINTR { return }
            }
        }
    }

    /// Whether standard error is a terminal, where progress can be drawn.
    static var isTerminal: Bool { isatty(2) == 1 }

    /// `1.4 MiB`.
    static func size(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        if unit == 0 { return "\(bytes) B" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    /// `3 s ago`, `5 min ago`, `2 h ago`, `4 days ago`.
    static func ago(_ time: Timestamp, now: Timestamp = .now) -> String {
        let seconds = max(0, Int(now.seconds(since: time)))
        switch seconds {
        case ..<60: return "\(seconds) s ago"
        case ..<3600: return "\(seconds / 60) min ago"
        case ..<172_800: return "\(seconds / 3600) h ago"
        default: return "\(seconds / 86_400) days ago"
        }
    }

    /// A time in the local zone, as `ls -l --time-style=long-iso` prints it.
    static func local(_ time: Timestamp) -> String {
        var seconds = time_t(time.seconds)
        var fields = tm()
        localtime_r(&seconds, &fields)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%d %H:%M", &fields)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Text from the bucket, safe for a terminal: control characters are shown as `?`.
    static func plain(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) }) else {
            return text
        }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            result.append(scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? "?" : scalar)
        }
        return String(result)
    }
}

/// A line of progress on a terminal, redrawn in place; nothing elsewhere.
struct ProgressLine {
    private let isShown: Bool
    private var width = 0

    init(quiet: Bool) { isShown = !quiet && Output.isTerminal }

    /// Draws `label [#####-----] 52 % detail`, or without a bar where the total is unknown.
    mutating func show(_ label: String, completed: UInt64, total: UInt64?, detail: String = "") {
        guard isShown else { return }
        var line = label
        if let total, total > 0 {
            let percent = Int(min(100, completed * 100 / total))
            let filled = percent / 4
            line +=
                " [" + String(repeating: "#", count: filled) + String(repeating: "-", count: 25 - filled)
                + "] \(percent) %"
        } else if completed > 0 {
            line += " \(completed)"
        }
        if !detail.isEmpty { line += " " + Output.plain(detail) }
        draw(String(line.prefix(100)))
    }

    /// Wipes the line.
    mutating func clear() {
        if width > 0 { draw("") }
    }

    private mutating func draw(_ line: String) {
        let padding = max(0, width - line.count)
        let text = "\r" + line + String(repeating: " ", count: padding) + (line.isEmpty ? "\r" : "")
        var bytes = Array(text.utf8)
        _ = Glibc.write(2, &bytes, bytes.count)
        width = line.count
    }
}
