#include "FaultVFS.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

// SQLite's own fault simulation (test_vfs.c) is not in the library; this is the part we need.

typedef struct {
    sqlite3_file base;
    bool faulty;
    sqlite3_file *real;
} File;

static sqlite3_vfs *real_vfs;
static sqlite3_vfs vfs;
static int countdown, failures;
static bool stays, as_full;

void fault_vfs_arm(int nth, bool persistent, bool full) {
    countdown = nth;
    stays = persistent;
    as_full = full;
    failures = 0;
}

int fault_vfs_failures(void) { return failures; }

/// SQLITE_OK, or the error that this operation shall have.
static int fault(File *file, int error) {
    if (!file->faulty || countdown == 0) return SQLITE_OK;
    if (countdown > 1) {
        countdown--;
        return SQLITE_OK;
    }
    if (!stays) countdown = 0;
    failures++;
    return as_full ? SQLITE_FULL : error;
}

#define REAL(f) (((File *)(f))->real)

static int f_close(sqlite3_file *f) { return REAL(f)->pMethods->xClose(REAL(f)); }
static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 o) { return REAL(f)->pMethods->xRead(REAL(f), p, n, o); }
static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 o) {
    int code = fault((File *)f, SQLITE_IOERR_WRITE);
    // A failing write may have written a part: half of it.
    if (code) {
        REAL(f)->pMethods->xWrite(REAL(f), p, n / 2, o);
        return code;
    }
    return REAL(f)->pMethods->xWrite(REAL(f), p, n, o);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 n) {
    int code = fault((File *)f, SQLITE_IOERR_TRUNCATE);
    return code ? code : REAL(f)->pMethods->xTruncate(REAL(f), n);
}
static int f_sync(sqlite3_file *f, int flags) {
    int code = fault((File *)f, SQLITE_IOERR_FSYNC);
    return code ? code : REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int f_size(sqlite3_file *f, sqlite3_int64 *n) { return REAL(f)->pMethods->xFileSize(REAL(f), n); }
static int f_lock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xLock(REAL(f), l); }
static int f_unlock(sqlite3_file *f, int l) { return REAL(f)->pMethods->xUnlock(REAL(f), l); }
static int f_reserved(sqlite3_file *f, int *r) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), r); }
static int f_control(sqlite3_file *f, int op, void *p) { return REAL(f)->pMethods->xFileControl(REAL(f), op, p); }
static int f_sector(sqlite3_file *f) { return REAL(f)->pMethods->xSectorSize(REAL(f)); }
static int f_features(sqlite3_file *f) { return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f)); }
static int f_map(sqlite3_file *f, int p, int n, int x, void volatile **o) { return REAL(f)->pMethods->xShmMap(REAL(f), p, n, x, o); }
static int f_shmlock(sqlite3_file *f, int o, int n, int flags) { return REAL(f)->pMethods->xShmLock(REAL(f), o, n, flags); }
static void f_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int f_unmap(sqlite3_file *f, int d) { return REAL(f)->pMethods->xShmUnmap(REAL(f), d); }

static const sqlite3_io_methods methods = {
    2, f_close, f_read, f_write, f_truncate, f_sync, f_size, f_lock, f_unlock, f_reserved, f_control, f_sector,
    f_features, f_map, f_shmlock, f_barrier, f_unmap, NULL, NULL,
};

static int v_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags, int *out) {
    (void)v;
    File *file = (File *)f;
    file->base.pMethods = NULL;
    file->real = (sqlite3_file *)(file + 1);
    file->faulty = name && strstr(name, "faulty");
    int code = fault(file, SQLITE_CANTOPEN);
    if (code) return code;
    code = real_vfs->xOpen(real_vfs, name, file->real, flags, out);
    if (file->real->pMethods) file->base.pMethods = &methods;
    return code;
}

void fault_vfs_install(void) {
    if (real_vfs) return;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faults";
    vfs.szOsFile = (int)sizeof(File) + real_vfs->szOsFile;
    vfs.xOpen = v_open;
    sqlite3_vfs_register(&vfs, 1);
}
