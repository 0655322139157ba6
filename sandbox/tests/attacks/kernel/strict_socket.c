// attack: a socket, under a policy for programs that compute
// policy: strict
// stopped-by: seccomp = violation socket
#include "attack.h"

int main(void) { return verdict(socket(AF_INET, SOCK_STREAM, 0) >= 0); }
