#pragma once
#include <stdbool.h>

/// Registers a default SQLite VFS that passes everything to the real one, and fails chosen operations on files whose
/// name contains "faulty". Call it before the first such file is opened.
void fault_vfs_install(void);

/// Fails the `nth` write, sync, truncation or open from now (1 is the next); with `persistent` all later ones too.
/// 0 fails none. `full`: as a full disk, else as an I/O error.
void fault_vfs_arm(int nth, bool persistent, bool full);

/// How many failures there were since `fault_vfs_arm`.
int fault_vfs_failures(void);

/// Cuts the power at the `nth` sync from now (1 is the next), before it is done: what was written and not synced is
/// lost, with a `seed` above 0 only some of its sectors; then every operation fails until `fault_vfs_power_on`.
/// Not thread-safe: files named "faulty" belong to one test at a time.
void fault_vfs_cut_power(int nth_sync, unsigned seed);

bool fault_vfs_power_is_off(void);

void fault_vfs_power_on(void);
