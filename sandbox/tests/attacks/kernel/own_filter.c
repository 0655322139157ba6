// attack: a seccomp filter of its own, whose listener could answer the calls of others
// stopped-by: seccomp = violation seccomp
#include "attack.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

int main(void) {
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  struct sock_fprog program = {1, &allow};
  return verdict(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >= 0);
}
