// attack: mounts by fsopen, fsmount and move_mount
// stopped-by: seccomp = violation fsopen
// stopped-by: capabilities = denied
// stopped-by: landlock = denied
#include "attack.h"

int main(void) {
  mkdir("mine", 0755);
  int fs = (int)syscall(SYS_fsopen, "tmpfs", 0);
  syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
  int mounted = (int)syscall(SYS_fsmount, fs, 0, 0);
  return verdict(mounted >= 0 && syscall(SYS_move_mount, mounted, "", AT_FDCWD, "mine", MOVE_MOUNT_F_EMPTY_PATH) == 0);
}
