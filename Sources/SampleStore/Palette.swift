/// The 256 colours of all sample pictures.
enum Palette {
    static let white: UInt8 = 0
    static let black: UInt8 = 1
    static let red: UInt8 = 2
    static let green: UInt8 = 3
    static let blue: UInt8 = 4
    static let yellow: UInt8 = 5
    static let orange: UInt8 = 6
    static let purple: UInt8 = 7
    static let cyan: UInt8 = 8
    static let pink: UInt8 = 9
    static let lightGrey: UInt8 = 10
    static let grey: UInt8 = 11
    static let darkGrey: UInt8 = 12
    static let night: UInt8 = 13
    static let paper: UInt8 = 14
    static let sky: UInt8 = 15

    /// Colours that stand out from white.
    static let accents: [UInt8] = [red, green, blue, orange, purple, cyan, pink]

    /// Where the ramps begin, each of 60 steps from dark to light.
    static let ramps: [UInt8] = [16, 76, 136, 196]
    static let rampLength = 60

    /// Red, green, blue of each.
    static let bytes: [UInt8] = {
        var table: [UInt8] = [
            255, 255, 255, 20, 20, 24, 220, 50, 47, 60, 150, 60, 40, 100, 200, 250, 215, 70, 235, 130, 30, 125, 75, 170,
            40, 160, 175, 225, 85, 145, 232, 234, 238, 160, 166, 175, 82, 88, 98, 30, 34, 44, 250, 246, 236, 190, 220,
            245,
        ]
        // Sea, meadow, evening, stone.
        let ends: [(from: (Int, Int, Int), to: (Int, Int, Int))] = [
            ((16, 40, 90), (180, 225, 250)), ((24, 60, 32), (225, 240, 170)), ((70, 20, 60), (255, 215, 150)),
            ((40, 40, 48), (235, 232, 228)),
        ]
        for end in ends {
            for step in 0..<rampLength {
                func mix(_ a: Int, _ b: Int) -> UInt8 { UInt8(a + (b - a) * step / (rampLength - 1)) }
                table += [mix(end.from.0, end.to.0), mix(end.from.1, end.to.1), mix(end.from.2, end.to.2)]
            }
        }
        return table
    }()
}
