// attack: executes a program that is set-uid root
// setuid: yes
// without: landlock
// stopped-by: sandbox = denied
// control: native-user
#include "attack.h"

int main(void) { return verdict(geteuid() == 0); }
