/// Draws screens as a user might have shot them: windows of different programs on a desktop.
struct Screen {
    private(set) var canvas: Canvas
    private var random: RandomSource
    private let vocabulary: [String]

    /// - Parameters:
    ///   - title: of the foremost window.
    ///   - vocabulary: the words that texts are made of.
    init(width: Int, height: Int, title: String, vocabulary: [String], random: RandomSource) {
        canvas = Canvas(width: width, height: height)
        self.random = random
        self.vocabulary = vocabulary
        desktop()
        let behind = self.random.int(0...2)
        for _ in 0..<behind { window(place(of: 55), title: words(2)) }
        window(place(of: 75), title: title)
    }

    /// Where a window of so many hundredths of the screen may stand.
    private mutating func place(of share: Int) -> Box {
        let width = canvas.width * share / 100
        let height = canvas.height * share / 100
        return Box(
            x: random.int(0...canvas.width - width), y: random.int(12...max(12, canvas.height - height - 1)),
            width: width, height: height)
    }

    private mutating func words(_ count: Int) -> String {
        (0..<count).map { _ in random.pick(vocabulary) }.joined(separator: " ")
    }

    private mutating func desktop() {
        let ramp = random.pick(Palette.ramps)
        let slope = random.int(-1...1)
        let (width, height) = (canvas.width, canvas.height)
        canvas.paint(Box(x: 0, y: 0, width: width, height: height)) { x, y in
            // Bands of one colour, not a smooth run, so that the picture stays small.
            let along = (y + slope * x / 3 + height) * 20 / (2 * height + width)
            return ramp + UInt8(min(max(along, 0), 19) * 3)
        }
        canvas.fill(Box(x: 0, y: 0, width: width, height: 12), Palette.night)
        canvas.text(words(1), 4, 3, Palette.lightGrey, size: 1)
        canvas.text("\(random.int(10...23)):\(random.int(10...59))", width - 24, 3, Palette.white, size: 1)
    }

    private mutating func window(_ box: Box, title: String) {
        canvas.fill(Box(x: box.x + 3, y: box.y + 3, width: box.width, height: box.height), Palette.darkGrey)
        canvas.fill(box, Palette.white)
        canvas.fill(Box(x: box.x, y: box.y, width: box.width, height: 16), Palette.lightGrey)
        for (index, color) in [Palette.red, Palette.yellow, Palette.green].enumerated() {
            canvas.disc(box.x + 8 + 10 * index, box.y + 8, radius: 3, color)
        }
        canvas.text(title, box.x + 42, box.y + 3, Palette.night)
        canvas.frame(box, Palette.grey)
        let inside = Box(x: box.x + 1, y: box.y + 17, width: box.width - 2, height: box.height - 18)
        switch random.int(0...7) {
        case 0: editor(inside)
        case 1: terminal(inside)
        case 2: bars(inside)
        case 3: table(inside)
        case 4: diagram(inside)
        case 5: form(inside)
        default: photograph(inside)
        }
    }

    // MARK: Programs

    private mutating func editor(_ box: Box) {
        canvas.fill(box, Palette.paper)
        canvas.fill(Box(x: box.x, y: box.y, width: 22, height: box.height), Palette.lightGrey)
        var number = random.int(1...300)
        var depth = 0
        for y in stride(from: box.y + 6, to: box.y + box.height - 12, by: 14) {
            canvas.text("\(number)", box.x + 3, y + 2, Palette.grey, size: 1)
            number += 1
            depth = max(0, min(4, depth + random.int(-1...1)))
            var x = box.x + 28 + 16 * depth
            for part in ["let", words(1), "=", words(1) + "()"].prefix(random.int(0...4)) {
                x =
                    canvas.text(part, x, y, random.pick([Palette.blue, Palette.purple, Palette.black, Palette.green]))
                    + 8
                if x > box.x + box.width - 60 { break }
            }
        }
    }

    private mutating func terminal(_ box: Box) {
        canvas.fill(box, Palette.night)
        for y in stride(from: box.y + 6, to: box.y + box.height - 12, by: 14) {
            var x = box.x + 6
            if random.once(in: 3) { x = canvas.text("$ ", x, y, Palette.green) }
            let color = random.once(in: 6) ? Palette.red : Palette.lightGrey
            while x < box.x + box.width - 110, !random.once(in: 5) { x = canvas.text(words(1), x, y, color) + 8 }
        }
    }

