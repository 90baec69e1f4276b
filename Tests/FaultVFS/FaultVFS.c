#include "FaultVFS.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

// SQLite's own fault simulation (test_vfs.c) is not in the library; this is the part we need.

/// What a write replaced, until the file is synced.
typedef struct Change {
    struct Change *older;
    sqlite3_int64 offset, size_before;
    int count, count_before;
    unsigned char before[];
} Change;

typedef struct File {
    sqlite3_file base;
    bool faulty;
    sqlite3_file *real;
    Change *changes;
    struct File *next;
} File;

static File *open_files;
static int syncs_left;
static unsigned dice;
static bool power_is_off;

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
    if (file->faulty && power_is_off) return error;
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

/// Whether an unsynced sector reached the disk; never with a seed of 0.
static bool survives(void) {
    if (!dice) return false;
    dice = dice * 1103515245u + 12345u;
    return dice >> 16 & 1;
}

static void forget_changes(File *file) {
    while (file->changes) {
        Change *change = file->changes;
        file->changes = change->older;
        free(change);
    }
}

static void note_change(File *file, int count, sqlite3_int64 offset) {
    if (!file->faulty || !syncs_left) return;
    sqlite3_int64 size = 0;
    file->real->pMethods->xFileSize(file->real, &size);
    Change *change = malloc(sizeof *change + count);
    if (!change) abort();
    change->older = file->changes;
    change->offset = offset;
    change->size_before = size;
    change->count = count;
    change->count_before = offset >= size ? 0 : offset + count > size ? (int)(size - offset) : count;
    if (change->count_before > 0) file->real->pMethods->xRead(file->real, change->before, change->count_before, offset);
    file->changes = change;
}

/// The disk as a loss of power leaves it: of what was not synced, sectors of 512 bytes are there or not.
static void cut_power(void) {
    for (File *file = open_files; file; file = file->next) {
        for (Change *change = file->changes; change; change = change->older) {
            bool grew = change->offset + change->count > change->size_before;
            for (int at = 0; at < change->count_before; at += 512) {
                int count = change->count_before - at < 512 ? change->count_before - at : 512;
                if (!survives()) file->real->pMethods->xWrite(file->real, change->before + at, count, change->offset + at);
            }
            if (grew && !survives()) file->real->pMethods->xTruncate(file->real, change->size_before);
        }
        forget_changes(file);
    }
    power_is_off = true;
    syncs_left = 0;
}

void fault_vfs_cut_power(int nth_sync, unsigned seed) {
    syncs_left = nth_sync;
    dice = seed;
    power_is_off = false;
}

bool fault_vfs_power_is_off(void) { return power_is_off; }

void fault_vfs_power_on(void) { power_is_off = false, syncs_left = 0; }

static int f_close(sqlite3_file *f) {
    File *file = (File *)f;
    for (File **link = &open_files; file->faulty && *link; link = &(*link)->next) {
        if (*link != file) continue;
        *link = file->next;
        break;
    }
    forget_changes(file);
    return REAL(f)->pMethods->xClose(REAL(f));
}
static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 o) { return REAL(f)->pMethods->xRead(REAL(f), p, n, o); }
static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 o) {
    if (((File *)f)->faulty && power_is_off) return SQLITE_IOERR_WRITE;
    note_change((File *)f, n, o);
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
    sqlite3_int64 size = 0;
    REAL(f)->pMethods->xFileSize(REAL(f), &size);
    if (!code && size > n) note_change((File *)f, (int)(size - n), n);
    return code ? code : REAL(f)->pMethods->xTruncate(REAL(f), n);
}
static int f_sync(sqlite3_file *f, int flags) {
    int code = fault((File *)f, SQLITE_IOERR_FSYNC);
    if (!code && ((File *)f)->faulty && syncs_left) {
        if (--syncs_left == 0) {
            cut_power();
            return SQLITE_IOERR_FSYNC;
        }
        forget_changes((File *)f);
    }
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
    if (file->real->pMethods) {
        file->base.pMethods = &methods;
        file->changes = NULL;
        file->next = NULL;
        // Other tests open files of their own at the same time.
        if (file->faulty) {
            file->next = open_files;
            open_files = file;
        }
    }
    return code;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync) {
    (void)v;
    if (power_is_off && strstr(name, "faulty")) return SQLITE_IOERR_DELETE;
    return real_vfs->xDelete(real_vfs, name, sync);
}

void fault_vfs_install(void) {
    if (real_vfs) return;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faults";
    vfs.szOsFile = (int)sizeof(File) + real_vfs->szOsFile;
    vfs.xOpen = v_open;
    vfs.xDelete = v_delete;
    sqlite3_vfs_register(&vfs, 1);
}
