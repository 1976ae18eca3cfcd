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
}
