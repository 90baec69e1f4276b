#pragma once
#include <sqlite3.h>

// The C macros SQLITE_STATIC and SQLITE_TRANSIENT are casts and do not import.
static inline sqlite3_destructor_type martlet_sqlite_transient(void) { return SQLITE_TRANSIENT; }
