internal import JSON

/// Marks on a picture, as the desktop client keeps them and as they look.
struct Annotation {
    private enum Mark {
        case lines([(x: Int, y: Int)])
        case text(String, x: Int, y: Int)
    }

    private var marks: [Mark] = []

    /// A few boxes, arrows and words for a picture of a size.
    init(width: Int, height: Int, words: [String], random: inout RandomSource) {
        for _ in 0..<random.int(1...3) {
            let x = random.int(10...width * 6 / 10)
            let y = random.int(20...height * 6 / 10)
            let (right, bottom) = (x + random.int(50...width * 3 / 10), y + random.int(25...height * 3 / 10))
            if random.once(in: 2) {
                marks.append(.lines([(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]))
            } else {
                marks.append(
                    .lines([
                        (x, y), (right, bottom), (right - 12, bottom - 2), (right, bottom), (right - 3, bottom - 12),
                    ]))
            }
        }
        if !random.once(in: 4) {
            marks.append(.text(random.pick(words), x: random.int(10...width / 2), y: random.int(16...height - 30)))
        }
    }

    /// As `draw_history` holds them.
    var json: [JSONValue] {
        marks.map { mark in
            switch mark {
            case .lines(let points):
                ["type": "lines", "data": .array(points.map { [JSONValue($0.x), JSONValue($0.y)] })]
            case .text(let text, let x, let y):
                ["type": "text", "data": ["x": JSONValue(x), "y": JSONValue(y), "text": .string(text)]]
            }
        }
    }

    func draw(on canvas: inout Canvas) {
        for mark in marks {
            switch mark {
            case .lines(let points):
                for (from, to) in zip(points, points.dropFirst()) {
                    canvas.line(from.x, from.y, to.x, to.y, Palette.red, thickness: 3)
                }
            case .text(let text, let x, let y): canvas.text(text, x, y, Palette.red, size: 3)
            }
        }
    }
}
