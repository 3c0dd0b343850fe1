int tiny(void);
