import Platform
import Testing

@Suite("INI files")
struct INIFileTests {
    @Test("sections, both delimiters, comments and white space")
    func basics() throws {
        let file = try INIFile.parse(
            """
            # a comment
            ; another
            [CloudSync]
            aws_region = eu-west-1
              s3_bucket_name:   my bucket  
            [empty]

            [store "work"]
            url=s3://bucket/prefix?a=b:c
            """)
        // The indented line continues the line before, as in Python.
        #expect(file.sections.map(\.name) == ["CloudSync", "empty", "store \"work\""])
        #expect(file.sections[0].value("aws_region") == "eu-west-1\ns3_bucket_name:   my bucket")
        #expect(file.sections.map(\.line) == [3, 6, 8])
        #expect(file.section("empty")?.entries.isEmpty == true)
        #expect(file.section("cloudsync") == nil)
        #expect(file.section("store \"work\"")?.value("url") == "s3://bucket/prefix?a=b:c")
    }

    @Test("a section whose keys are all indented alike holds as many entries")
    func indentedAlike() throws {
        let file = try INIFile.parse("[a]\n  one = 1\n  two: 2\n    more\nthree =\n")
        let section = try #require(file.section("a"))
        #expect(section.entries.map(\.key) == ["one", "two", "three"])
        #expect(section.entries.map(\.value) == ["1", "2\nmore", ""])
        #expect(section.entries.map(\.line) == [2, 3, 5])
    }

    @Test("kind and title of section names, quoted or not")
    func titles() throws {
        let file = try INIFile.parse(
            "[store \"my work\"]\na=1\n[profile dev]\nb=2\n[ default ]\nc=3\n[store 'x']\nd=4\n[store \"]\"]\ne=5")
        #expect(file.sections.map(\.kind) == ["store", "profile", "default", "store", "store"])
        #expect(file.sections.map(\.title) == ["my work", "dev", nil, "x", "]"])
        #expect(file.section(kind: "store", title: "my work")?.value("a") == "1")
        #expect(file.section(kind: "profile", title: "x") == nil)
    }

    @Test("the last of equal keys counts, in whatever case, and a section may come twice")
    func duplicates() throws {
        let file = try INIFile.parse("[a]\nKey=1\nkey=2\n[b]\nkey=9\n[a]\nKEY = 3\nother=4")
        #expect(file.sections.count == 2)
        #expect(file.sections[0].entries.map(\.value) == ["1", "2", "3", "4"])
        #expect(file.sections[0].value("kEy") == "3")
        #expect(file.sections[1].value("key") == "9")
        #expect(file.sections[0].line == 1)
    }

    @Test("byte order mark and every kind of line end", arguments: ["\n", "\r\n", "\r"])
    func lineEnds(end: String) throws {
        let file = try INIFile.parse(["\u{FEFF}[ä]", "", "schlüssel = 値 ", "z=1"].joined(separator: end))
        let section = try #require(file.section("ä"))
        #expect(section.value("schlüssel") == "値")
        #expect(section.entries.map(\.line) == [3, 4])
    }

    @Test("comment signs within a line belong to the value unless inline comments are asked for")
    func inlineComments() throws {
        let text = "[a]  # note\nplain = x # y\nsemi = p ;q\ninside = a#b;c\nonly = # nothing\n  nested = 1 # n\n"
        let whole = try #require(try INIFile.parse(text).sections.first)
        #expect(whole.name == "a")
        #expect(whole.value("plain") == "x # y")
        #expect(whole.value("semi") == "p ;q")
        #expect(whole.value("inside") == "a#b;c")
        let inline = try #require(try INIFile.parse(text, comments: .inline).sections.first)
        #expect(inline.name == "a")
        #expect(inline.value("plain") == "x")
        #expect(inline.value("semi") == "p")
        #expect(inline.value("inside") == "a#b;c")
        #expect(inline.value("only") == "\nnested = 1")
    }

    @Test("nested blocks of AWS files do not leak into the section")
    func nestedBlocks() throws {
        let file = try INIFile.parse(
            """
            [profile dev]
            s3 =
                addressing_style = path

                # a comment
                region = nested
            region = eu-west-1
            """, comments: .inline)
        let section = try #require(file.section("profile dev"))
        #expect(section.entries.map(\.key) == ["s3", "region"])
        #expect(section.value("region") == "eu-west-1")
        #expect(section.nested("s3", "addressing_style") == "path")
        #expect(section.nested("s3", "Region") == "nested")
        #expect(section.nested("s3", "missing") == nil)
        #expect(section.nested("region", "region") == nil)
    }

    @Test(
        "what is no INI file names its line and quotes nothing of it",
        arguments: [
            ("secret = s3cr3t", 1, INIError.Problem.outsideSection), ("\n[a]\ns3cr3t\n", 3, .noDelimiter),
            ("[a]\n= s3cr3t", 2, .noKey), ("[s3cr3t\n", 1, .sectionName), ("[ ]", 1, .sectionName),
        ])
    func errors(text: String, line: Int, problem: INIError.Problem) throws {
        let error = try #require(throws: INIError.self) { try INIFile.parse(text) }
        #expect(error.line == line)
        #expect(error.problem == problem)
        #expect(error.description.hasPrefix("line \(line): "))
        #expect(!error.description.contains("s3cr3t"))
    }

    @Test("nothing, comments only, and no line end at the end", arguments: ["", "\n\n", "# x", "\u{FEFF}", "  \r\n;"])
    func nothing(text: String) throws {
        #expect(try INIFile.parse(text).sections.isEmpty)
    }
}
