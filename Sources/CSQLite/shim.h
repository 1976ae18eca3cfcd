// SQLite, with the destructor constants that Swift cannot import. No logic.
#pragma once
#include <sqlite3.h>

static inline sqlite3_destructor_type sfs_sqlite_transient(void) { return SQLITE_TRANSIENT; }
static inline sqlite3_destructor_type sfs_sqlite_static(void) { return SQLITE_STATIC; }
