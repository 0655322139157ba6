// attack: an Internet socket by a family number whose upper half fools a careless comparison
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) { return verdict(syscall(SYS_socket, 0x100000000 | AF_INET, SOCK_DGRAM, 0) >= 0); }
