// Init of the 32-bit guest, which has no shell: runs every program in /bench, then says so and powers off.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(void) {
  mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
  int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(console, fd);
  puts("=====MARKER=====");
  struct dirent **entries;
  int count = scandir("/bench", &entries, visible, alphasort);
  for (int i = 0; i < count; i++) {
    char path[300];
    snprintf(path, sizeof path, "/bench/%s", entries[i]->d_name);
    fflush(stdout);
    if (fork() == 0) { execl(path, path, (char *)0); _exit(127); }
    wait(0);
  }
  puts("=====BENCHDONE=====");
  fflush(stdout);
  sleep(1); // the serial line's turn
  reboot(RB_POWER_OFF);
  for (;;) pause();
}
