// The guest's end of the console benchmarks: on the raw terminal argv[1] it answers commands of the host.
// 'f' <MB as a decimal line>: that many megabytes of a counted pattern; 'e': every byte comes back until a 'q'.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static void put(int fd, const char *at, size_t left) {
  while (left > 0) {
    ssize_t n = write(fd, at, left);
    if (n <= 0) exit(1);
    at += n;
    left -= n;
  }
}

int main(int argc, char **argv) {
  int fd = open(argv[1], O_RDWR | O_NOCTTY);
  struct termios t;
  if (argc < 2 || fd < 0 || tcgetattr(fd, &t)) return perror("console"), 1;
  cfmakeraw(&t);
  tcsetattr(fd, TCSANOW, &t);
  put(fd, "READY\n", 6);
  static char block[65536];
  char c;
  while (read(fd, &c, 1) == 1) {
    if (c == 'e') while (read(fd, &c, 1) == 1 && c != 'q') put(fd, &c, 1);
    if (c != 'f') continue;
    char line[16];
    size_t n = 0;
    while (n + 1 < sizeof line && read(fd, &c, 1) == 1 && c != '\n') line[n++] = c;
    line[n] = 0;
    unsigned word = 0;
    for (long blocks = atol(line) * 1000000 / sizeof block; blocks > 0; blocks--) {
      for (size_t i = 0; i < sizeof block; i += 4, word++) memcpy(block + i, &word, 4);
      put(fd, block, sizeof block);
    }
  }
  return 0;
}
