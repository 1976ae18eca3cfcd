internal import Glibc

/// The process's environment variables and the XDG base directories (XDG Base Directory Specification 0.8).
public enum Environment {
    /// A variable's value; nil when it is unset or empty.
    public static func value(_ name: String) -> String? {
        guard let text = getenv(name) else { return nil }
        let value = String(cString: text)
        return value.isEmpty ? nil : value
    }

    /// The user's home directory: `HOME`, else the password database, else `/`.
    public static var home: String {
        if let home = value("HOME") { return home }
        if let entry = getpwuid(geteuid()), let directory = entry.pointee.pw_dir { return String(cString: directory) }
        return "/"
    }

    /// `$XDG_CACHE_HOME`, default `~/.cache`. Relative values are ignored, as the specification asks.
    public static var cacheHome: String { base("XDG_CACHE_HOME", "/.cache") }
    /// `$XDG_STATE_HOME`, default `~/.local/state`.
    public static var stateHome: String { base("XDG_STATE_HOME", "/.local/state") }
    /// `$XDG_CONFIG_HOME`, default `~/.config`.
    public static var configHome: String { base("XDG_CONFIG_HOME", "/.config") }

    /// Where sockets live: `$XDG_RUNTIME_DIR/sessionfs`; without it `/run/sessionfs` for root and
    /// `/tmp/sessionfs-<uid>` for others. The caller makes it private and checks its owner.
    public static var runtimeDirectory: String {
        if let directory = value("XDG_RUNTIME_DIR"), directory.hasPrefix("/") { return directory + "/sessionfs" }
        return geteuid() == 0 ? "/run/sessionfs" : "/tmp/sessionfs-\(geteuid())"
    }

    private static func base(_ variable: String, _ suffix: String) -> String {
        if let directory = value(variable), directory.hasPrefix("/") { return directory }
        return home + suffix
    }
}
