/// The demo's events: excerpts of real data, embedded in the binary. `DemoData/CREDITS.md` says whose they are.
enum DemoData {
    /// What somebody said to a smart home, and the label the data set's intent stands for.
    struct Request: Sendable, Equatable {
        let text: String
        let label: String
    }

    /// Messages of one device, oldest first.
    struct Readings: Sendable {
        let task: String
        let title: String
        let payloads: [String]
        /// Readings that make a summary.
        let window: Int
    }

    static let labels = ["lights", "vacuum", "coffee", "alarm", "weather"]

    /// Sources with their licences, for people; the whole is in `credits`.
    static let sources = "NLU Evaluation Data, UCI Occupancy Detection (CC BY 4.0); Numenta Anomaly Benchmark (MIT)"

    static var credits: String { text(PackageResources.CREDITS_md) }

    /// The label of one of the data set's intents, by the table in CREDITS.md; nil for intents that are not in the demo.
    static func label(ofIntent intent: String) -> String? {
        if intent.hasPrefix("iot_hue_light") { return "lights" }
        if intent.hasPrefix("alarm_") { return "alarm" }
        return ["iot_cleaning": "vacuum", "iot_coffee": "coffee", "weather_query": "weather"][intent]
    }

    static func requests() -> [Request] {
        rows(PackageResources.hwu64_csv).compactMap { row in
            guard row.count >= 2, let label = label(ofIntent: row[1]) else { return nil }
            return Request(text: row[0], label: label)
        }
    }

    /// One room's air: four series in the JSON of a Zigbee2MQTT device.
    static func office() -> Readings {
        let payloads = rows(PackageResources.occupancy_csv).compactMap { row -> String? in
            guard row.count >= 5 else { return nil }
            let values = row[1...4].map(tenth)
            return
                #"{"temperature":\#(values[0]),"humidity":\#(values[1]),"illuminance":\#(values[2]),"co2":\#(values[3])}"#
        }
        return Readings(task: "office", title: "office air", payloads: payloads, window: 16)
    }

    /// A thermometer that sends plain numbers, one an hour.
    static func thermometer() -> Readings {
        let payloads = rows(PackageResources.ambient_temperature_csv).compactMap { $0.count >= 2 ? tenth($0[1]) : nil }
        return Readings(task: "thermometer", title: "thermometer", payloads: payloads, window: 24)
    }

    /// Series in the readings: the room's four and the thermometer.
    static let seriesCount = 5

    /// The lines below the heading, cut at commas. The excerpts hold no quoted commas.
    private static func rows(_ bytes: [UInt8]) -> [[String]] {
        text(bytes).split(separator: "\n").dropFirst().map { line in
            line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// A number as a sensor would send it; the excerpts have up to 15 digits, which are means of several readings.
    private static func tenth(_ number: String) -> String {
        Double(number).map { String(describing: Rounded($0, 1)) } ?? number
    }
}
