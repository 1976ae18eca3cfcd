/// The dots of a letter: five rows of three, or of five for a character that the small font does not have.
struct Glyph {
    static let height = 5
    let width: Int
    private let rows: [UInt8]

    init(_ scalar: Unicode.Scalar) {
        if let drawing = Self.drawings[Self.folded(scalar)] {
            width = 3
            rows = drawing
        } else {
            // A pattern that differs from character to character: a stand-in for scripts such as CJK.
            width = 5
            let mixed = scalar.value &* 2_654_435_761
            rows = (0..<Self.height).map { row in
                let dots = UInt8(truncatingIfNeeded: mixed >> UInt32(row * 5 + 4)) & 0x1F
                return row % 2 == 0 ? dots | 0x11 : dots | 0x04
            }
        }
    }

    /// Whether there is a dot, counted from the upper left.
    func dot(_ column: Int, _ row: Int) -> Bool { rows[row] >> UInt8(width - 1 - column) & 1 == 1 }

    /// Capitals without accents, which is what the font has.
    private static func folded(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar {
        case "à", "á", "â", "ä", "å", "ã": "A"
        case "ç": "C"
        case "è", "é", "ê", "ë": "E"
        case "ì", "í", "î", "ï": "I"
        case "ñ": "N"
        case "ò", "ó", "ô", "ö", "ø", "õ": "O"
        case "ù", "ú", "û", "ü": "U"
        case "a"..."z": Unicode.Scalar(UInt8(scalar.value) - 0x20)
        default: scalar
        }
    }

    /// Each digit is a row of three dots.
    private static let drawings: [Unicode.Scalar: [UInt8]] = {
        let rows: [(Unicode.Scalar, Int)] = [
            ("0", 0o75557), ("1", 0o26227), ("2", 0o71747), ("3", 0o71717), ("4", 0o55711), ("5", 0o74717),
            ("6", 0o74757), ("7", 0o71222), ("8", 0o75757), ("9", 0o75717), ("A", 0o25755), ("B", 0o65656),
            ("C", 0o34443), ("D", 0o65556), ("E", 0o74647), ("F", 0o74644), ("G", 0o34553), ("H", 0o55755),
            ("I", 0o72227), ("J", 0o11152), ("K", 0o55655), ("L", 0o44447), ("M", 0o57755), ("N", 0o65555),
            ("O", 0o25552), ("P", 0o65644), ("Q", 0o25563), ("R", 0o65655), ("S", 0o34216), ("T", 0o72222),
            ("U", 0o55557), ("V", 0o55552), ("W", 0o55775), ("X", 0o55255), ("Y", 0o55222), ("Z", 0o71247),
            (" ", 0o00000), (".", 0o00002), (",", 0o00024), (":", 0o02020), ("-", 0o00700), ("_", 0o00007),
            ("/", 0o11244), ("!", 0o22202), ("?", 0o61202), ("(", 0o12221), (")", 0o42224), ("=", 0o07070),
            ("+", 0o02720), ("#", 0o57575), ("'", 0o22000), ("\"", 0o55000), ("*", 0o05250), ("<", 0o12421),
            (">", 0o42124), ("%", 0o51245), ("$", 0o36236), ("[", 0o64446), ("]", 0o31113), ("{", 0o32623),
            ("}", 0o62326), (";", 0o02024),
        ]
        return Dictionary(
            uniqueKeysWithValues: rows.map { scalar, digits in
                (scalar, [12, 9, 6, 3, 0].map { UInt8(digits >> $0 & 7) })
            })
    }()
}
