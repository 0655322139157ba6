// attack: checks whether a program that it executes could gain rights
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) { return verdict(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0); }
