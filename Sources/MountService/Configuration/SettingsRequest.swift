internal import SessionCache
internal import Sync

/// What a command line says about a store: its URL or name, and settings.
public struct SettingsRequest: Sendable, Equatable {
    /// A URL, a path, the name of a section, or nil for the desktop client's store.
    public var store: String?
    /// The configuration file asked for; nil for the usual one.
    public var configuration: String?
    /// Settings given as options.
    public var options: [Setting: String]
    /// The texts of `-o`.
    public var mountOptions: [String]

    /// A request by its parts.
    public init(
        store: String?, configuration: String? = nil, options: [Setting: String] = [:], mountOptions: [String] = []
    ) {
        self.store = store
        self.configuration = configuration
        self.options = options
        self.mountOptions = mountOptions
    }

    /// Takes whatever settings a command declares as options: `--cache-dir D` for ``Setting/cacheDirectory``, a flag for
    /// a truth value and `--no-…` for its opposite, `--config F` and `--options`.
    public init(store: String?, arguments: ParsedArguments) {
        self.init(
            store: store, configuration: arguments.value("config"),
            mountOptions: arguments.allValues("options"))
        for setting in Setting.allCases {
            if let value = arguments.value(setting.optionName) { options[setting] = value }
            if arguments.flag(setting.optionName) { options[setting] = "yes" }
            if arguments.flag("no-" + setting.optionName) { options[setting] = "no" }
        }
    }

    /// Options of every command that opens a store.
    public static let commonOptions: [OptionSpec] = [
        .value("config", nil, "FILE", "read this configuration", kind: .file),
        .value("cache-dir", nil, "DIR", "keep the cache in this directory", kind: .directory),
        .value("state-dir", nil, "DIR", "keep what is not uploaded yet in this directory", kind: .directory),
        .value("endpoint", nil, "URL", "use this server instead of the provider's own"),
        .value("region", nil, "REGION", "sign requests for this region"),
        .value("profile", nil, "PROFILE", "use this profile of the provider's shared configuration"),
        .value("key-file", nil, "FILE", "read the FastShot key from this file", kind: .file),
        .value(
            "addressing", nil, "HOW", "how the bucket stands in a request",
            kind: .words(Addressing.allCases.map(\.rawValue))),
        .value("ca-file", nil, "FILE", "trust the certificates in this PEM file", kind: .file),
        .value("proxy", nil, "URL", "go through this HTTP proxy"),
        .flag("no-tls-verify", nil, "do not check the server's certificate (dangerous)"),
        .flag("anonymous", nil, "send requests without a signature"),
    ]

    /// Further options of `mount`.
    public static let mountOnlyOptions: [OptionSpec] = [
        .value("options", "o", "OPTIONS", "mount options as of mount(8), separated by commas"),
        .flag("read-only", "r", "refuse changes"),
        .value(
            "conflicts", nil, "STRATEGY", "how conflicts are decided; default manual",
            kind: .words(ConflictStrategy.allCases.map(\.rawValue))),
        .value(
            "foreign", nil, "HOW", "what is done with files that are no sessions; default refuse",
            kind: .words(ForeignContents.allCases.map(\.rawValue))),
        .value(
            "close", nil, "WHEN", "where a file is durable when close returns; default local",
            kind: .words(ClosePolicy.allCases.map(\.rawValue))),
        .value("flush-timeout", nil, "TIME", "send on for this long after a plain umount or a signal; default 60s"),
        .value(
            "offline-reads", nil, "HOW", "what opening a session that is not here does offline; default fail",
            kind: .words(OfflineReads.allCases.map(\.rawValue))),
        .value("limit-upload", nil, "RATE", "send at most this many bytes per second, for example 2M"),
        .value("limit-download", nil, "RATE", "fetch at most this many bytes per second"),
        .flag("allow-other", nil, "let other users use the mount"),
        .value("cache-max", nil, "SIZE", "keep at most this much of bodies, for example 10G"),
        .value(
            "unmount-policy", nil, "POLICY", "what happens to the cache at the end",
            kind: .words(["keep", "clean", "purge"])),
        .value("poll-interval", nil, "TIME", "ask for changes this often, for example 10s; 0 looks once"),
    ]
}
