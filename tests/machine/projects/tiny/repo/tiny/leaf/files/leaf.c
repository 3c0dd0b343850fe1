/* A library that would tell of the host if it could see anything of it. */
#include "leaf.h"

#if __has_include(<cloche-host.h>)
#define HOST "a header of the host"
#else
#define HOST "nothing of the host"
#endif

const char *leaf(void) { return "leaf of " __DATE__ " " __TIME__ " in " __FILE__ ": " HOST; }
