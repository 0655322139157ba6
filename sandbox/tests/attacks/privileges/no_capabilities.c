// attack: looks for a capability in the sets it was started with
// stopped-by: capabilities = denied
#include "attack.h"

#include <linux/capability.h>

int main(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) {
    return BROKEN;
  }
  return verdict(data[0].effective | data[0].permitted | data[0].inheritable | data[1].effective | data[1].permitted);
}
