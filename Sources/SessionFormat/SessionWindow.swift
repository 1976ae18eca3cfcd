public import JSON

/// One picture of a session: a window of the desktop client.
public struct SessionWindow: Sendable, Equatable {
    /// Its place among the windows, from 0.
    public var index: Int
    /// The left edge on the screen, in pixels.
    public var x: Int
    /// The upper edge on the screen, in pixels.
    public var y: Int
    /// The width as shown, in pixels.
    public var width: Int
    /// The height as shown, in pixels.
    public var height: Int
    /// The zoom; 1 is the picture's own size.
    public var scale: Double
    /// The picture as shown, zoomed and annotated: PNG in base64.
    public var imageData: String?
    /// The picture at its own size without annotations: PNG in base64.
    public var originalImageData: String?
    /// The picture at its own size with annotations: PNG in base64.
    public var annotatedOriginalData: String?
    /// The annotations, each an object with `type` ("lines" or "text") and `data`.
    public var drawHistory: [JSONValue]
    /// Whether the window is hidden.
    public var isHidden: Bool
    /// The desktop client's own number for it.
    public var windowID: Int64?

    /// A window by its parts.
    public init(
        index: Int, x: Int, y: Int, width: Int, height: Int, scale: Double = 1, imageData: String?,
        originalImageData: String?, annotatedOriginalData: String?, drawHistory: [JSONValue] = [],
        isHidden: Bool = false, windowID: Int64? = nil
    ) {
        self.index = index
        self.x = x
        self.y = y
        self.width = width
        self.height = height
        self.scale = scale
        self.imageData = imageData
        self.originalImageData = originalImageData
        self.annotatedOriginalData = annotatedOriginalData
        self.drawHistory = drawHistory
        self.isHidden = isHidden
        self.windowID = windowID
    }

    /// Reads the current shape and the legacy one (`position`, `size`); what is missing has its default: scale 1, no
    /// picture, no annotations, shown. Of the legacy shape, `always_on_top` and `transparency` have no successor.
    /// - Parameter index: its place in the array, for a window that does not say.
    public init(json: JSONValue, index: Int) {
        let geometry = json["geometry"]
        let position = json["position"]?.array
        let size = json["size"]?.array
        func pixels(_ key: String, _ legacy: [JSONValue]?, _ place: Int) -> Int {
            let value = geometry?[key] ?? legacy.flatMap { $0.indices.contains(place) ? $0[place] : nil }
            return value?.double.flatMap { Int(exactly: $0.rounded()) } ?? 0
        }
        self.init(
            index: json["index"]?.integer.flatMap { Int(exactly: $0) } ?? index,
            x: pixels("x", position, 0), y: pixels("y", position, 1),
            width: pixels("width", size, 0), height: pixels("height", size, 1),
            scale: json["scale"]?.double ?? 1, imageData: json["image_data"]?.string,
            originalImageData: json["original_image_data"]?.string,
            annotatedOriginalData: json["annotated_original_data"]?.string,
            drawHistory: json["draw_history"]?.array ?? [], isHidden: json["is_hidden"]?.bool ?? false,
            windowID: json["window_id"]?.integer)
    }

    /// The window in the current shape and FastShot's order of keys.
    public var json: JSONValue {
        [
            "index": JSONValue(index),
            "geometry": [
                "x": JSONValue(x), "y": JSONValue(y), "width": JSONValue(width), "height": JSONValue(height),
            ],
            "scale": .double(scale), "image_data": JSONValue(imageData),
            "original_image_data": JSONValue(originalImageData),
            "annotated_original_data": JSONValue(annotatedOriginalData), "draw_history": .array(drawHistory),
            "is_hidden": JSONValue(isHidden), "window_id": windowID.map { .integer($0) } ?? .null,
        ]
    }
}

extension SessionContainer {
    /// The session's windows, in the current or the legacy shape. Elements that are no objects are left out.
    public var windows: [SessionWindow] {
        (session["windows"]?.array ?? []).enumerated().compactMap { index, json in
            json.members == nil ? nil : SessionWindow(json: json, index: index)
        }
    }

    /// A session object of the current version.
    /// - Parameter timestamp: ISO 8601, as a rule local without zone.
    public static func session(timestamp: String, windows: [SessionWindow]) -> JSONValue {
        ["version": "1.0", "timestamp": .string(timestamp), "windows": .array(windows.map(\.json))]
    }
}
