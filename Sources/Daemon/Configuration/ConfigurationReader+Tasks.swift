import Catalogue
import Inference
import JSON
import Tasks
import Tokenizers

extension ConfigurationReader {
    func models(_ root: TableReader) -> [Configuration.ModelSection] {
        let tables = root.tables("model")
        if tables.isEmpty, !root.has("model") {
            problems.error(0, "there is no [[model]]", "Add [[model]] with path = \"…/model.gguf\"")
        }
        var models: [Configuration.ModelSection] = []
        for table in tables {
            guard let model = model(table) else { continue }
            if models.contains(where: { $0.name == model.name }) {
                table.error("name", "two models are named \(model.name)", "Give each [[model]] its own name")
            }
            models.append(model)
        }
        return models
    }

    private func model(_ table: TableReader) -> Configuration.ModelSection? {
        let path = table.string("path", example: "\"/var/lib/martlet/models/….gguf\"")
        if path == nil, !table.has("path") {
            problems.error(table.line, "[[model]] has no path", "Add path = \"…/model.gguf\"")
        }
        let file = path.flatMap { self.file($0.value, line: $0.line) }
        let name = identifier(table, "name") ?? Self.stem(path?.value ?? "model")
        var sha256 = table.string("sha256")?.value.lowercased()
        if let digest = sha256, digest.utf8.count != 64 || !digest.allSatisfy(\.isHexDigit) {
            table.error(
                "sha256", "sha256 must be 64 hexadecimal digits", "Use the output of sha256sum, or leave it out")
            sha256 = nil
        }
        let context = table.integer("context", in: 64...1_048_576) ?? 2048
        let threads = table.integer("threads", in: 0...256) ?? 0
        let kvCache = kvCache(table)
        let lora = adapters(table) ?? []
        let chatTemplate = chatTemplate(table)
        let pack = table.bool("pack") ?? true
        let ropeScaling = ropeScaling(table)
        table.finish(hints: [
            "file": "Did you mean path?", "url": "Did you mean path? Models are files here",
        ])
        guard let path else { return nil }
        let section = Configuration.ModelSection(
            name: name, path: file ?? path.value, sha256: sha256, context: context, threads: threads, kvCache: kvCache,
            lora: lora, chatTemplate: chatTemplate, pack: pack, isContextGiven: table.has("context"),
            ropeScaling: ropeScaling)
        if file != nil { checkContext(section, table) }
        return section
    }

    private func ropeScaling(_ table: TableReader) -> RopeScaling {
        guard let written = table.string("rope_scaling", example: "\"none\"") else { return .none }
        if let kind = RopeScaling(rawValue: written.value) { return kind }
        problems.error(
            written.line, "rope_scaling \"\(written.value)\" is unknown", "Write \"none\", \"linear\" or \"yarn\"")
        return .none
    }

    /// A context beyond the training is to be stretched to, or refused; what is wrong with the file, the engine says.
    private func checkContext(_ model: Configuration.ModelSection, _ table: TableReader) {
        guard let shape = try? context.shape(model.path, nil) else { return }
        let trained = shape.trainedContextLength
        guard model.isContextGiven, model.context > trained else {
            if model.ropeScaling != .none {
                problems.warning(
                    table.line(of: "rope_scaling"),
                    "rope_scaling has no effect: the model was trained for \(trained) tokens",
                    "Remove it, or write a context above that")
            }
            return
        }
        guard model.ropeScaling != .none else {
            return table.error(
                "context", "context = \(model.context) is more than the \(trained) tokens the model was trained for",
                "Write context = \(trained)"
                    + (shape.hasRotation ? ", or rope_scaling = \"yarn\" to stretch its positions" : ""))
        }
        do throws(ModelError) {
            _ = try context.shape(model.path, RopeStretch(model.ropeScaling, context: model.context))
        } catch {
            problems.error(table.line(of: "rope_scaling"), sentences: error.description)
        }
    }

    /// Adapters, `FILE` or `FILE=SCALE`; nil without the key.
    private func adapters(_ table: TableReader) -> [String]? {
        guard let lora = table.strings("lora", example: "[]") else { return nil }
        for adapter in lora {
            let (path, scale) = LoRAAdapter.split(adapter.value)
            if scale == nil {
                problems.error(
                    adapter.line, "the scale in \"\(adapter.value)\" is not a number", "Write FILE or FILE=0.5")
            } else if !context.isReadable(path) {
                problems.error(adapter.line, "the adapter \(path) cannot be read", "Check the path and its rights")
            }
        }
        return lora.map(\.value)
    }

    /// The readable file of a model, which may be named as in the catalogue; nil with a problem.
    private func file(_ written: String, line: Int) -> String? {
        let path: String
        do throws(CatalogueError) {
            path = try context.resolveModel(written)
        } catch {
            problems.error(line, error.reason, error.advice)
            return nil
        }
        if !context.isReadable(path) {
            problems.error(
                line, "the model \(path) cannot be read",
                "Check the path and its rights; `make model` fetches the default model")
        }
        return path
    }

    private func chatTemplate(_ table: TableReader) -> String? {
        guard let name = table.string("chat_template", example: "\"chatml\"") else { return nil }
        if ChatTemplate.named(name.value) != nil { return name.value }
        let near = Suggestion.nearest(to: name.value, in: ChatTemplate.names)
        let advice = near.map { "Did you mean \"\($0)\"?" } ?? ChatTemplate.advice(for: name.value)
        problems.error(name.line, "chat_template \"\(name.value)\" is unknown", advice)
        return nil
    }

