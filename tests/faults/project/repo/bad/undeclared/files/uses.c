#include <tiny.h>

int main(void)
{
	return tiny() == 42 ? 0 : 1;
}
