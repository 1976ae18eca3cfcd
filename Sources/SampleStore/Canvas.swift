/// A rectangle of whole pixels.
struct Box: Sendable, Equatable {
    var x: Int
    var y: Int
    var width: Int
    var height: Int

    func inset(_ margin: Int) -> Box {
        Box(x: x + margin, y: y + margin, width: max(0, width - 2 * margin), height: max(0, height - 2 * margin))
    }
}

/// A picture in colours of the palette. What is drawn outside is cut off.
struct Canvas: Sendable {
    let width: Int
    let height: Int
    private(set) var pixels: [UInt8]

    init(width: Int, height: Int, color: UInt8 = Palette.white) {
        self.width = width
        self.height = height
        pixels = [UInt8](repeating: color, count: width * height)
    }

    mutating func set(_ x: Int, _ y: Int, _ color: UInt8) {
        guard x >= 0, y >= 0, x < width, y < height else { return }
        pixels[y * width + x] = color
    }

    mutating func fill(_ box: Box, _ color: UInt8) {
        rows(of: box) { row, _ in row.update(repeating: color) }
    }

    /// Colours a box pixel by pixel.
    mutating func paint(_ box: Box, _ color: (_ x: Int, _ y: Int) -> UInt8) {
        let left = max(0, box.x)
        rows(of: box) { row, y in
            var column = 0
            while column < row.count {
                row[column] = color(left + column, y)
                column += 1
            }
        }
    }

    /// Visits the part of each row that lies in a box.
    private mutating func rows(of box: Box, _ body: (_ row: UnsafeMutableBufferPointer<UInt8>, _ y: Int) -> Void) {
        let left = max(0, box.x)
        let right = min(width, box.x + box.width)
        let bottom = min(height, box.y + box.height)
        guard left < right else { return }
        pixels.withUnsafeMutableBufferPointer { pixels in
            var y = max(0, box.y)
            while y < bottom {
                body(UnsafeMutableBufferPointer(rebasing: pixels[y * width + left..<y * width + right]), y)
                y += 1
            }
        }
    }

    mutating func frame(_ box: Box, _ color: UInt8, thickness: Int = 1) {
        fill(Box(x: box.x, y: box.y, width: box.width, height: thickness), color)
        fill(Box(x: box.x, y: box.y + box.height - thickness, width: box.width, height: thickness), color)
        fill(Box(x: box.x, y: box.y, width: thickness, height: box.height), color)
        fill(Box(x: box.x + box.width - thickness, y: box.y, width: thickness, height: box.height), color)
    }

    mutating func disc(_ centreX: Int, _ centreY: Int, radius: Int, _ color: UInt8) {
        for y in -radius...radius {
            for x in -radius...radius where x * x + y * y <= radius * radius { set(centreX + x, centreY + y, color) }
        }
    }

    mutating func line(_ fromX: Int, _ fromY: Int, _ toX: Int, _ toY: Int, _ color: UInt8, thickness: Int = 1) {
        let steps = max(1, max(abs(toX - fromX), abs(toY - fromY)))
        for step in 0...steps {
            let x = fromX + (toX - fromX) * step / steps
            let y = fromY + (toY - fromY) * step / steps
            fill(Box(x: x - thickness / 2, y: y - thickness / 2, width: thickness, height: thickness), color)
        }
    }

    /// Writes a line of text; `size` is the width of a dot of its letters.
    /// - Returns: where the text ends.
    @discardableResult
    mutating func text(_ text: String, _ x: Int, _ y: Int, _ color: UInt8, size: Int = 2) -> Int {
        var left = x
        for scalar in text.unicodeScalars {
            let glyph = Glyph(scalar)
            for row in 0..<Glyph.height {
                for column in 0..<glyph.width where glyph.dot(column, row) {
                    fill(Box(x: left + column * size, y: y + row * size, width: size, height: size), color)
                }
            }
            left += (glyph.width + 1) * size
        }
        return left
    }

    /// Lays another picture over this one.
    mutating func draw(_ other: Canvas, _ x: Int, _ y: Int) {
        paint(Box(x: x, y: y, width: other.width, height: other.height)) {
            other.pixels[($1 - y) * other.width + $0 - x]
        }
    }

    /// The picture at another size, by the nearest pixel.
    func scaled(width newWidth: Int, height newHeight: Int) -> Canvas {
        var result = Canvas(width: newWidth, height: newHeight)
        let columns = (0..<newWidth).map { $0 * width / newWidth }
        result.rows(of: Box(x: 0, y: 0, width: newWidth, height: newHeight)) { row, y in
            let source = y * height / newHeight * width
            pixels.withUnsafeBufferPointer { pixels in
                var x = 0
                while x < newWidth {
                    row[x] = pixels[source + columns[x]]
                    x += 1
                }
            }
        }
        return result
    }
}
