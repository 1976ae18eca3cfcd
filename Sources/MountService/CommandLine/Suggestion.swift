/// Finds the word that was perhaps meant.
enum Suggestion {
    /// The nearest of the candidates, when it is near: one slip for short words, one in three letters for longer ones,
    /// or the only one that begins so.
    static func nearest(to word: String, in candidates: [String]) -> String? {
        let begun = candidates.filter { word.count >= 2 && $0.hasPrefix(word) }
        if begun.count == 1 { return begun[0] }
        let limit = max(1, word.count / 3)
        let near = candidates.map { ($0, distance(word, $0)) }.filter { $0.1 <= limit }
        return near.min { $0.1 < $1.1 }?.0
    }

    /// Insertions, deletions, changes and swaps of neighbours that turn one word into the other (optimal string
    /// alignment).
    static func distance(_ left: String, _ right: String) -> Int {
        let a = Array(left)
        let b = Array(right)
        var previous: [Int] = []
        var row = Array(0...b.count)
        for i in 0..<a.count {
            var next = [i + 1]
            for j in 0..<b.count {
                var best = min(next[j] + 1, row[j + 1] + 1, row[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, previous[j - 1] + 1) }
                next.append(best)
            }
            previous = row
            row = next
        }
        return row[b.count]
    }
}
