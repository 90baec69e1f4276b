#include "CBuildInfo.h"

// A target of its own, because the definition changes with every commit and must rebuild nothing else.
const char *martlet_commit(void) {
#ifdef MARTLET_COMMIT
    return MARTLET_COMMIT;
#else
    return "unknown";
#endif
}
