// attack: opens the root of the host's file system by its handle ("shocker")
// stopped-by: seccomp = violation open_by_handle_at
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

// The permission is checked before the handle, so that a handle of nothing shows whether it is there.
int main(void) {
  union {
    struct file_handle handle;
    char bytes[sizeof(struct file_handle) + 8];
  } root = {.handle = {8, 1}};
  root.handle.f_handle[0] = 2;
  int anywhere = open("/usr", O_RDONLY | O_DIRECTORY);
  int opened = open_by_handle_at(anywhere, &root.handle, O_RDONLY);
  return verdict(opened >= 0 || errno != EPERM);
}
