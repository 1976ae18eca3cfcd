import MountService

/// Options that set what a configuration file sets too; their names are those of ``Setting``.
enum StoreOptions {
    /// Of every command, for each may open a store.
    static let common: [OptionSpec] = [
        .value("config", nil, "FILE", "read this configuration; FastShot's config.ini will do", kind: .file),
        .value("cache-dir", nil, "DIR", "keep caches below this directory", kind: .directory),
        .value("state-dir", nil, "DIR", "keep state below this directory", kind: .directory),
        .value("endpoint", nil, "URL", "use this server instead of the provider's own"),
        .value("region", nil, "REGION", "sign requests for this region"),
        .value("profile", nil, "NAME", "use this profile of the provider's shared configuration"),
        .value("key-file", nil, "FILE", "read the FastShot key from this file", kind: .file),
        .value(
            "addressing", nil, "HOW", "where the bucket stands in a request",
            kind: .words(Addressing.allCases.map(\.rawValue))),
        .value("ca-file", nil, "FILE", "trust the certificates in this PEM file", kind: .file),
        .value("proxy", nil, "URL", "go through this HTTP proxy"),
        .flag("no-tls-verify", nil, "do not check the server's certificate (dangerous)"),
        .flag("anonymous", nil, "send requests without a signature"),
    ]

    /// Of `mount` alone.
    static let mount: [OptionSpec] = [
        .value("options", "o", "OPTIONS", "mount options as of mount(8), separated by commas"),
        .flag("read-only", "r", "refuse changes; this version always does"),
        .flag("allow-other", nil, "let other users use the mount"),
        .value("cache-max", nil, "SIZE", "keep at most this much of sessions, for example 10G"),
        .value(
            "unmount-policy", nil, "POLICY", "what happens to the cache at the end",
            kind: .words(["keep", "clean", "purge"])),
        .value("poll-interval", nil, "TIME", "look for changes this often; default 10s, 0 never"),
    ]
}
