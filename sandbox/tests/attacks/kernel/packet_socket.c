// attack: a packet socket
// stopped-by: seccomp = denied
// stopped-by: capabilities = denied
#include "attack.h"

int main(void) { return verdict(socket(AF_PACKET, SOCK_RAW, 0) >= 0); }
