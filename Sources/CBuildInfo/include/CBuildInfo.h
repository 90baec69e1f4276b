#pragma once

/// The commit this binary was built from, or "unknown" outside a checkout; "-dirty" where files had changed.
const char *martlet_commit(void);
