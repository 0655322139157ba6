// attack: loads a BPF program into the kernel as a socket's filter
// stopped-by: seccomp = denied
#include "attack.h"

#include <linux/filter.h>

int main(void) {
  int pair[2];
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, 0xffffffff};
  struct sock_fprog program = {1, &allow};
  socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
  return verdict(setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}
