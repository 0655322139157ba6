// attack: the same by prctl, with bits that the kernel drops
// stopped-by: seccomp = violation prctl
#include "attack.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

int main(void) {
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  struct sock_fprog program = {1, &allow};
  return verdict(syscall(SYS_prctl, 0x100000000 | PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}
