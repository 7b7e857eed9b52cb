const char *c_place(void) { return __FILE__; }
