#include "tiny.h"

int tiny(void)
{
	return 42;
}