    private func kvCache(_ table: TableReader) -> String {
        guard let kind = table.string("kv_cache", example: "\"f16\"") else { return "f16" }
        if KVCacheType(rawValue: kind.value) == nil {
            problems.error(kind.line, "kv_cache \"\(kind.value)\" is unknown", "Write \"f16\" or \"q8_0\"")
        }
        return kind.value
    }

    /// A file's name without folders and extension, made fit for a name: the default name of a model.
    static func stem(_ path: String) -> String {
        let file = path.split(separator: "/").last ?? "model"
        let stem = file.hasSuffix(".gguf") ? file.dropLast(5) : file
        return String(stem.prefix(64).map { isIdentifier(String($0)) ? $0 : "-" })
    }

    func tasks(_ root: TableReader, models: [String], device: String) -> [TaskSection] {
        let tables = root.tables("task")
        if tables.isEmpty, !root.has("task") {
            problems.error(0, "there is no [[task]]", "Add [[task]] with name, kind and subscribe")
        }
        var tasks: [TaskSection] = []
        for table in tables {
            guard let task = task(table, models: models, device: device) else { continue }
            if tasks.contains(where: { $0.name == task.name }) {
                table.error("name", "two tasks are named \(task.name)", "Give each [[task]] its own name")
            }
            tasks.append(task)
        }
        return tasks
    }

    /// Every key is read whatever the kind, so that a key of another kind is named as such and not as unknown.
    private func task(_ table: TableReader, models: [String], device: String) -> TaskSection? {
        let kind = kind(table)
        let name = identifier(table, "name") ?? kind?.rawValue ?? "task"
        let model = modelReference(table, models: models)
        var task = TaskSection(
            name: name, kind: kind ?? .classify, model: model,
            subscribe: subscriptions(table, device: device), text: template(table))
        task.labels = labels(table, kind: kind, otherwise: &task.otherwise)
        task.prompt = table.string("prompt")?.value
        task.lora = adapters(table)
        task.minConfidence = table.number("min_confidence", in: 0...1) ?? 0
        task.priority = table.integer("priority", in: 0...9) ?? 5
        task.deadline = table.duration("deadline", in: .milliseconds(1)...(.seconds(86_400)), example: "5s")
        task.window = window(table, kind: kind, device: device)
        task.maxTokens =
            table.integer("max_tokens", in: 1...4096) ?? (kind == .extract ? Extractor.standardMostTokens : 60)
        task.retain = table.bool("retain") ?? false
        task.value = pointer(table)
        task.explain = table.bool("explain") ?? false
        task.schema = schema(table, kind: kind)
        table.finish(hints: [
            "topic": "Did you mean subscribe?", "topics": "Did you mean subscribe?", "type": "Did you mean kind?",
            "classes": "Did you mean labels?", "threshold": "Did you mean min_confidence?",
            "template": "Did you mean text?", "interval": "Did you mean window?",
        ])
        guard let kind else { return nil }
        checkKeys(table, of: kind)
        if kind == .summarize, task.subscribe.isEmpty, !table.has("subscribe") {
            problems.error(table.line, "the summary \(name) has no events", "Add subscribe = [\"home/#\"]")
        }
        return task
    }

    private func kind(_ table: TableReader) -> TaskSection.Kind? {
        let names = TaskSection.Kind.allCases.map(\.rawValue)
        guard let written = table.string("kind", example: "\"classify\"") else {
            guard !table.has("kind") else { return nil }
            // Keys that only one kind has say as much as the kind itself.
            if table.has("labels") { return .classify }
            if table.has("window") || table.has("every") || table.has("on") { return .summarize }
            if table.has("schema") { return .extract }
            problems.error(
                table.line, "[[task]] has no kind", "Add kind = \"classify\", \"summarize\" or \"extract\"")
            return nil
        }
        guard let kind = TaskSection.Kind(rawValue: written.value) else {
            let near = Suggestion.nearest(to: written.value, in: names)
            problems.error(
                written.line, "kind \"\(written.value)\" is unknown",
                near.map { "Did you mean \($0)?" } ?? "Write one of \(names.joined(separator: ", "))")
            return nil
        }
        if !Supported.kinds.contains(kind) {
            let able = names.filter { Supported.kinds.contains(TaskSection.Kind(rawValue: $0) ?? kind) }
            problems.error(
                written.line, "this build cannot run kind \"\(kind.rawValue)\" yet",
                "Use \(able.joined(separator: " or ")), or remove the task")
        }
        return kind
    }

    private func modelReference(_ table: TableReader, models: [String]) -> String {
        guard let written = table.string("model") else {
            if models.count > 1, !table.has("model") {
                problems.error(
                    table.line, "[[task]] does not say which model it uses",
                    "Add model = \"\(models[0])\" (there are \(models.joined(separator: ", ")))")
            }
            return models.first ?? ""
        }
        if !models.isEmpty, !models.contains(written.value) {
            let near = Suggestion.nearest(to: written.value, in: models)
            problems.error(
                written.line, "there is no model named \(written.value)",
                near.map { "Did you mean \($0)?" } ?? "The models are \(models.joined(separator: ", "))")
        }
        return written.value
    }

    private func identifier(_ table: TableReader, _ key: String) -> String? {
        guard let name = table.string(key) else { return nil }
        guard Self.isIdentifier(name.value) else {
            problems.error(
                name.line, "\(key) \"\(name.value)\" is not a name", "Use 1 to 64 of the characters a-z A-Z 0-9 _ -")
            return nil
        }
        return name.value
    }
}
