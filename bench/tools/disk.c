// A disk's speed past the page cache: sequential transfers of 1 MiB and random ones of 4 KiB, each for argv[2] seconds, and
// once more for as long: what comes first finds the emulator's compilers at work. Writes destroy what is on the disk.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static uint64_t seed = 88172645463325252ull;
static uint64_t next(void) { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return seed; }

int main(int argc, char **argv) {
  const size_t big = 1 << 20, small = 4096;
  const double limit = argc > 2 ? atof(argv[2]) : 2;
  int fd = open(argv[1], O_RDWR | O_DIRECT);
  off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
  char *buffer;
  if (size < (off_t)big || posix_memalign((void **)&buffer, 4096, big)) return perror(argv[1]), 1;
  for (int mode = 0; mode < 4; mode++) {
    static const char *const names[] = {"seqread", "seqwrite", "randread", "randwrite"};
    const int writes = mode & 1;
    const size_t bytes = mode < 2 ? big : small;
    const off_t slots = size / bytes;
    for (int turn = 0; turn < 2; turn++) {
      if (pread(fd, buffer, bytes, 0) != (ssize_t)bytes) return perror("read"), 1;
      long done = 0;
      double start = now(), end;
      do {
        const off_t at = (mode < 2 ? done % slots : (off_t)(next() % slots)) * bytes;
        ssize_t n = writes ? pwrite(fd, buffer, bytes, at) : pread(fd, buffer, bytes, at);
        if (n != (ssize_t)bytes) return perror(names[mode]), 1;
        done++;
        end = now();
      } while (end - start < limit);
      printf("FIGURE blk_%s%s ", names[mode], turn == 0 ? "_at_first" : "");
      if (mode < 2) printf("%.2f MB/s\n", done * (double)bytes / 1e6 / (end - start));
      else printf("%.0f IO/s\n", done / (end - start));
    }
  }
  return 0;
}
