// attack: opens devices of the host
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

int main(void) {
  const char *devices[] = {"/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/sda", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/ptmx", "/dev/tty1", "/dev/loop-control", "/dev/mapper/control"};
  int opened = 0;
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
    opened += open(devices[i], O_RDONLY | O_NONBLOCK) >= 0;
  }
  return verdict(opened > 0);
}
