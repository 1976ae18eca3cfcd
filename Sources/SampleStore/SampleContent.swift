internal import SessionFormat

/// What a sample session is about, before anything is drawn.
struct SampleContent: Sendable {
    var name: SessionName
    var metadata: SessionMetadata
    /// When the session was made, as its files say it.
    var created: NaiveTime
    /// When its object came into the bucket.
    var uploaded: NaiveTime

    static let titles = [
        "Login page", "Release dashboard", "Crash on startup", "Invoice layout", "设计评审", "Café menu", "API latency",
        "Onboarding flow", "Überblick Q3", "Search results", "截图 登录页面", "Dark mode", "Build pipeline", "Naïve sorting",
        "Checkout error", "Map tiles", "スクリーンショット", "Weekly report", "Font rendering", "Señal de red", "Memory graph",
        "Settings dialog", "한국어 번역", "Photo import", "Diff view", "Terminal session", "Garçon résumé", "Flow chart",
        "Customer feedback", "Login page", "数据库 架构", "Signup form", "Keyboard shortcuts",
        "Sketch of the new home page layout",
        "Test coverage", "Øresund trip", "Network trace", "Table alignment", "", "Colour palette",
    ]
    static let labels = [
        "bug", "design", "review", "urgent", "draft", "release", "ui", "api", "demo", "docs", "设计", "été",
        "performance",
        "mobile",
    ]
    static let classes = ["", "work", "support", "research", "personal"]
    static let colors = ["blue", "red", "green", "orange", "purple", "yellow"]
    static let words = [
        "login", "user", "error", "total", "invoice", "page", "retry", "cache", "token", "chart", "night", "save",
        "open",
        "build", "parse", "value", "fast", "cloud", "shot", "index", "queue", "draft", "merge", "color", "frame",
        "é clair",
        "评审", "naïve", "map", "edit",
    ]

    /// One of `count` sessions, spread over 240 days from March 2025. Dates grow with the index, at least one second each, so that no two names are equal.
    init(index: Int, of count: Int, seed: UInt64) {
        var random = RandomSource(seed: seed, index: index)
        let span = 240 * 86_400
        let slot = max(1, span / max(1, count))
        let second = index * slot + random.int(0...slot - 1)
        created = Self.time(second, microseconds: random.int(0...999_999))
        uploaded = Self.time(second + 2, microseconds: 0)
        uploaded.offsetSeconds = 0

        let title = Self.titles[index % Self.titles.count]
        let tags = random.once(in: 5) ? [] : random.pick(random.int(1...4), of: Self.labels)
        let note =
            random.once(in: 6)
            ? "" : (0..<random.int(2...6)).map { _ in random.pick(Self.words) }.joined(separator: " ")
        metadata = SessionMetadata(
            name: title, desc: note, tags: tags, color: random.pick(Self.colors),
            sessionClass: random.pick(Self.classes),
            imageCount: random.pick([1, 1, 1, 2, 2, 3, 4]), createdAt: created.iso8601)
        name = SessionName(stamp: created, title: title.isEmpty ? "session" : title)
    }

    /// The index's bytes.
    var index: [UInt8] {
        MetadataIndex(
            fileName: name.fileName, metadata: metadata, createdAt: metadata.createdAt, lastUpdated: metadata.createdAt
        ).encode()
    }

    /// The same with a size made up, for a session that has no body.
    func claimingSize() -> SampleContent {
        var copy = self
        copy.metadata.fileSize = UInt64(50_000 + created.nanoseconds % 900_000_000 / 1000)
        return copy
    }

    /// A second counted from 2025-03-01T00:00:00, in months of 30 days so that each exists.
    private static func time(_ second: Int, microseconds: Int) -> NaiveTime {
        let day = second / 86_400
        var time = NaiveTime.epoch
        time.year = 2025 + day / 300
        time.month = 3 + day % 300 / 30
        time.day = 1 + day % 30
        time.hour = second / 3600 % 24
        time.minute = second / 60 % 60
        time.second = second % 60
        time.nanoseconds = Int64(microseconds) * 1000
        return time
    }
}
