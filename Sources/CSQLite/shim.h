// SQLite, with the destructor constants and variadic calls that Swift cannot import. No logic.
#pragma once
#include <sqlite3.h>

static inline sqlite3_destructor_type sfs_sqlite_transient(void) { return SQLITE_TRANSIENT; }
static inline sqlite3_destructor_type sfs_sqlite_static(void) { return SQLITE_STATIC; }
// Process-wide, before the first connection: no global memory statistics, whose mutex every allocation would take.
static inline int sfs_sqlite_no_memory_statistics(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }
// Whether the file under the connection was renamed or removed: 1, else 0.
static inline int sfs_sqlite_has_moved(sqlite3 *database) {
    int moved = 0;
    int code = sqlite3_file_control(database, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return code == SQLITE_OK && moved;
}
// An address for empty text; SQLite takes a null pointer for NULL.
static inline const char *sfs_sqlite_empty(void) { return ""; }
