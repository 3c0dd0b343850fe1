#include <leaf.h>
#include <stdio.h>

int main(void) { return puts(leaf()) < 0; }
