/// The options of `-o`, as mount(8) and fstab(5) give them: settings of this program, options for the kernel and
/// libfuse, and notes that only the system's own tools read.
struct MountOptionList: Equatable {
    /// Settings by their keys, for example `cache_dir=/var/cache/x`, `ro`, `allow_other`.
    var settings: SettingLayer = [:]
    /// A configuration file named by `config=`.
    var configuration: String?
    /// Passed on as they are.
    var kernel: [String] = []

    /// Options that the kernel or libfuse understands.
    private static let passedOn: Set<String> = [
        "suid", "nosuid", "dev", "nodev", "exec", "noexec", "atime", "noatime", "diratime", "nodiratime", "relatime",
        "norelatime", "strictatime", "nostrictatime", "sync", "async", "dirsync", "default_permissions", "allow_root",
        "auto_unmount", "fsname", "context", "fscontext", "defcontext", "rootcontext",
    ]
    /// Notes of fstab for mount, systemd and boot scripts.
    private static let ignored: Set<String> = [
        "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail", "comment",
    ]

    /// Understands a list separated by commas; a backslash takes the comma behind it as a part of the value.
    /// - Parameters:
    ///   - origin: where the text was written.
    ///   - isPublic: whether others can see it, as a command line in `ps`: secrets are then refused.
    init(_ text: String, origin: String, isPublic: Bool) throws(ConfigurationError) {
        for item in Self.split(text) {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let (key, value) = (parts[0], parts.count == 2 ? parts[1] : nil)
            func set(_ setting: Setting, _ text: String) {
                settings[setting] = SettingValue(text: text, origin: origin)
            }
            switch key {
            case "ro": set(.readOnly, "yes")
            case "rw": set(.readOnly, "no")
            case "config":
                guard let value, !value.isEmpty else {
                    throw ConfigurationError("config= needs a file", origin: origin)
                }
                configuration = value
            case _ where Self.ignored.contains(key) || key.hasPrefix("x-"): continue
            case _ where Self.passedOn.contains(key): kernel.append(item)
            default:
                guard let setting = Setting(key: key), setting != .url, setting != .mountOptions else {
                    throw Self.unknown(key, origin)
                }
                guard !setting.isSecret || !isPublic else {
                    throw ConfigurationError(
                        "\(key): a secret on the command line is visible to every user; use key_file or the configuration",
                        origin: origin)
                }
                // A flag's name alone switches it on.
                let isFlag = [.readOnly, .allowOther, .anonymous, .tlsVerify].contains(setting)
                guard let text = value ?? (isFlag ? "yes" : nil) else {
                    throw ConfigurationError("\(key) needs a value: \(key)=…", origin: origin)
                }
                set(setting, text)
            }
        }
    }

    private static func unknown(_ key: String, _ origin: String) -> ConfigurationError {
        let known = Setting.allCases.map(\.rawValue) + passedOn + ["config"]
        let nearest = Suggestion.nearest(to: key, in: known.sorted())
        return ConfigurationError(
            "no such mount option: \(key)" + (nearest.map { "; did you mean \($0)?" } ?? ""), origin: origin)
    }

    private static func split(_ text: String) -> [String] {
        var items = [""]
        var escaped = false
        for character in text {
            if escaped {
                if character != ",", character != "\\" { items[items.count - 1].append("\\") }
                items[items.count - 1].append(character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == "," {
                items.append("")
            } else {
                items[items.count - 1].append(character)
            }
        }
        if escaped { items[items.count - 1].append("\\") }
        return items.filter { !$0.isEmpty }
    }
}
