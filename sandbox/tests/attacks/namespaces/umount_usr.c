// attack: takes a mount away that came from outside the sandbox
// stopped-by: seccomp = violation umount2
// stopped-by: sandbox = denied
// without: capabilities landlock
// run: --mount {open_dir}:/mnt
// control: native
#include "attack.h"

// The control cannot use the bare host's own mounts, so it makes one.
int main(void) {
  if (getppid() != 1) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/mnt", "tmpfs", 0, "") != 0) {
      return BROKEN;
    }
  }
  return verdict(umount2("/mnt", MNT_DETACH) == 0);
}
