// attack: connects to an abstract Unix socket of the host
// args: {abstract_socket}
// without: landlock
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <stddef.h>
#include <sys/un.h>

int main(int argc, char **argv) {
  struct sockaddr_un host = {.sun_family = AF_UNIX};
  size_t length = strlen(argv[argc - 1]);
  memcpy(host.sun_path + 1, argv[argc - 1], length);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  return verdict(connect(s, (struct sockaddr *)&host, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) == 0);
}
