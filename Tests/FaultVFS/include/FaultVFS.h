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
