internal import SessionCache

/// One thing that can be configured. The raw value is its key in a configuration file; the other spellings follow from
/// it: `SESSIONFS_CACHE_DIR` in the environment, `--cache-dir` on the command line, `cache_dir=` as a mount option.
public enum Setting: String, Sendable, CaseIterable {
    /// The store's URL; only in a `[store "name"]` section.
    case url
    /// The server, for another than the provider's own.
    case endpoint
    /// The region that requests are signed for.
    case region
    /// A profile of the provider's shared configuration (`~/.aws`).
    case profile
    /// Credentials in this file rather than the provider's chain.
    case accessKeyID = "access_key_id"
    case secretAccessKey = "secret_access_key"
    case sessionToken = "session_token"
    /// Requests without a signature, for public buckets.
    case anonymous
    /// How the bucket stands in a request: `path`, `virtual` or `auto`.
    case addressing
    /// Certificates to trust instead of the system's (PEM).
    case caFile = "ca_file"
    /// An HTTP proxy.
    case proxy
    /// Whether the server's certificate is checked.
    case tlsVerify = "tls_verify"
    /// A file that holds the FastShot key.
    case keyFile = "key_file"
    /// The FastShot key itself.
    case encryptionKey = "encryption_key"
    /// Where bodies and catalog are cached.
    case cacheDirectory = "cache_dir"
    /// Where that is kept which is not uploaded yet.
    case stateDirectory = "state_dir"
    /// The most bytes of bodies kept.
    case cacheLimit = "cache_max"
    /// What happens to the cache when the mount ends: `keep`, `clean` or `purge`.
    case unmountPolicy = "unmount_policy"
    /// How often the store is asked for changes.
    case pollInterval = "poll_interval"
    /// Whether the mount refuses changes.
    case readOnly = "read_only"
    /// How conflicts are decided.
    case conflicts
    /// The same for one kind of them.
    case conflictCreated = "conflict_created"
    case conflictEdited = "conflict_edited"
    case conflictEditedRemoved = "conflict_edited_removed"
    case conflictRemovedEdited = "conflict_removed_edited"
    case conflictRenamed = "conflict_renamed"
    /// What is done with files that are no FastShot sessions: `refuse` or `basic`.
    case foreign
    /// When close(2) of a written file returns: `local` or `cloud`.
    case close
    /// How long the daemon sends on after a plain umount or a signal.
    case flushTimeout = "flush_timeout"
    /// What opening a session that is not cached does while the store is away: `fail` or `wait`.
    case offlineReads = "offline_reads"
    /// The most bytes per second that are sent.
    case uploadLimit = "limit_upload"
    /// The most bytes per second that are fetched.
    case downloadLimit = "limit_download"
    /// Whether other users may use the mount.
    case allowOther = "allow_other"
    /// More options for the mount, as `-o` takes them.
    case mountOptions = "mount_options"
    /// How much is logged: `error`, `warning`, `info` or `debug`.
    case log

    /// Values that are never shown, nor taken from where others can see them (a command line).
    public var isSecret: Bool {
        switch self {
        case .accessKeyID, .secretAccessKey, .sessionToken, .encryptionKey: true
        default: false
        }
    }

    /// Whether `[defaults]` may set it: what identifies one store or its owner may not stand there.
    var isAllowedInDefaults: Bool { self != .url && !isSecret }

    /// Paths, which a file gives relative to itself.
    var isPath: Bool {
        switch self {
        case .caFile, .keyFile, .cacheDirectory, .stateDirectory: true
        default: false
        }
    }

    /// `SESSIONFS_CACHE_DIR`; nil for what the environment does not set.
    public var variable: String? { self == .url ? nil : "SESSIONFS_" + rawValue.uppercased() }

    /// `cache-dir`: the long option that sets it, where a command declares one.
    public var optionName: String { String(rawValue.map { $0 == "_" ? "-" : $0 }) }

    /// By key, with dashes taken for underscores.
    public init?(key: String) { self.init(rawValue: String(key.lowercased().map { $0 == "-" ? "_" : $0 })) }
}

extension ConflictKind {
    /// The setting that says how conflicts of this kind are decided.
    var setting: Setting {
        switch self {
        case .created: .conflictCreated
        case .edited: .conflictEdited
        case .editedRemoved: .conflictEditedRemoved
        case .removedEdited: .conflictRemovedEdited
        case .renamed: .conflictRenamed
        }
    }
}

/// A setting's text and where it was written.
struct SettingValue: Sendable, Equatable {
    var text: String
    /// `config.ini:12`, `--cache-max`, `SESSIONFS_CACHE_MAX`.
    var origin: String
}

/// Settings of one origin. Those of ``LayeredSettings`` stand in the order of their precedence.
typealias SettingLayer = [Setting: SettingValue]

/// All layers, the strongest first.
struct LayeredSettings {
    var layers: [SettingLayer]

    subscript(_ setting: Setting) -> SettingValue? { layers.lazy.compactMap { $0[setting] }.first }

    /// How strong the layer is that sets it; the least is the strongest. Nil when none does.
    func rank(_ setting: Setting) -> Int? { layers.firstIndex { $0[setting] != nil } }

    func text(_ setting: Setting) -> String? { self[setting].map(\.text) }

    /// Reads a value.
    /// - Parameter wanted: what it should have been, for the error.
    func parsed<Value>(
        _ setting: Setting, _ wanted: String, _ read: (String) -> Value?
    ) throws(ConfigurationError) -> Value? {
        guard let value = self[setting] else { return nil }
        guard let result = read(value.text) else {
            throw ConfigurationError("\(setting.rawValue): \"\(value.text)\" is \(wanted)", origin: value.origin)
        }
        return result
    }

    func bool(_ setting: Setting) throws(ConfigurationError) -> Bool? {
        try parsed(setting, "neither yes nor no", Units.bool)
    }

    func word<Word: RawRepresentable & CaseIterable>(
        _ setting: Setting, _ type: Word.Type = Word.self
    ) throws(ConfigurationError) -> Word? where Word.RawValue == String {
        let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
        return try parsed(setting, "none of \(words)") { Word(rawValue: $0.lowercased()) }
    }
}
