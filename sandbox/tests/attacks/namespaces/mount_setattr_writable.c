// attack: the same through mount_setattr
// without: seccomp landlock capabilities
// run: --mount {open_dir}:/mnt
// stopped-by: readonly = denied
#include "attack.h"

int main(void) {
  struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
  syscall(SYS_mount_setattr, AT_FDCWD, "/mnt", 0, &attr, sizeof attr);
  return verdict(open("/mnt/file", O_WRONLY | O_CREAT, 0644) >= 0);
}
