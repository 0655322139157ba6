// attack: a netlink socket, behind which are the routing and firewall code of the kernel
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) { return verdict(socket(AF_NETLINK, SOCK_RAW, 0) >= 0); }
