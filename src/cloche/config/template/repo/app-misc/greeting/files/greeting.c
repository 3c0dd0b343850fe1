/*
 * greeting: says hello.
 *
 * This program is free software; you can redistribute it and/or modify it under the terms of the
 * GNU General Public License as published by the Free Software Foundation; either version 2 of the
 * License, or (at your option) any later version.
 */

#include <stdio.h>
#include <unistd.h>

#ifndef COLOR
#define COLOR 0
#endif

int main(void)
{
	const char *text = "Hello from under the cloche";

	if (COLOR && isatty(STDOUT_FILENO))
		printf("\033[32m%s\033[0m\n", text);
	else
		puts(text);
	return 0;
}
