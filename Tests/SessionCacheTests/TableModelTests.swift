import Platform
import Testing

@testable import SessionCache

/// Random histories of the table alone, which cost next to nothing. ``StagingModelTests`` plays fewer of them through
/// files, journal and catalog.
///
/// `SESSIONFS_MODEL_SEED=N` repeats one, `N-M` plays many; `SESSIONFS_MODEL_STEPS` makes them longer.
@Suite(.timeLimit(.minutes(10))) struct TableModelTests {
    private static let names = [
        ["a.fastshot", "b.fastshot", "c.fastshot", "d.fastshot", "a.part", "b~"],
        ["a.fastshot"],
        ["a.fastshot", "c.fastshot"],
        ["a.fastshot", "a.part"],
        ["a.fastshot", "b.fastshot", "c.fastshot"],
    ]

    @Test func everyHistoryIsShownAndSent() throws {
        for seed in ModelSeeds.wanted ?? 1...200 {
            let names = TableModelTests.names[seed % TableModelTests.names.count]
            let history = TableWorld.history(seed, names, ModelSeeds.steps ?? 140)
            do { try play(history, on: TableWorld.holding(names)) } catch {
                Issue.record("seed \(seed): \(error)\n\(TableWorld.shortest(history, on: TableWorld.holding(names)))")
            }
        }
    }

    private func play(_ history: [TableWorld.Step], on names: [String] = ["a.fastshot", "c.fastshot"]) throws {
        try TableWorld.play(history, on: names)
    }

    // MARK: Histories that went wrong once

    /// The half-done rename leads elsewhere: what the loser was to replace under the name is the winner's to replace.
    @Test func aFileWithAHalfDoneRenameLosesAnotherName() throws {
        try play([
            .rename("c.fastshot", "d.fastshot"), .begin(0), .rename("d.fastshot", "a.fastshot"), .save("b.fastshot"),
            .rename("b.fastshot", "a.fastshot"),
        ])
    }

    @Test func anEditOfAFileThatIsBeingRenamedReplacesNothingItself() throws {
        try play([.rename("c.fastshot", "a.fastshot"), .begin(0), .edit("a.fastshot", open: true)])
    }

    @Test func whatIsOpenIsNotSentUnderAnotherNameEither() throws {
        try play([
            .save("a.part"), .edit("a.part", open: true), .rename("a.part", "a.fastshot"), .begin(0), .send(0),
            .edit("a.fastshot", open: true),
        ])
    }

    /// To take over a removal of what may have arrived does not mean that the rename has begun.
    @Test func aRenameThatTookOverARemovalHasNotBegun() throws {
        try play([
            .save("b.fastshot"), .begin(0), .rename("c.fastshot", "b.fastshot"), .rename("b.fastshot", "c.fastshot"),
            .rename("a.fastshot", "b.fastshot"), .rename("b.fastshot", "a.fastshot"),
        ])
    }

    /// The upload of the removed file ends while a new one is not in the journal yet.
    @Test func oneRemovalIsLeftWhenAnUploadEndsBesideAnUnflushedFile() throws {
        try play([
            .edit("a.fastshot", open: false), .begin(0), .remove("a.fastshot"), .send(0), .create("a.fastshot"),
            .send(0), .send(0), .kill, .save("a.fastshot"), .begin(0),
        ])
        try play([
            .remove("a.fastshot"), .save("a.fastshot"), .begin(0), .send(0), .remove("a.fastshot"), .send(0),
            .create("a.fastshot"), .send(0), .kill, .save("a.fastshot"), .begin(0),
        ])
    }

    /// It answers for an object of another name when its own upload ends.
    @Test func aFileThatWasLocalForAWhileIsNotTakenForItsUpload() throws {
        try play([
            .save("b.fastshot"), .save("b~"), .begin(0), .rename("b~", "c.fastshot"), .begin(0),
            .rename("c.fastshot", "a.part"), .rename("a.part", "b.fastshot"), .remove("b.fastshot"),
        ])
        try play([
            .save("d.fastshot"), .begin(0), .save("b.fastshot"), .begin(0), .rename("d.fastshot", "b~"),
            .rename("b~", "b.fastshot"), .rename("b.fastshot", "c.fastshot"),
        ])
        try play([
            .save("b.fastshot"), .begin(0), .rename("c.fastshot", "d.fastshot"), .edit("a.fastshot", open: false),
            .begin(1), .rename("a.fastshot", "b~"), .begin(0), .rename("b~", "c.fastshot"),
            .rename("b.fastshot", "a.fastshot"), .rename("c.fastshot", "d.fastshot"),
            .rename("d.fastshot", "b.fastshot"),
        ])
    }

    /// An upload ends under the name by which names are exchanged.
    @Test func anUploadEndsWhereARenameIsToPass() throws {
        try play([
            .rename("c.fastshot", "b.fastshot"), .begin(0), .send(0), .remove("a.fastshot"), .send(0), .send(0),
            .save("a.fastshot"), .send(0), .begin(0), .send(0), .rename("b.fastshot", "a.fastshot"),
            .save("c.fastshot"), .begin(0), .rename("c.fastshot", "b.fastshot"), .rename("a.fastshot", "c.fastshot"),
        ])
    }

    @Test func whatWasTriedUnderTheNameBetweenIsKnownAgain() throws {
        try play([
            .remove("a.fastshot"), .save("a.fastshot"), .remove("c.fastshot"), .save("b.fastshot"), .begin(0), .send(0),
            .save("c.fastshot"), .kill, .rename("b.fastshot", "a.fastshot"), .rename("c.fastshot", "b.fastshot"),
            .rename("a.fastshot", "c.fastshot"),
        ])
    }

    /// What had been saved before the batch comes back to its name, and answers again for what it is to replace there.
    @Test func aCancelledBatchGivesBackWhatItHadTaken() throws {
        try play([
            .remove("a.fastshot"), .save("a.fastshot"), .beginBatch, .edit("c.fastshot", open: true),
            .rename("c.fastshot", "a.fastshot"), .close(0), .cancelBatch,
        ])
        try play([
            .rename("a.fastshot", "c.fastshot"), .beginBatch, .rename("c.fastshot", "b~"), .cancelBatch,
        ])
        try play([
            .save("a.part"), .beginBatch, .rename("a.part", "a.fastshot"), .remove("a.fastshot"), .cancelBatch,
        ])
        try play([
            .rename("c.fastshot", "a.part"), .save("d.fastshot"), .rename("a.part", "c.fastshot"), .beginBatch,
            .begin(0), .rename("d.fastshot", "c.fastshot"), .cancelBatch,
        ])
    }

    /// The bucket's removal is the sender's: what takes its name in the batch waits.
    @Test func aBatchDoesNotTakeOverARemovalFromBeforeIt() throws {
        try play([
            .rename("a.fastshot", "a.part"), .rename("a.part", "a.fastshot"), .save("a.part"), .begin(0),
            .remove("a.fastshot"), .send(0), .beginBatch, .send(0), .rename("a.part", "a.fastshot"), .send(0),
            .save("a.part"), .rename("a.part", "a.fastshot"), .cancelBatch,
        ])
    }

    @Test func aKillAfterABatchHoldsNothingBack() throws {
        try play([.beginBatch, .remove("a.fastshot"), .create("a.fastshot"), .commitBatch, .kill])
    }

    @Test func namesAreExchangedTwiceAndByOneThatIsStillNeeded() throws {
        try play([
            .rename("a.fastshot", "b.fastshot"), .rename("c.fastshot", "a.fastshot"),
            .rename("b.fastshot", "c.fastshot"), .rename("a.fastshot", "b.fastshot"),
        ])
        try play([
            .save("b.fastshot"), .kill, .rename("b.fastshot", "c.fastshot"), .begin(0),
            .rename("a.fastshot", "b.fastshot"), .rename("c.fastshot", "a.fastshot"),
            .rename("b.fastshot", "c.fastshot"), .save("b.fastshot"),
        ])
    }
}