    private mutating func bars(_ box: Box) {
        let floor = box.y + box.height - 16
        canvas.text(words(2), box.x + 10, box.y + 6, Palette.black)
        canvas.line(box.x + 10, floor, box.x + box.width - 10, floor, Palette.darkGrey)
        var last: (x: Int, y: Int)?
        for (index, x) in stride(from: box.x + 16, to: box.x + box.width - 24, by: 22).enumerated() {
            let height = random.int(4...max(5, box.height - 50))
            let color = Palette.accents[index % Palette.accents.count]
            canvas.fill(Box(x: x, y: floor - height, width: 14, height: height), color)
            let next = (x: x + 7, y: floor - random.int(4...max(5, box.height - 50)))
            if let last { canvas.line(last.x, last.y, next.x, next.y, Palette.black, thickness: 2) }
            last = next
            canvas.text("\(index + 1)", x + 3, floor + 4, Palette.darkGrey)
        }
    }

    private mutating func table(_ box: Box) {
        canvas.fill(Box(x: box.x, y: box.y, width: box.width, height: 18), Palette.sky)
        for (row, y) in stride(from: box.y, to: box.y + box.height - 17, by: 18).enumerated() {
            canvas.line(box.x, y + 17, box.x + box.width, y + 17, Palette.lightGrey)
            for x in stride(from: box.x + 5, to: box.x + box.width - 90, by: 96) {
                let cell = row == 0 || random.once(in: 2) ? words(1) : "\(random.int(0...99_999))"
                canvas.text(cell, x, y + 4, Palette.black)
                canvas.line(x - 4, box.y, x - 4, box.y + box.height, Palette.lightGrey)
            }
        }
    }

    private mutating func diagram(_ box: Box) {
        var last: Box?
        for _ in 0..<random.int(4...7) {
            let node = Box(
                x: box.x + random.int(4...max(5, box.width - 96)), y: box.y + random.int(4...max(5, box.height - 36)),
                width: 90, height: 30)
            if let last {
                canvas.line(last.x + 45, last.y + 15, node.x + 45, node.y + 15, Palette.darkGrey, thickness: 2)
            }
            canvas.fill(node, random.pick(Palette.accents))
            canvas.frame(node, Palette.black)
            canvas.text(words(1), node.x + 6, node.y + 10, Palette.white)
            last = node
        }
    }

    private mutating func form(_ box: Box) {
        for y in stride(from: box.y + 12, to: box.y + box.height - 50, by: 36) {
            canvas.text(words(1), box.x + 14, y, Palette.darkGrey)
            canvas.frame(Box(x: box.x + 14, y: y + 13, width: box.width - 28, height: 17), Palette.grey)
            canvas.text(words(2), box.x + 20, y + 17, Palette.black)
        }
        let button = Box(x: box.x + box.width - 100, y: box.y + box.height - 28, width: 86, height: 20)
        canvas.fill(button, random.pick(Palette.accents))
        canvas.text(words(1), button.x + 8, button.y + 5, Palette.white)
    }

    /// Hills under a sky, with grain as a photograph has it.
    private mutating func photograph(_ box: Box) {
        let sky = random.pick(Palette.ramps)
        let land = random.pick(Palette.ramps)
        let grain = [1, 3, 7][random.int(0...2)]
        var heights: [Int] = []
        var height = box.height / 2
        var slope = 0
        for _ in 0..<box.width {
            slope = max(-2, min(2, slope + random.int(-1...1)))
            height = max(box.height / 5, min(box.height * 4 / 5, height + slope))
            heights.append(height)
        }
        var noise = random
        canvas.paint(box) { x, y in
            let horizon = heights[min(max(x - box.x, 0), heights.count - 1)]
            let depth = (y - box.y) * 50 / max(1, box.height)
            let step = y - box.y < horizon ? depth : max(0, 50 - depth)
            return (y - box.y < horizon ? sky : land)
                + UInt8(min(Palette.rampLength - 1, step + Int(noise.next() >> 40) & grain))
        }
        canvas.disc(
            box.x + random.int(20...max(21, box.width - 20)), box.y + random.int(16...max(17, box.height / 4)),
            radius: 12,
            Palette.yellow)
    }
}
