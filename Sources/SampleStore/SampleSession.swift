internal import Digests
internal import JSON
internal import SessionFormat

/// One sample session, ready to be stored.
struct SampleSession: Sendable {
    var content: SampleContent
    /// The object's bytes.
    var body: [UInt8]
    /// How many PNG pictures lie in it.
    var pictures: Int

    /// Draws a session.
    init(_ content: SampleContent, index: Int, key: String?, seed: UInt64) {
        var random = RandomSource(seed: ~seed, index: index)
        var windows: [SessionWindow] = []
        var cells: [Canvas] = []
        for place in 0..<content.metadata.imageCount {
            let size = random.pick([(480, 300), (640, 400), (640, 400), (800, 500), (960, 600)])
            let title = place == 0 ? content.metadata.name : random.pick(SampleContent.titles)
            let original = Screen(
                width: size.0, height: size.1, title: title, vocabulary: SampleContent.words,
                random: RandomSource(seed: random.next())
            ).canvas
            let annotation = Annotation(
                width: size.0, height: size.1, words: SampleContent.words, random: &random)
            var annotated = original
            annotation.draw(on: &annotated)
            let scale = random.pick([0.5, 0.75, 1.0, 1.25])
            let shown = annotated.scaled(
                width: Int(Double(size.0) * scale), height: Int(Double(size.1) * scale))
            windows.append(
                SessionWindow(
                    index: place, x: random.int(0...400), y: random.int(0...300), width: shown.width,
                    height: shown.height, scale: scale, imageData: Base64.encode(PNG.encode(shown)),
                    originalImageData: Base64.encode(PNG.encode(original)),
                    annotatedOriginalData: Base64.encode(PNG.encode(annotated)), drawHistory: annotation.json,
                    windowID: Int64(random.int(1_000_000_000...9_999_999_999))))
            cells.append(annotated.scaled(width: 100, height: 100 * size.1 / size.0))
        }
        self.init(
            content, windows: windows, collage: Self.collage(cells), pictures: 3 * windows.count + 2, key: key)
    }

    /// A session without pictures but for its cover: for stores where only the number of sessions matters.
    init(tiny content: SampleContent, key: String?) {
        var content = content
        content.metadata.imageCount = 0
        self.init(content, windows: [], collage: nil, pictures: 1, key: key)
    }

    private init(
        _ content: SampleContent, windows: [SessionWindow], collage: Canvas?, pictures: Int, key: String?
    ) {
        let facts = content.metadata
        let metadata: JSONValue = [
            "name": .string(facts.name), "desc": .string(facts.desc), "tags": JSONValue(facts.tags),
            "color": .string(facts.color), "class": .string(facts.sessionClass),
            "created_at": JSONValue(facts.createdAt), "filename": .string(content.name.fileName),
            "image_count": JSONValue(facts.imageCount),
            "thumbnail_collage": collage.map { .string(Base64.encode(PNG.encode($0))) } ?? .null,
        ]
        let session = SessionContainer.session(timestamp: content.created.iso8601, windows: windows)
        body = SessionContainer(cover: Self.cover, session: session, metadata: metadata).encode(key: key)
        self.content = content
        self.content.metadata.fileSize = UInt64(body.count)
        self.pictures = pictures
    }

    /// The row of the overall file, with the metadata.
    var row: OverallRow {
        OverallRow(
            fileName: content.name.fileName, createdAt: content.uploaded.iso8601, fileSize: UInt64(body.count),
            checksum: .etag(MD5.hex(body)), metadata: content.metadata)
    }

    /// The picture that programs show for the object: white, 100 × 100, as FastShot's.
    private static let cover = PNG.encode(Canvas(width: 100, height: 100))

    private static func collage(_ cells: [Canvas]) -> Canvas {
        let height = cells.map(\.height).max() ?? 1
        var picture = Canvas(width: max(1, cells.map(\.width).reduce(0, +)), height: height, color: Palette.lightGrey)
        var x = 0
        for cell in cells {
            picture.draw(cell, x, 0)
            x += cell.width
        }
        return picture
    }
}
