const char *leaf(void);
