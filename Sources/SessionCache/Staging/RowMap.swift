/// Rows by their ids. Whoever lists names takes a copy along, and a change that comes meanwhile has to leave that as it
/// is: each row is an object of its own, so that a copy of thousands costs little.
struct RowMap {
    private final class Box: Sendable {
        let row: PendingTable.Row
        init(_ row: PendingTable.Row) { self.row = row }
    }

    private var boxes: [Int64: Box] = [:]

    var count: Int { boxes.count }
    var isEmpty: Bool { boxes.isEmpty }
    var keys: some Sequence<Int64> { boxes.keys }
    /// All rows, in no order.
    var values: [PendingTable.Row] { boxes.values.map(\.row) }

    subscript(id: Int64) -> PendingTable.Row? {
        get { boxes[id]?.row }
        set { boxes[id] = newValue.map(Box.init) }
    }

    /// The ids of rows that have a name, in no order.
    var named: [Int64] { boxes.filter { $0.value.row.change.name != nil }.map(\.key) }
}
