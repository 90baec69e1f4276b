#include "CTOML.h"

// What the daemon never needs is left out, and errors come back as values: no exception may cross into Swift.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#define TOML_MAX_NESTED_VALUES 64
// A "[" at the end of its line breaks an assertion of toml++ 3.3, which would end the process, or be taken for granted
// under NDEBUG. As an exception it is caught below.
#undef NDEBUG
struct broken_assertion {};
#define TOML_ASSERT(expression) ((expression) ? static_cast<void>(0) : throw broken_assertion{})
#include <toml++/toml.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace {
constexpr size_t largest_document = size_t(1) << 20;
constexpr size_t most_nodes = 50'000;

struct entry {
    const toml::key *key;  // null in arrays
    const toml::node *node;
};

bool before(const entry &left, const entry &right) {
    const auto a = left.key->source().begin, b = right.key->source().begin;
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

std::vector<entry> children(const toml::node &node) {
    std::vector<entry> result;
    if (const auto *table = node.as_table()) {
        for (auto &&[key, value] : *table) result.push_back({&key, &value});
        // toml++ keeps tables sorted by key; people read their file from top to bottom.
        std::sort(result.begin(), result.end(), before);
    } else if (const auto *array = node.as_array()) {
        for (const auto &value : *array) result.push_back({nullptr, &value});
    }
    return result;
}

martlet_toml_node describe(const entry &entry) {
    martlet_toml_node result{};
    if (entry.key) {
        result.key = entry.key->str().data();
        result.key_count = entry.key->str().size();
        result.key_line = entry.key->source().begin.line;
        result.key_column = entry.key->source().begin.column;
    }
    const auto &node = *entry.node;
    result.line = node.source().begin.line;
    result.column = node.source().begin.column;
    switch (node.type()) {
        case toml::node_type::table: result.kind = MARTLET_TOML_TABLE; break;
        case toml::node_type::array: result.kind = MARTLET_TOML_ARRAY; break;
        case toml::node_type::string: {
            result.kind = MARTLET_TOML_STRING;
            const auto &text = node.as_string()->get();
            result.string = text.data();
            result.string_count = text.size();
            break;
        }
        case toml::node_type::integer:
            result.kind = MARTLET_TOML_INTEGER;
            result.integer = node.as_integer()->get();
            break;
        case toml::node_type::floating_point:
            result.kind = MARTLET_TOML_FLOAT;
            result.number = node.as_floating_point()->get();
            break;
        case toml::node_type::boolean:
            result.kind = MARTLET_TOML_BOOLEAN;
            result.boolean = node.as_boolean()->get();
            break;
        default: result.kind = MARTLET_TOML_DATE; break;
    }
    return result;
}

void fail(martlet_toml_error *error, uint32_t line, uint32_t column, std::string_view message) {
    if (!error) return;
    error->line = line;
    error->column = column;
    size_t count = std::min(message.size(), sizeof error->message - 1);
    while (count > 0 && count < message.size() && (static_cast<unsigned char>(message[count]) & 0xC0) == 0x80) count--;
    std::memcpy(error->message, message.data(), count);
    error->message[count] = 0;
}
}  // namespace

struct martlet_toml {
    toml::table root;  // owns the text the nodes point into
    std::vector<martlet_toml_node> nodes;
};

extern "C" martlet_toml *martlet_toml_parse(const char *bytes, size_t count, martlet_toml_error *error) {
    if (count > largest_document) {
        fail(error, 0, 0, "the file is larger than 1 MiB");
        return nullptr;
    }
    try {
        auto parsed = toml::parse(std::string_view(bytes, count));
        if (!parsed) {
            const auto &problem = parsed.error();
            fail(error, problem.source().begin.line, problem.source().begin.column, problem.description());
            return nullptr;
        }
        auto document = std::make_unique<martlet_toml>(martlet_toml{std::move(parsed).table(), {}});
        // Breadth first: the children of one container lie side by side, so an index and a count describe them.
        std::vector<entry> queue{{nullptr, &document->root}};
        for (size_t i = 0; i < queue.size(); i++) {
            auto node = describe(queue[i]);
            const auto inner = children(*queue[i].node);
            node.first_child = static_cast<uint32_t>(queue.size());
            node.child_count = static_cast<uint32_t>(inner.size());
            queue.insert(queue.end(), inner.begin(), inner.end());
            document->nodes.push_back(node);
            if (queue.size() > most_nodes) {
                fail(error, 0, 0, "the file has more than 50,000 values");
                return nullptr;
            }
        }
        return document.release();
    } catch (const broken_assertion &) {
        fail(error, 0, 0, "a \"[\" has no name behind it on its line");
        return nullptr;
    } catch (...) {
        // Only memory can run out here: toml++ itself is built without exceptions.
        fail(error, 0, 0, "out of memory while reading the file");
        return nullptr;
    }
}

extern "C" size_t martlet_toml_count(const martlet_toml *document) { return document->nodes.size(); }

extern "C" const martlet_toml_node *martlet_toml_at(const martlet_toml *document, size_t index) {
    return index < document->nodes.size() ? &document->nodes[index] : nullptr;
}

extern "C" void martlet_toml_free(martlet_toml *document) { delete document; }
