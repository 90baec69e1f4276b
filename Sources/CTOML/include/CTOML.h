// TOML 1.0 for Swift: toml++ behind C, because Swift must not see C++ types or exceptions.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum martlet_toml_kind {
    MARTLET_TOML_TABLE,
    MARTLET_TOML_ARRAY,
    MARTLET_TOML_STRING,
    MARTLET_TOML_INTEGER,
    MARTLET_TOML_FLOAT,
    MARTLET_TOML_BOOLEAN,
    MARTLET_TOML_DATE,  // dates, times and date-times: known, so that a message can name them
} martlet_toml_kind;

/// One value of the document. Lines and columns count from 1; 0 means the value has no place of its own.
typedef struct martlet_toml_node {
    martlet_toml_kind kind;
    const char *key;  // UTF-8, not terminated; NULL inside arrays and for the root
    size_t key_count;
    uint32_t key_line, key_column;
    uint32_t line, column;
    const char *string;  // UTF-8, not terminated; only for strings
    size_t string_count;
    int64_t integer;
    double number;
    bool boolean;
    uint32_t first_child, child_count;  // children of a table or array lie side by side
} martlet_toml_node;

typedef struct martlet_toml_error {
    uint32_t line, column;
    char message[256];  // UTF-8, terminated, cut at a character
} martlet_toml_error;

/// An owned document: nodes[0] is the root table, and every table's children stand in the order of the file.
typedef struct martlet_toml martlet_toml;

/// Parses UTF-8. NULL on failure, with `error` filled; never throws, never aborts on bad input.
///
/// Nesting deeper than 64 and documents over 1 MiB or 50,000 values are refused, so that a hostile file costs
/// neither the stack nor memory.
martlet_toml *martlet_toml_parse(const char *bytes, size_t count, martlet_toml_error *error);

size_t martlet_toml_count(const martlet_toml *document);

/// The node at `index`; NULL when there is none. Valid until `martlet_toml_free`.
const martlet_toml_node *martlet_toml_at(const martlet_toml *document, size_t index);

void martlet_toml_free(martlet_toml *document);

#ifdef __cplusplus
}
#endif
