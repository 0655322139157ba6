// attack: gets as far as the kernel's module loader
// stopped-by: seccomp = violation init_module
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

// The permission is checked before the module is looked at, so no module is needed to know. A kernel
// without modules has swap files to offer.
int main(void) {
  syscall(SYS_init_module, "", 0, "");
  int loader = errno != EPERM && errno != ENOSYS;
  syscall(SYS_swapon, "/nonexistent", 0);
  return verdict(loader || errno == ENOENT);
}
