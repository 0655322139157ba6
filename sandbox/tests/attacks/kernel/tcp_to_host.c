// attack: connects to a service of the host at 127.0.0.1
// args: {tcp_port}
// without: landlock
// stopped-by: seccomp = denied
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <netinet/in.h>

int main(int argc, char **argv) {
  struct sockaddr_in host = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  host.sin_port = htons((uint16_t)atoi(argv[argc - 1]));
  int s = socket(AF_INET, SOCK_STREAM, 0);
  return verdict(connect(s, (struct sockaddr *)&host, sizeof host) == 0);
}
